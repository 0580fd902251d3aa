// SPDX-License-Identifier: GPL-3.0-or-later
// libFuzzer on the reader of layers' tars. What it takes is written again and must read the same.
// Built with clang++ and -DGOLDMILL_FUZZ=ON; run: build-fuzz/tar_fuzz -max_total_time=60 DIR
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/store/tar.hpp>

#include "signed_tar.hpp"

namespace {
using namespace goldmill;
using store::EntryKind;

struct File {
  store::TarEntry entry;
  std::string content;
};

Result<std::vector<File>> read_all(std::string_view bytes) {
  store::TarReader reader([&](std::span<char> buffer) -> Result<std::size_t> {
    const std::size_t count = bytes.copy(buffer.data(), buffer.size());
    bytes.remove_prefix(count);
    return count;
  });
  std::vector<File> files;
  for (auto entry = TRY(reader.next()); entry; entry = TRY(reader.next())) {
    File file{*std::move(entry), {}};
    for (std::string_view piece = TRY(reader.content()); !piece.empty();
         piece = TRY(reader.content())) {
      file.content += piece;
    }
    files.push_back(std::move(file));
  }
  return files;
}

Result<std::string> write_all(const std::vector<File>& files) {
  std::string tar;
  store::TarWriter writer([&](std::string_view bytes) {
    tar += bytes;
    return Result<void>();
  });
  for (const File& file : files) {
    TRY(writer.add(file.entry));
    if (!file.content.empty()) {
      TRY(writer.content(file.content));
    }
  }
  TRY(writer.finish());
  return tar;
}

/// What a layer's reader would take, which is what a layer's writer makes.
bool is_writable(const File& file) {
  const store::TarEntry& entry = file.entry;
  const bool is_known =
      std::string_view("0123456").find(static_cast<char>(entry.kind)) != std::string_view::npos;
  return is_known && !entry.path.empty() && entry.path.find('\0') == std::string::npos &&
         entry.target.find('\0') == std::string::npos && !entry.path.ends_with('/') &&
         entry.size == file.content.size() && entry.time >= 0 && entry.major < (1U << 21U) &&
         entry.minor < (1U << 21U);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto files = read_all(goldmill::fuzz::signed_tar({reinterpret_cast<const char*>(data), size}));
  if (!files) {
    return 0;
  }
  std::erase_if(*files, [](const File& file) { return !is_writable(file); });
  const auto tar = write_all(*files);
  const auto again = tar ? read_all(*tar) : Result<std::vector<File>>(tar.error());
  GOLDMILL_ASSERT(again && again->size() == files->size());
  for (std::size_t i = 0; i < files->size(); ++i) {
    const std::string slash = files->at(i).entry.kind == EntryKind::directory ? "/" : "";
    GOLDMILL_ASSERT(again->at(i).entry.path == files->at(i).entry.path + slash);
    GOLDMILL_ASSERT(again->at(i).entry.target == files->at(i).entry.target);
    GOLDMILL_ASSERT(again->at(i).entry.xattrs == files->at(i).entry.xattrs);
    GOLDMILL_ASSERT(again->at(i).content == files->at(i).content);
  }
  return 0;
}
