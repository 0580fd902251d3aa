// SPDX-License-Identifier: GPL-3.0-or-later
// Writes one disk by hand: disk_tool TREE ASSETS OUT.raw [SIZE_MIB] [FAMILY]. For proofs that need
// a boot.
#include <array>
#include <chrono>
#include <iostream>

#include <fcntl.h>

#include <goldmill/image/disk.hpp>

using namespace goldmill;  // NOLINT(google-build-using-namespace): a test

namespace {
Result<Json> make(char** argv, std::uint64_t size, const std::string& family) {
  recipe::Disk disk;
  disk.size = Bytes{size};
  image::DiskRequest request;
  request.layout =
      TRY(image::Layout::make(disk, {family, "12", "amd64"}, {recipe::Hardware::virtio}));
  request.seed = image::Identity::of({sha256("tree")}, request.layout).seed();
  request.epoch = 1790000000;
  const auto tree = TRY(system::open_directory(argv[1]));
  const auto assets = TRY(system::open_directory(argv[2]));
  const auto raw = TRY(system::open_file(argv[3], O_RDWR | O_CREAT | O_TRUNC));
  system::WorkerJob job;
  job.name = "disk";
  job.confinement = system::Confinement::guest_ids;
  job.request = request.to_json();
  job.hands = {tree.get(), raw.get(), assets.get()};
  const auto begin = std::chrono::steady_clock::now();
  Json answer = TRY(system::run_worker(job));
  const auto middle = std::chrono::steady_clock::now();
  answer["disk_digest"] = TRY(image::disk_digest(raw.get())).text();
  const auto end = std::chrono::steady_clock::now();
  const auto ms = [](auto span) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
  };
  answer["write_ms"] = ms(middle - begin);
  answer["digest_ms"] = ms(end - middle);
  return answer;
}
}  // namespace

int main(int argc, char** argv) {
  constexpr std::array<system::WorkerEntry, 1> workers = {{{"disk", image::disk_worker}}};
  system::become_worker_if_asked(argc, argv, workers);
  if (argc < 4) {
    return 2;
  }
  const auto answer =
      make(argv, (argc > 4 ? std::stoull(argv[4]) : 2048ULL) << 20, argc > 5 ? argv[5] : "debian");
  std::cout << (answer ? answer->dump(1) : answer.error().text() + "\n" + answer.error().hint)
            << '\n';
  return answer ? 0 : 1;
}
