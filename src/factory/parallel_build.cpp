// SPDX-License-Identifier: GPL-3.0-or-later
#include "parallel_build.hpp"

#include <algorithm>
#include <thread>

#include <goldmill/system/memory.hpp>

namespace goldmill::factory {

namespace {

/// What one build holds at most while it packs and compresses, with its programs and page cache.
constexpr Bytes kMemoryOfOne = 2_GiB;

std::size_t default_jobs() {
  const std::size_t fit = system::available_memory().value / kMemoryOfOne.value;
  const std::size_t cores = std::thread::hardware_concurrency();
  return std::max<std::size_t>(1, std::min(fit, cores));
}

/// An image that was there already may have its recipe elsewhere now: the file was renamed, or its
/// directory moved. Repairs build from it. While it is where it was, this one is a copy, which may
/// go again: a checkout that was made for this build.
Result<void> note_recipe_file(Session& session,
                              const std::filesystem::path& file,
                              store::ImageRecord& image) {
  std::error_code ignored;
  const auto before = find_string(image.details, "recipe_file");
  if (before && std::filesystem::exists(*before, ignored)) {
    return {};
  }
  return session.catalogue.alone([&]() -> Result<void> {
    // Read anew: a test of it may have ended in the meantime.
    auto now = TRY(session.catalogue.find_image_by_digest(image.digest));
    if (!now) {
      return {};
    }
    image = *std::move(now);
    image.details["recipe_file"] = file.string();
    return session.catalogue.update_details(image);
  });
}

}  // namespace

ParallelBuild::ParallelBuild(Session& session,
                             const BuildRequest& request,
                             const Lineages& lineages)
    : session_(session),
      request_(request),
      members_(lineages.members()),
      threads_(request.jobs > 0 ? static_cast<std::size_t>(request.jobs) : default_jobs()),
      jobs_(members_.size()) {
  // A shell has the terminal to itself, and a single recipe's lineage has nothing side by side.
  if (request.shell_on_failure || request.recipes.size() == 1) {
    threads_ = 1;
  }
  threads_ = std::min(threads_, members_.size());
}

Result<std::vector<ImageReport>> ParallelBuild::run() {
  if (threads_ == 1) {
    work();
  } else {
    std::vector<std::jthread> threads;
    threads.reserve(threads_);
    for (std::size_t i = 0; i < threads_; ++i) {
      threads.emplace_back([this] { work(); });
    }
  }
  return outcome();
}

void ParallelBuild::work() {
  while (const auto index = take()) {
    end(*index, build(*index));
  }
}

/// The next member whose parent is there; nothing when there will be none any more.
std::optional<std::size_t> ParallelBuild::take() {
  std::unique_lock lock(mutex_);
  std::optional<std::size_t> ready;
  changed_.wait(lock, [&] {
    ready = find_ready();
    return ready || is_over();
  });
  if (ready) {
    jobs_[*ready].state = State::building;
  }
  return ready;
}

std::optional<std::size_t> ParallelBuild::find_ready() const {
  for (std::size_t index = 0; index < members_.size(); ++index) {
    const auto& parent = members_[index].parent;
    if (jobs_[index].state == State::waiting && (!parent || jobs_[*parent].state == State::built)) {
      return index;
    }
  }
  return std::nullopt;
}

bool ParallelBuild::is_over() const {
  return std::none_of(
      jobs_.begin(), jobs_.end(), [](const Job& job) { return job.state == State::building; });
}

void ParallelBuild::end(std::size_t index, Result<ImageReport> result) {
  const std::lock_guard lock(mutex_);
  Job& job = jobs_[index];
  job.state = result ? State::built : State::failed;
  if (result) {
    job.report = *std::move(result);
  } else {
    job.error = std::move(result).error();
  }
  changed_.notify_all();
}

/// Side by side, each has a catalogue connection and a voice of its own.
Result<ImageReport> ParallelBuild::build(std::size_t index) {
  if (threads_ == 1) {
    return build_in(session_, index);
  }
  if (session_.observer.is_cancelled()) {
    return Error{ErrorKind::cancelled, "not begun"};
  }
  const auto observer = session_.observer.beside(members_[index].own.name);
  Session session = TRY(Session::open(*observer));
  return build_in(session, index);
}

Result<ImageReport> ParallelBuild::build_in(Session& session, std::size_t index) {
  ImageBuild build = TRY(ImageBuild::prepare(
      session, request_, TRY(subject_of(session, members_[index].own, parent_image(index)))));
  ImageReport report = TRY(build.run());
  TRY(note_recipe_file(session, members_[index].own.file, report.image));
  return report;
}

std::optional<store::ImageRecord> ParallelBuild::parent_image(std::size_t index) const {
  const auto& parent = members_[index].parent;
  if (!parent) {
    return std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  return jobs_[*parent].report->image;
}

Result<std::vector<ImageReport>> ParallelBuild::outcome() {
  std::vector<ImageReport> reports;
  for (Job& job : jobs_) {
    if (job.state != State::built) {
      return failure();
    }
    reports.push_back(std::move(*job.report));
  }
  return reports;
}

/// One recipe's error is its own. Of several, all that failed are named.
Error ParallelBuild::failure() const {
  const auto first = std::find_if(
      jobs_.begin(), jobs_.end(), [](const Job& job) { return job.error.has_value(); });
  if (request_.recipes.size() == 1) {
    return *first->error;
  }
  std::string names;
  std::size_t count = 0;
  for (std::size_t index = 0; index < jobs_.size(); ++index) {
    const Job& job = jobs_[index];
    if (job.state == State::built) {
      continue;
    }
    ++count;
    const std::string& name = members_[index].own.name;
    names +=
        (names.empty() ? "" : "; ") + name + ": " +
        (job.error ? job.error->text() : "stands on " + members_[*members_[index].parent].own.name);
  }
  return Error{first->error->kind,
               std::to_string(count) + " of " + std::to_string(jobs_.size()) +
                   " images were not built: " + names,
               first->error->hint};
}

}  // namespace goldmill::factory
