// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cerrno>
#include <future>

#include <fcntl.h>
#include <unistd.h>

#include <goldmill/build/layer_difference.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

#include "archive_difference.hpp"

namespace goldmill::build {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
/// A tree as the tar that a worker writes into a pipe while it is read.
class TreeStream {
 public:
  static Result<TreeStream> open(const fs::path& tree, std::int64_t epoch) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return system_error("cannot make a pipe", errno);
    }
    UniqueFd read(ends[0]);
    UniqueFd write(ends[1]);
    UniqueFd directory = TRY(system::open_directory(tree));
    auto done = std::async(std::launch::async,
                           [epoch,
                            directory = std::move(directory),
                            write = std::move(write)]() mutable -> Result<void> {
                             const UniqueFd output =
                                 std::move(write);  // closed when the worker has ended
                             TRY(system::run_worker({.name = "build.archive",
                                                     .request = {{"epoch", epoch}},
                                                     .confinement = system::Confinement::guest_ids,
                                                     .hands = {directory.get(), output.get()}}));
                             return {};
                           });
    return TreeStream(std::move(read), std::move(done));
  }

  store::Source source() const {
    return [pipe = read_.get()](std::span<char> buffer) -> Result<std::size_t> {
      const ssize_t count = TEMP_FAILURE_RETRY(::read(pipe, buffer.data(), buffer.size()));
      return count >= 0 ? Result<std::size_t>(static_cast<std::size_t>(count))
                        : Result<std::size_t>(system_error("cannot read a layer", errno));
    };
  }

  /// Reads what is left, so that the worker can end, and gives what it said.
  Result<void> end() {
    std::array<char, 65536> piece{};
    while (TEMP_FAILURE_RETRY(::read(read_.get(), piece.data(), piece.size())) > 0) {
    }
    return done_.get();
  }

 private:
  TreeStream(UniqueFd read, std::future<Result<void>> done)
      : read_(std::move(read)), done_(std::move(done)) {}

  UniqueFd read_;
  std::future<Result<void>> done_;
};
}  // namespace

Result<LayerComparison> compare_layers(const fs::path& first,
                                       const fs::path& second,
                                       std::int64_t epoch) {
  TreeStream one = TRY(TreeStream::open(first, epoch).context(first.string()));
  TreeStream other = TRY(TreeStream::open(second, epoch).context(second.string()));
  auto compared = compare_archives(one.source(), other.source());
  TRY(one.end().context(first.string()));
  TRY(other.end().context(second.string()));
  return compared;
}

}  // namespace goldmill::build
