// SPDX-License-Identifier: GPL-3.0-or-later
// Deb: reads a binary package. Everything in one is hostile until its digest and limits held.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/guest/control_paragraph.hpp>

namespace goldmill::guest {

/// What one package may cost. The rule: no limit may refuse a package of a real archive, and
/// what is left must be harmless. Installed-Size sets none of them: packages made by hand lack it
/// or have it wrong. The figures come from Debian 12's 63,666 packages (its index, 2026-07):
/// those that grow more than a hundredfold are small (librust-alacritty-terminal-dev: 244 times to
/// 42 MiB; the largest, qemu-efi-aarch64, 106 times to 258 MiB), those above 400 MiB grow less
/// than 61 times, and the largest of all (linux-image-*-dbg, 6.4 GiB) 7 times.
struct DebLimits {
  /// Unpacked bytes, holes included: at most the larger of these two.
  Bytes unpacked{512ULL << 20};
  std::uint64_t expansion = 100;  ///< times the packed size
  /// Memory for a dictionary or window: xz -9 needs 65 MiB, zstd --ultra -22 128 MiB.
  Bytes memory{128ULL << 20};
  /// control.tar as a whole, which is kept in memory. As apt (CVE-2020-27350).
  Bytes control{64ULL << 20};
  /// Each of its files that is parsed: the largest control file has 75 KiB (librust-winapi-dev).
  Bytes parsed{1ULL << 20};
  /// Entries of data.tar, and the memory for their names: large icon themes have 100,000.
  std::size_t entries = 400'000;
  Bytes names{64ULL << 20};
  /// Names of directories that the paths pass through and the archive does not hold: dpkg-deb
  /// makes none, some tools of others leave a few hundred out.
  Bytes unnamed{4ULL << 20};
  /// Of a path; what a layer can hold (store/layer_tree.cpp).
  std::size_t path_length = 4095;
  /// Directories above each other: real ones stay below 30, a layer holds 400.
  std::size_t depth = 256;
  /// What libarchive may read for one entry's header: long names, attributes, a sparse map.
  Bytes header{8ULL << 20};
};

/// A member of control.tar other than "control": a script, conffiles, triggers, ...
struct ControlFile {
  std::string name;
  mode_t mode = 0644;
  std::int64_t modified = 0;  ///< seconds since 1970
  std::string content;
};

struct TarEntry {
  enum class Kind : std::uint8_t {
    file,
    directory,
    symlink,
    hardlink,
    fifo,
    character_device,
    block_device
  };
  std::string path;  ///< absolute and clean: "/usr/bin/env"; "/" is the root itself
  Kind kind = Kind::file;
  mode_t mode = 0;  ///< permission bits with setuid, setgid and sticky
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::string user_name = {};
  std::string group_name = {};
  std::int64_t modified = 0;
  std::uint32_t modified_nanoseconds = 0;
  std::uint64_t size = 0;
  /// A symlink's text as it stands; a hard link's target as a clean path.
  std::string target = {};
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::vector<std::pair<std::string, std::string>> attributes = {};
};

/// A piece of a file's content; what lies between pieces is a hole.
struct DataPiece {
  std::string_view bytes;
  std::uint64_t offset = 0;
};

/// Gives the content of the entry at hand piece by piece, nullopt at its end.
using DataSource = std::function<Result<std::optional<DataPiece>>()>;

/// The clean form of a member's name. Errors: invalid_input (absolute, "..", a newline, too long
/// or deep, ".wh." in front, which a layer takes for a deleted file).
Result<std::string> clean_member_path(std::string_view name, const DebLimits& limits = {});

class Deb {
 public:
  /// Reads the open file to its end. Errors: corrupt (not the digest, not a package),
  /// invalid_input (beyond a limit).
  static Result<Deb> open(int descriptor, const Digest& expected, const DebLimits& limits = {});
  Deb(Deb&& other) noexcept;
  Deb& operator=(Deb&&) = delete;
  ~Deb();

  const ControlParagraph& control() const { return control_; }
  const std::vector<ControlFile>& control_files() const { return control_files_; }
  const DebLimits& limits() const { return limits_; }
  /// The control file of that name, or nullptr.
  const ControlFile* control_file(std::string_view name) const;

  /// Walks data.tar in its order. The visitor need not read the content.
  Result<void> visit(
      const std::function<Result<void>(const TarEntry&, const DataSource&)>& visitor) const;

 private:
  explicit Deb(DebLimits limits) : limits_(limits) {}
  Result<void> map(int descriptor, const Digest& expected);
  Result<void> find_members();
  Result<void> read_control();
  Result<void> take_control_file(const TarEntry& entry,
                                 const DataSource& data,
                                 std::uint64_t& total);

  DebLimits limits_;
  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  struct Member {
    std::string_view content;
    std::string_view ending;  ///< of its name: how it is compressed
  };
  Member control_member_;
  Member data_member_;
  ControlParagraph control_;
  std::vector<ControlFile> control_files_;
};

}  // namespace goldmill::guest
