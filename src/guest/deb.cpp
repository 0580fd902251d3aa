// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <sys/mman.h>
#include <sys/stat.h>

#include <goldmill/guest/deb.hpp>

#include "tar_stream.hpp"

namespace goldmill::guest {

namespace {
constexpr std::string_view kArMagic = "!<arch>\n";
constexpr std::size_t kArHeader = 60;

Error not_a_package(std::string why) {
  return Error{ErrorKind::corrupt,
               "not a Debian package: " + std::move(why),
               "the file is damaged where it comes from: take it from another archive"};
}

struct ArMember {
  std::string_view name;
  std::string_view content;
};

/// Source: deb(5), ar(5): name 16, date 12, owner 6, group 6, mode 8, size 10, then "`\n".
Result<ArMember> take_member(std::string_view& rest) {
  if (rest.size() < kArHeader || rest.substr(58, 2) != "`\n") {
    return not_a_package("a member has no header");
  }
  ArMember member;
  member.name = rest.substr(0, 16);
  member.name = member.name.substr(0, member.name.find_last_not_of(' ') + 1);
  if (member.name.ends_with('/')) {
    member.name.remove_suffix(1);
  }
  std::string_view digits = rest.substr(48, 10);
  digits = digits.substr(0, digits.find_last_not_of(' ') + 1);
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (error != std::errc{} || end != digits.data() + digits.size() ||
      size > rest.size() - kArHeader) {
    return not_a_package("a member is longer than the file");
  }
  member.content = rest.substr(kArHeader, size);
  rest.remove_prefix(std::min(rest.size(), kArHeader + size + (size & 1U)));
  return member;
}

/// "data.tar.xz" -> ".xz", for the stem "data.tar"; nullopt when it is another member.
std::optional<std::string_view> ending_after(std::string_view name, std::string_view stem) {
  static constexpr std::array kEndings = {"", ".gz", ".xz", ".zst", ".bz2", ".lzma"};
  if (!name.starts_with(stem)) {
    return std::nullopt;
  }
  name.remove_prefix(stem.size());
  const bool is_known = std::find(kEndings.begin(), kEndings.end(), name) != kEndings.end();
  return is_known ? std::optional(name) : std::nullopt;
}

/// What we read ourselves; the other files of control.tar are only carried into the tree.
bool is_parsed(std::string_view name) {
  return name == "control" || name == "conffiles" || name == "triggers";
}

bool is_control_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '+';
  });
}
}  // namespace

Result<std::string> clean_member_path(std::string_view name, const DebLimits& limits) {
  const auto refuse = [&](const char* why) {
    return Error{
        ErrorKind::invalid_input,
        std::string("a member's name ") + why + ": '" + std::string(name.substr(0, 200)) + "'",
        "no honest package holds this: leave it out, or ask where it comes from"};
  };
  if (name.empty() || name.size() > limits.path_length) {
    return refuse("is empty or too long");
  }
  if (name.front() == '/') {
    return refuse("is absolute");
  }
  if (name.find('\n') != std::string_view::npos || name.find('\0') != std::string_view::npos) {
    return refuse("holds a newline or NUL");
  }
  std::string clean;
  std::size_t depth = 0;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    if (part == "..") {
      return refuse("climbs with '..'");
    }
    if (part.size() > 255) {
      return refuse("has a part of more than 255 bytes");
    }
    if (part.starts_with(".wh.")) {
      return refuse("means a deleted file in a layer");
    }
    if (!part.empty() && part != ".") {
      if (++depth > limits.depth) {
        return refuse("leads through too many directories");
      }
      clean += '/';
      clean += part;
    }
    name.remove_prefix(std::min(name.size(), end + 1));
  }
  return clean.empty() ? "/" : clean;
}

Deb::Deb(Deb&& other) noexcept
    : limits_(other.limits_),
      bytes_(std::exchange(other.bytes_, nullptr)),
      size_(other.size_),
      control_member_(other.control_member_),
      data_member_(other.data_member_),
      control_(std::move(other.control_)),
      control_files_(std::move(other.control_files_)) {}

Deb::~Deb() {
  if (bytes_ != nullptr) {
    ::munmap(bytes_, size_);
  }
}

Result<Deb> Deb::open(int descriptor, const Digest& expected, const DebLimits& limits) {
  Deb deb(limits);
  TRY(deb.map(descriptor, expected));
  TRY(deb.find_members());
  TRY(deb.read_control());
  return deb;
}

