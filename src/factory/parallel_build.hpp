// SPDX-License-Identifier: GPL-3.0-or-later
// ParallelBuild: the members of lineages on their way to images, each as soon as its parent's
// image is there.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include <goldmill/base/result.hpp>
#include <goldmill/factory/build_image.hpp>
#include <goldmill/factory/session.hpp>

#include "lineages.hpp"

namespace goldmill::factory {

class ParallelBuild {
 public:
  ParallelBuild(Session& session, const BuildRequest& request, const Lineages& lineages);

  /// The reports in the order of the members. Errors: as build_images().
  Result<std::vector<ImageReport>> run();

 private:
  enum class State : std::uint8_t { waiting, building, built, failed };
  struct Job {
    State state = State::waiting;
    std::optional<ImageReport> report;
    std::optional<Error> error;
  };

  void work();
  std::optional<std::size_t> take();
  std::optional<std::size_t> find_ready() const;
  bool is_over() const;
  void end(std::size_t index, Result<ImageReport> result);
  Result<ImageReport> build(std::size_t index);
  Result<ImageReport> build_in(Session& session, std::size_t index);
  std::optional<store::ImageRecord> parent_image(std::size_t index) const;
  Result<std::vector<ImageReport>> outcome();
  Error failure() const;

  Session& session_;
  const BuildRequest& request_;
  const std::vector<Lineages::Member>& members_;
  std::size_t threads_;
  mutable std::mutex mutex_;  // over jobs_
  std::condition_variable changed_;
  std::vector<Job> jobs_;
};

}  // namespace goldmill::factory
