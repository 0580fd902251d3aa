// SPDX-License-Identifier: GPL-3.0-or-later
// libFuzzer on the package reader: ar, tar, control files and what is parsed of them.
// Built with clang++ and -DGOLDMILL_FUZZ=ON; run: build-fuzz/deb_fuzz -max_total_time=60 DIR
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

#include <goldmill/guest/deb.hpp>
#include <goldmill/guest/dpkg_database.hpp>
#include <goldmill/guest/package_relation.hpp>
#include <goldmill/system/file.hpp>

#include "signed_tar.hpp"

namespace {
using namespace goldmill;
using guest::Deb;

/// As the real ones, but so small that a bomb is told within a moment.
guest::DebLimits small_limits() {
  guest::DebLimits limits;
  limits.unpacked = 4_MiB;
  limits.expansion = 1;
  limits.control = 1_MiB;
  limits.parsed = 64_KiB;
  limits.entries = 1000;
  limits.header = 1_MiB;
  return limits;
}

void parse_text(std::string_view text) {
  (void)guest::parse_paragraphs(text);
  (void)guest::parse_diversions(text);
  (void)guest::parse_statoverrides(text);
  (void)guest::parse_interests(text);
  (void)guest::parse_relations(text);
}

void read_package(const Deb& deb) {
  (void)deb.control().text();
  for (const guest::ControlFile& file : deb.control_files()) {
    parse_text(file.content);
  }
  for (const char* field : {"Depends", "Provides", "Replaces"}) {
    (void)guest::parse_relations(deb.control().get(field));
  }
  (void)deb.visit([](const guest::TarEntry& entry, const guest::DataSource& data) -> Result<void> {
    // What every caller relies on; the rest of the content is left for visit() to skip.
    GOLDMILL_ASSERT(entry.path.starts_with('/') && entry.path.find("/../") == std::string::npos);
    GOLDMILL_ASSERT(!entry.path.ends_with("/..") && entry.path.find('\n') == std::string::npos);
    GOLDMILL_ASSERT(entry.modified_nanoseconds < 1'000'000'000);
    std::uint64_t end = 0;
    while (const auto piece = TRY(data())) {
      end = piece->offset + piece->bytes.size();
      GOLDMILL_ASSERT(end <= entry.size);
    }
    return {};
  });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes = goldmill::fuzz::signed_tar({reinterpret_cast<const char*>(data), size});
  const system::UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  if (!file || !system::write_all(file.get(), bytes)) {
    return 0;
  }
  const auto deb = Deb::open(file.get(), sha256(bytes), small_limits());
  if (deb) {
    read_package(*deb);
  }
  parse_text(bytes);
  return 0;
}
