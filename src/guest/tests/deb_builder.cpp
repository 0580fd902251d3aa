// SPDX-License-Identifier: GPL-3.0-or-later
#include "deb_builder.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <lzma.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

namespace goldmill::guest::test_parts {

namespace {
std::string header(const RawEntry& entry, const std::string& name, char type, std::size_t size) {
  std::array<char, 512> block{};
  std::strncpy(block.data(), name.c_str(), 100);
  std::snprintf(block.data() + 100, 8, "%07o", entry.mode);
  std::snprintf(block.data() + 108, 8, "%07o", entry.user);
  std::snprintf(block.data() + 116, 8, "%07o", entry.group);
  std::snprintf(block.data() + 124, 12, "%011zo", size);
  std::snprintf(block.data() + 136, 12, "%011o", 1700000000U);
  if (!entry.size_field.empty()) {
    std::memcpy(block.data() + 124,
                entry.size_field.data(),
                std::min<std::size_t>(12, entry.size_field.size()));
  }
  std::memset(block.data() + 148, ' ', 8);
  block.at(156) = type;
  std::strncpy(block.data() + 157, entry.target.c_str(), 100);
  std::memcpy(block.data() + 257, "ustar  ", 8);
  std::snprintf(block.data() + 329, 8, "%07o", type == '3' || type == '4' ? 1U : 0U);
  std::snprintf(block.data() + 337, 8, "%07o", type == '3' || type == '4' ? 3U : 0U);
  unsigned sum = 0;
  for (const char byte : block) {
    sum += static_cast<unsigned char>(byte);
  }
  std::snprintf(block.data() + 148, 8, "%06o", sum);
  return {block.data(), block.size()};
}

std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return content;
}
}  // namespace

std::string make_tar(const std::vector<RawEntry>& entries) {
  std::string tar;
  for (const RawEntry& entry : entries) {
    if (entry.name.size() > 99) {
      const std::string name = entry.name + std::string(1, '\0');
      tar += header({}, "././@LongLink", 'L', name.size()) + padded(name);
    }
    tar += header(entry, entry.name.substr(0, 99), entry.type, entry.content.size());
    tar += padded(entry.content);
  }
  return tar + std::string(1024, '\0');
}

std::string make_ar(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string ar = "!<arch>\n";
  for (const auto& [name, content] : members) {
    std::array<char, 61> head{};
    std::snprintf(head.data(),
                  head.size(),
                  "%-16s%-12d%-6d%-6d%-8s%-10zu`\n",
                  name.c_str(),
                  0,
                  0,
                  0,
                  "100644",
                  content.size());
    ar += std::string(head.data(), 60) + content + (content.size() % 2 != 0 ? "\n" : "");
  }
  return ar;
}

std::string make_deb(const DebText& text) {
  std::vector<RawEntry> control = {
      {.name = "./control",
       .content = "Package: " + text.name +
                  "\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.org>\n" +
                  text.control + "Description: a sample\n"}};
  control.insert(control.end(), text.control_files.begin(), text.control_files.end());
  const bool own_control = !text.control_member.empty();
  const bool own_data = !text.data_member.empty();
  return make_ar(
      {{"debian-binary", "2.0\n"},
       {own_control ? text.control_member : "control.tar",
        own_control ? text.control_data : make_tar(control)},
       {own_data ? text.data_member : "data.tar", own_data ? text.data : make_tar(text.entries)}});
}

std::string pax_record(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  std::size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) {
    length = std::to_string(length).size() + rest.size();
  }
  return std::to_string(length) + rest;
}

std::string zstd_of(const Repeated& content) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  std::string packed;
  std::string piece(ZSTD_CStreamOutSize(), '\0');
  const auto add = [&](const std::string& bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (std::size_t left = 1; left != 0 || input.pos < input.size;) {
      ZSTD_outBuffer output{piece.data(), piece.size(), 0};
      left = ZSTD_compressStream2(context, &output, &input, directive);
      packed.append(piece, 0, output.pos);
      if (directive == ZSTD_e_continue && input.pos == input.size) {
        break;
      }
    }
  };
  add(content.before, ZSTD_e_continue);
  for (std::size_t i = 0; i < content.times; ++i) {
    add(content.piece, ZSTD_e_continue);
  }
  add(content.after, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  return packed;
}

std::string xz_of(const std::string& content) {
  std::string packed(::lzma_stream_buffer_bound(content.size()), '\0');
  std::size_t size = 0;
  ::lzma_easy_buffer_encode(0,
                            LZMA_CHECK_CRC32,
                            nullptr,
                            reinterpret_cast<const std::uint8_t*>(content.data()),
                            content.size(),
                            reinterpret_cast<std::uint8_t*>(packed.data()),
                            &size,
                            packed.size());
  packed.resize(size);
  return packed;
}

std::string gzip_of(const std::string& content) {
  constexpr int kGzip = 16;
  z_stream stream{};
  ::deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + kGzip, 9, Z_DEFAULT_STRATEGY);
  std::string packed(::deflateBound(&stream, content.size()), '\0');
  std::string input = content;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ::deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  ::deflateEnd(&stream);
  return packed;
}

Json add_to(const std::filesystem::path& cache, const std::string& name, const std::string& deb) {
  const Digest digest = sha256(deb);
  const std::filesystem::path file = cache / (digest.hex() + ".deb");
  std::ofstream(file, std::ios::binary) << deb;
  ::chmod(file.c_str(), 0644);
  const char* const seeds = std::getenv("GOLDMILL_SEEDS");  // NOLINT(concurrency-mt-unsafe)
  if (seeds != nullptr && deb.size() <= 65536) {            // scripts/fuzz
    std::ofstream(std::filesystem::path(seeds) / digest.hex(), std::ios::binary) << deb;
  }
  return {{"name", name},
          {"version", "1.0"},
          {"architecture", "all"},
          {"sha256", digest.hex()},
          {"size", deb.size()}};
}

}  // namespace goldmill::guest::test_parts
