// SPDX-License-Identifier: GPL-3.0-or-later
// Session: what every job of the factory needs: the home, the catalogue and an audience.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/store/catalogue.hpp>
#include <goldmill/store/home.hpp>

namespace goldmill::factory {

/// Told what goes on; the command line draws it. Calls come from one thread at a time.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void step_started(std::string_view image,
                            std::string_view step,
                            std::string_view reason) = 0;
  /// `total` 0: not known.
  virtual void step_progress(std::string_view phase, std::uint64_t done, std::uint64_t total) = 0;
  virtual void step_ended(std::string_view step, std::string_view result, double seconds) = 0;
  /// One line for people.
  virtual void note(std::string_view line) = 0;
  virtual bool is_cancelled() = 0;
  /// The observer of one of several images that are built at the same time: each is called from
  /// its own thread.
  virtual std::unique_ptr<Observer> beside(std::string_view image) = 0;
};

/// What a program of a step may use up before it is stopped.
struct StepLimits {
  Bytes memory = 8_GiB;
  std::chrono::minutes time = std::chrono::hours(2);
  /// GOLDMILL_STEP_MEMORY and GOLDMILL_STEP_MINUTES, where they are set. Errors: invalid_input.
  static Result<StepLimits> from_environment();
};

struct Session {
  store::Home home;
  store::Catalogue catalogue;
  Observer& observer;
  StepLimits limits;
  std::string_view preload = {};  ///< a shared object that programs of steps load first

  /// Opens $GOLDMILL_HOME and clears away what dead builds left in its work directory.
  static Result<Session> open(Observer& observer);
  /// The same on a home of its own.
  static Result<Session> open(Observer& observer, store::Home home);
};

}  // namespace goldmill::factory