Result<void> Deb::map(int descriptor, const Digest& expected) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    return system_error("cannot look at a package", errno);
  }
  if (!S_ISREG(status.st_mode) || status.st_size <= 0) {
    return not_a_package("it is empty");
  }
  size_ = static_cast<std::size_t>(status.st_size);
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
  if (mapped == MAP_FAILED) {
    return system_error("cannot map a package", errno);
  }
  bytes_ = static_cast<char*>(mapped);
  const Digest found = sha256(std::string_view(bytes_, size_));
  if (found != expected) {
    return Error{ErrorKind::corrupt,
                 "a package has digest " + found.text() + " instead of " + expected.text(),
                 "remove the file from the package cache; it is fetched again"};
  }
  return {};
}

Result<void> Deb::find_members() {
  std::string_view rest(bytes_, size_);
  if (!rest.starts_with(kArMagic)) {
    return not_a_package("no ar signature");
  }
  rest.remove_prefix(kArMagic.size());
  const ArMember version = TRY(take_member(rest));
  if (version.name != "debian-binary" || !version.content.starts_with("2.")) {
    return not_a_package("its first member is not debian-binary 2.x");
  }
  while (!rest.empty() && data_member_.content.empty()) {
    const ArMember member = TRY(take_member(rest));
    if (const auto control = ending_after(member.name, "control.tar")) {
      if (!control_member_.content.empty()) {
        return not_a_package("it has two control.tar");
      }
      control_member_ = {member.content, *control};
    } else if (const auto data = ending_after(member.name, "data.tar")) {
      data_member_ = {member.content, *data};
    } else if (!member.name.starts_with("_")) {
      return not_a_package("unexpected member '" + std::string(member.name) + "'");
    }
  }
  if (control_member_.content.empty() || data_member_.content.empty()) {
    return not_a_package("control.tar or data.tar is missing");
  }
  return {};
}

Result<void> Deb::take_control_file(const TarEntry& entry,
                                    const DataSource& data,
                                    std::uint64_t& total) {
  if (entry.kind == TarEntry::Kind::directory) {
    return {};
  }
  const std::string name = entry.path.substr(1);
  if (entry.kind != TarEntry::Kind::file || !is_control_file_name(name)) {
    return Error{ErrorKind::invalid_input, "control.tar holds an unusual member"};
  }
  total += entry.size;
  if (is_parsed(name) && entry.size > limits_.parsed.value) {
    return Error{ErrorKind::invalid_input,
                 name + " is larger than " + to_text(limits_.parsed),
                 "no honest package needs this: leave it out, or ask where it comes from"};
  }
  if (total > limits_.control.value) {
    return Error{ErrorKind::invalid_input,
                 "the files of control.tar are larger than " + to_text(limits_.control),
                 "no honest package needs this: leave it out, or ask where it comes from"};
  }
  ControlFile file{name, entry.mode, entry.modified, {}};
  while (const auto piece = TRY(data())) {
    file.content.resize(piece->offset, '\0');
    file.content += piece->bytes;
  }
  file.content.resize(entry.size, '\0');
  if (name == "control") {
    control_ = TRY(ControlParagraph::parse(file.content));
  } else {
    control_files_.push_back(std::move(file));
  }
  return {};
}

Result<void> Deb::read_control() {
  std::uint64_t total = 0;
  DebLimits limits = limits_;
  limits.unpacked = Bytes{limits_.control.value + limits_.header.value};  // headers count too
  limits.expansion = 0;
  limits.entries = 1000;
  const PackedTar tar{control_member_.content, control_member_.ending};
  TRY(visit_tar(tar, limits, [&](const TarEntry& entry, const DataSource& data) {
        return take_control_file(entry, data, total);
      }).context("control.tar"));
  if (control_.get("Package").empty() || control_.get("Version").empty() ||
      control_.get("Architecture").empty()) {
    return not_a_package("its control file names no package, version or architecture");
  }
  return {};
}

const ControlFile* Deb::control_file(std::string_view name) const {
  const auto found = std::find_if(control_files_.begin(),
                                  control_files_.end(),
                                  [&](const ControlFile& file) { return file.name == name; });
  return found == control_files_.end() ? nullptr : &*found;
}

Result<void> Deb::visit(
    const std::function<Result<void>(const TarEntry&, const DataSource&)>& visitor) const {
  return visit_tar({data_member_.content, data_member_.ending}, limits_, visitor);
}

}  // namespace goldmill::guest
