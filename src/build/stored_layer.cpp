// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <future>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <goldmill/build/capture.hpp>
#include <goldmill/build/stored_layer.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::build {

namespace fs = std::filesystem;
using system::UniqueFd;

Result<store::PackedLayer> pack_tree(const fs::path& tree,
                                     store::Compression compression,
                                     const fs::path& file) {
  const UniqueFd directory = TRY(system::open_file(tree, O_PATH | O_DIRECTORY));
  const UniqueFd output = TRY(system::open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  const Json answer =
      TRY(system::run_worker({.name = "build.pack",
                              .request = {{"gzip", compression == store::Compression::gzip}},
                              .confinement = system::Confinement::guest_ids,
                              .hands = {directory.get(), output.get()}})
              .context("packing the layer " + tree.filename().string().substr(0, 12)));
  if (::fsync(output.get()) != 0) {
    return system_error("cannot make " + file.string() + " durable", errno);
  }
  store::PackedLayer packed;
  packed.facts.diff_id = TRY(Digest::parse(TRY(string_at(answer, "diff_id"))));
  packed.blob = TRY(Digest::parse(TRY(string_at(answer, "blob"))));
  packed.size = static_cast<std::uint64_t>(TRY(integer_at(answer, "size")));
  return packed;
}

Result<void> unpack_tree(const fs::path& blob,
                         const Digest& diff_id,
                         std::int64_t epoch,
                         const fs::path& work,
                         const fs::path& trees) {
  const UniqueFd place = TRY(system::open_file(work, O_PATH | O_DIRECTORY));
  const UniqueFd archive = TRY(system::open_file(blob, O_RDONLY));
  const Json answer = TRY(system::run_worker({.name = "build.unpack",
                                              .request = {{"epoch", epoch}},
                                              .confinement = system::Confinement::guest_ids,
                                              .hands = {place.get(), archive.get()}})
                              .context("unpacking the layer " + diff_id.brief()));
  if (TRY(string_at(answer, "diff_id")) != diff_id.text()) {
    return Error{ErrorKind::corrupt,
                 blob.string() + " does not hold the layer " + diff_id.text(),
                 "goldmill check --repair removes it"};
  }
  TRY(commit_layer(work, trees, diff_id));
  return sync_layers(trees);
}

Result<void> identify_trees(
    const fs::path& parent,
    const std::vector<std::string>& names,
    const std::function<void(const std::string& name, const Result<Digest>& digest)>& take) {
  const UniqueFd directory = TRY(system::open_file(parent, O_PATH | O_DIRECTORY));
  std::mutex one_at_a_time;
  const auto identify = [&](const std::vector<std::string>& share) {
    return system::run_worker(
        {.name = "build.identify",
         .request = {{"names", share}},
         .confinement = system::Confinement::guest_ids,
         .hands = {directory.get()},
         .on_event = [&](const Json& event) {
           const std::lock_guard alone(one_at_a_time);
           const auto error = find_string(event, "error");
           take(find_string(event, "name").value_or(""),
                error ? Result<Digest>(Error{ErrorKind::corrupt, *error})
                      : Digest::parse(find_string(event, "digest").value_or("")));
         }});
  };
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::vector<std::string>> shares(std::min(cores, names.size()));
  for (std::size_t index = 0; index < names.size(); ++index) {
    shares[index % shares.size()].push_back(names[index]);
  }
  std::vector<std::future<Result<Json>>> running;
  running.reserve(shares.size());
  for (const auto& share : shares) {
    running.push_back(std::async(std::launch::async, identify, std::cref(share)));
  }
  Result<void> all;
  for (auto& worker : running) {
    const Result<Json> ended = worker.get();
    if (!ended && all) {
      all = ended.error();
    }
  }
  return std::move(all).context("reading " + parent.string());
}

Result<Digest> identify_tree(const fs::path& tree) {
  Result<Digest> found = Error{ErrorKind::internal, "no digest of " + tree.string()};
  TRY(identify_trees(tree.parent_path(),
                     {tree.filename()},
                     [&](const std::string&, const Result<Digest>& digest) { found = digest; }));
  return found;
}

}  // namespace goldmill::build
