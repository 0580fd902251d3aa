// SPDX-License-Identifier: GPL-3.0-or-later
#include "ext4_device.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include <unistd.h>

namespace goldmill::image {

bool is_zero(const char* bytes, std::size_t size) {
  return size == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

namespace {
// The library hands a manager no context of the caller's; one file system is made at a time in
// a thread.
thread_local Ext4Device* attached = nullptr;

errcode_t open_channel(const char* name, int /*flags*/, io_channel* channel);

errcode_t close_channel(io_channel channel) {
  if (--channel->refcount <= 0) {
    ::free(channel->name);  // NOLINT: made by strdup, as the library expects
    delete channel;         // NOLINT: owned through the library's C interface
  }
  return 0;
}

errcode_t set_block_size(io_channel channel, int size) {
  channel->block_size = size;
  return 0;
}

Ext4Device& device_of(io_channel channel) {
  return *static_cast<Ext4Device*>(channel->private_data);
}

/// A negative count is a number of bytes.
std::size_t bytes_of(io_channel channel, int count) {
  return count < 0 ? static_cast<std::size_t>(-static_cast<long>(count))
                   : static_cast<std::size_t>(count) * static_cast<unsigned>(channel->block_size);
}

std::uint64_t place_of(io_channel channel, unsigned long long block) {
  return block * static_cast<unsigned>(channel->block_size);
}

errcode_t read_blocks(io_channel channel, unsigned long long block, int count, void* data) {
  device_of(channel).read(
      place_of(channel, block), bytes_of(channel, count), static_cast<char*>(data));
  return 0;
}

errcode_t write_blocks(io_channel channel, unsigned long long block, int count, const void* data) {
  device_of(channel).write(
      place_of(channel, block), bytes_of(channel, count), static_cast<const char*>(data));
  return 0;
}

errcode_t read_blocks_32(io_channel channel, unsigned long block, int count, void* data) {
  return read_blocks(channel, block, count, data);
}

errcode_t write_blocks_32(io_channel channel, unsigned long block, int count, const void* data) {
  return write_blocks(channel, block, count, data);
}

errcode_t flush_channel(io_channel /*channel*/) {
  return 0;
}

errcode_t zero_blocks(io_channel channel, unsigned long long block, unsigned long long count) {
  device_of(channel).forget(place_of(channel, block), place_of(channel, count));
  return 0;
}

struct_io_manager make_manager() {
  struct_io_manager manager{};
  manager.magic = EXT2_ET_MAGIC_IO_MANAGER;
  manager.name = "goldmill";
  manager.open = open_channel;
  manager.close = close_channel;
  manager.set_blksize = set_block_size;
  manager.read_blk = read_blocks_32;
  manager.write_blk = write_blocks_32;
  manager.read_blk64 = read_blocks;
  manager.write_blk64 = write_blocks;
  manager.flush = flush_channel;
  manager.discard = zero_blocks;
  manager.zeroout = zero_blocks;
  return manager;
}

io_manager the_manager() {
  static struct_io_manager manager = make_manager();
  return &manager;
}

errcode_t open_channel(const char* name, int /*flags*/, io_channel* channel) {
  auto made = std::make_unique<struct_io_channel>();
  *made = {};
  made->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  made->manager = the_manager();
  made->name = ::strdup(name);
  made->block_size = 1024;
  made->refcount = 1;
  made->flags = CHANNEL_FLAGS_DISCARD_ZEROES;
  made->private_data = attached;
  *channel = made.release();
  return 0;
}
}  // namespace

io_manager Ext4Device::attach() {
  attached = this;
  return the_manager();
}

void Ext4Device::read(std::uint64_t at, std::size_t size, char* to) const {
  while (size > 0) {
    const std::size_t within = at % kExt4Block;
    const std::size_t piece = std::min<std::size_t>(size, kExt4Block - within);
    const auto found = pages_.find(at / kExt4Block);
    if (found == pages_.end()) {
      std::memset(to, 0, piece);
    } else {
      std::memcpy(to, found->second->data() + within, piece);
    }
    at += piece;
    to += piece;
    size -= piece;
  }
}

void Ext4Device::write(std::uint64_t at, std::size_t size, const char* from) {
  while (size > 0) {
    const std::size_t within = at % kExt4Block;
    const std::size_t piece = std::min<std::size_t>(size, kExt4Block - within);
    auto found = pages_.find(at / kExt4Block);
    if (found != pages_.end() || !is_zero(from, piece)) {
      if (found == pages_.end()) {
        found = pages_.emplace(at / kExt4Block, std::make_unique<Page>()).first;
      }
      std::memcpy(found->second->data() + within, from, piece);
    }
    at += piece;
    from += piece;
    size -= piece;
  }
}

void Ext4Device::forget(std::uint64_t at, std::uint64_t size) {
  const std::uint64_t first = at / kExt4Block;
  const std::uint64_t end = (at + size) / kExt4Block;
  if (end - first > pages_.size()) {
    std::erase_if(pages_,
                  [=](const auto& page) { return page.first >= first && page.first < end; });
    return;
  }
  for (std::uint64_t page = first; page < end; ++page) {
    pages_.erase(page);
  }
}

Result<void> Ext4Device::write_through(std::uint64_t at, const char* from, std::size_t size) const {
  while (size > 0 && file_ >= 0) {
    const ssize_t count = ::pwrite(file_, from, size, static_cast<off_t>(offset_ + at));
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return system_error("cannot write the disk", errno);
    }
    at += static_cast<std::uint64_t>(count);
    from += count;
    size -= static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> Ext4Device::finish() {
  std::vector<std::uint64_t> order;
  order.reserve(pages_.size());
  for (const auto& [number, page] : pages_) {
    if (!is_zero(page->data(), page->size())) {
      order.push_back(number);
    }
  }
  std::sort(order.begin(), order.end());
  std::string run;
  for (std::size_t i = 0; i < order.size(); ++i) {
    run.append(pages_.at(order[i])->data(), kExt4Block);
    const bool last = i + 1 == order.size() || order[i + 1] != order[i] + 1;
    if (last || run.size() >= (4U << 20)) {
      const std::uint64_t end = (order[i] + 1) * kExt4Block;
      TRY(write_through(end - run.size(), run.data(), run.size()));
      run.clear();
    }
  }
  return {};
}

}  // namespace goldmill::image
