// SPDX-License-Identifier: GPL-3.0-or-later
// PseudoTerminal: a terminal of its own for a shell in a sandbox. The shell never gets the
// user's terminal, into whose input it could push commands.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include <termios.h>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::build {

class PseudoTerminal {
 public:
  /// As large as the terminal on standard input. Errors: unavailable, when there is none.
  static Result<PseudoTerminal> open();
  PseudoTerminal(PseudoTerminal&&) = default;
  PseudoTerminal& operator=(PseudoTerminal&&) = delete;
  ~PseudoTerminal();

  /// The shell's end.
  int inner() const { return inner_.get(); }
  /// From now on passes keys in and output out, until this object goes.
  void connect();
  /// The user's terminal was closed.
  bool is_gone() const { return *gone_; }

 private:
  PseudoTerminal(system::UniqueFd outer, system::UniqueFd inner)
      : outer_(std::move(outer)), inner_(std::move(inner)) {}
  void relay() const;

  system::UniqueFd outer_;
  system::UniqueFd inner_;
  system::UniqueFd stop_;
  termios before_{};
  std::unique_ptr<std::atomic<bool>> gone_ = std::make_unique<std::atomic<bool>>(false);
  std::thread relay_;
};

}  // namespace goldmill::build
