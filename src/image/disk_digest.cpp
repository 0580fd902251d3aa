// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/image/disk.hpp>
#include <goldmill/system/side_by_side.hpp>

#include "region.hpp"

namespace goldmill::image {

namespace {
constexpr std::uint64_t kChunk = 1U << 20;

std::string_view view(const std::array<std::uint8_t, 32>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The chunks that hold data, each once, in order.
std::vector<std::uint64_t> data_chunks(const std::vector<Extent>& extents) {
  std::vector<std::uint64_t> chunks;
  for (const Extent& extent : extents) {
    std::uint64_t chunk = extent.begin / kChunk;
    if (!chunks.empty() && chunks.back() >= chunk) {
      chunk = chunks.back() + 1;
    }
    for (; chunk * kChunk < extent.end; ++chunk) {
      chunks.push_back(chunk);
    }
  }
  return chunks;
}

bool read_chunk(int disk, std::uint64_t offset, std::string& chunk) {
  std::size_t done = 0;
  while (done < chunk.size()) {
    const ssize_t count =
        ::pread(disk, chunk.data() + done, chunk.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return false;
    }
    done += static_cast<std::size_t>(count);
  }
  return true;
}
}  // namespace

Result<Digest> disk_digest(int disk) {
  struct stat status {};
  if (::fstat(disk, &status) != 0) {
    return system_error("cannot measure the disk", errno);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t count = (size + kChunk - 1) / kChunk;
  const std::uint64_t tail = count == 0 ? 0 : size - (count - 1) * kChunk;
  std::vector<Digest> digests(count, sha256(std::string(kChunk, '\0')));
  if (count > 0) {
    digests.back() = sha256(std::string(tail, '\0'));
  }
  const std::vector<std::uint64_t> chunks = data_chunks(TRY(data_extents(disk, 0, size)));
  std::atomic<std::size_t> next{0};
  std::atomic<int> failure{0};
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  system::side_by_side(cores, cores, [&](std::size_t /*core*/) {
    std::string chunk;
    for (std::size_t i = next++; i < chunks.size() && failure == 0; i = next++) {
      chunk.resize(chunks[i] + 1 == count ? tail : kChunk);
      if (!read_chunk(disk, chunks[i] * kChunk, chunk)) {
        failure = errno == 0 ? EIO : errno;
        return;
      }
      digests[chunks[i]] = sha256(chunk);
    }
  });
  if (failure != 0) {
    return system_error("cannot read the disk", failure);
  }
  Sha256 whole;
  for (const Digest& digest : digests) {
    whole.update(view(digest.bytes()));
  }
  return whole.finish();
}

}  // namespace goldmill::image
