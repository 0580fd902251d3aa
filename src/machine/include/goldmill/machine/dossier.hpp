// SPDX-License-Identifier: GPL-3.0-or-later
// Dossier: what a failed boot left behind, as data, never only "timeout".
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::machine {

/// All text comes from a guest: bounded, control characters escaped.
struct Dossier {
  std::string likely_cause;              ///< one sentence
  std::string hint;                      ///< what to do next
  std::vector<std::string> serial_tail;  ///< last lines of the serial log
  std::vector<std::string> screen;       ///< the text screen's lines; empty in graphics mode
  std::filesystem::path screenshot;      ///< PPM file, or ""
  std::string qemu_log;                  ///< QEMU's own words, or ""
};

struct Cause {
  std::string text;
  std::string hint;
  friend bool operator==(const Cause&, const Cause&) = default;
};

/// Reads the likely cause of a failed boot from its serial log and text screen.
Cause likely_cause(std::string_view serial, std::string_view screen);

/// True when the log shows an end from which no boot recovers, so that waiting is pointless.
bool has_fatal_sign(std::string_view serial);

/// A guest's text made safe to show: escape sequences dropped, other control characters as \xNN,
/// at most `lines` last lines of at most 500 bytes.
std::vector<std::string> safe_tail(std::string_view text, std::size_t lines);

/// The last 64 KiB of a machine's serial log, and "" when there is none.
std::string read_serial_tail(const std::filesystem::path& directory);

/// A console's log that is longer belongs to no good boot.
constexpr Bytes kMostSerial = 16_MiB;

/// Watches a boot for an end from which none recovers: in the serial log, and while that is empty
/// now and then on the text screen, where a BIOS says that it found nothing to boot.
class BootWatch {
 public:
  explicit BootWatch(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// Why waiting on is pointless, or nothing. May be asked several times a second.
  std::optional<Error> pointless();

 private:
  std::filesystem::path directory_;
  std::chrono::steady_clock::time_point last_look_ = std::chrono::steady_clock::now();
};

/// Collects it from a machine's directory; asks QEMU for the screen while it still runs.
/// `screenshot` is where the picture goes ("": none).
Dossier collect_dossier(const std::filesystem::path& directory,
                        const std::filesystem::path& screenshot);

Json to_json(const Dossier& dossier);

}  // namespace goldmill::machine
