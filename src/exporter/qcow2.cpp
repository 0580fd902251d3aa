// SPDX-License-Identifier: GPL-3.0-or-later
// qcow2: our own writer, see qcow2_writer.hpp.
#include "formats.hpp"
#include "qcow2_writer.hpp"

namespace goldmill::exporter {

namespace {
Result<Qcow2Settings> settings_of(const Options& options) {
  const Format format = qcow2_format();
  Qcow2Settings settings;
  const std::string compression = option_of(options, format, "compression");
  if (compression != "zstd" && compression != "zlib") {
    return Error{ErrorKind::invalid_input,
                 "qcow2 cannot be compressed by '" + compression + "'",
                 "known: zstd, zlib (readable by QEMU before 5.1)"};
  }
  const bool zstd = compression == "zstd";
  settings.compression = zstd ? Qcow2Compression::zstd : Qcow2Compression::zlib;
  const std::string level = option_of(options, format, "level");
  settings.level =
      level.empty() ? (zstd ? 3 : 6) : TRY(number_option(level, "level", 1, zstd ? 19 : 9));
  const int threads = TRY(number_option(option_of(options, format, "threads"), "threads", 0, 256));
  if (threads > 0) {
    settings.threads = static_cast<unsigned>(threads);
  }
  return settings;
}

Result<void> write_qcow2(const Job& job) {
  const Qcow2Settings settings = TRY(settings_of(job.options));
  TRY(write_clusters(TRY(RawDisk::open(job.source.disk)), settings, job.progress, job.output));
  return {};
}

Result<void> check_values(const Options& options) {
  TRY(settings_of(options));
  return {};
}
}  // namespace

Format qcow2_format() {
  return {"qcow2",
          "compressed disk for QEMU, KVM, libvirt, Proxmox, OpenStack",
          ".qcow2",
          std::nullopt,
          {{"compression", "zstd or zlib", "zstd"},
           {"level", "1 to 19 (zstd) or 9 (zlib); more is smaller and slower", ""},
           {"threads", "0: one for each core; the bytes do not depend on it", "0"}},
          write_qcow2,
          check_values};
}

}  // namespace goldmill::exporter
