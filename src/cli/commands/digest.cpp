// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/image/disk.hpp>
#include <goldmill/system/file.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

/// What is no raw disk has a digest too, but one that no image will ever have.
Result<void> check_raw(int file, const std::string& name) {
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    return system_error("cannot measure " + name, errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorKind::invalid_input, name + " is not a plain file", "give a raw disk"};
  }
  std::array<char, 4> start{};
  if (::pread(file, start.data(), start.size(), 0) == 4 &&
      std::string_view(start.data(), 4) == "QFI\xfb") {
    return Error{ErrorKind::invalid_input,
                 name + " is a qcow2 image, and the digest is of a raw disk",
                 "qemu-img convert -O raw " + name + " disk.raw makes one"};
  }
  return {};
}

int run_digest(const Parsed& parsed, Terminal& terminal) {
  const auto digest = [&]() -> Result<Digest> {
    auto file = system::open_file(parsed.argument(0), O_RDONLY | O_NONBLOCK);
    if (!file) {
      file.error().hint = "name a raw disk that you can read";
      return std::move(file).error();
    }
    TRY(check_raw(file->get(), parsed.argument(0)));
    return image::disk_digest(file->get());
  }();
  if (!digest) {
    return terminal.fail(digest.error());
  }
  if (terminal.json()) {
    terminal.print_json({{"file", parsed.argument(0)}, {"disk_digest", digest->text()}});
  } else {
    terminal.print_line(digest->text() + "  " + parsed.argument(0));
  }
  return 0;
}

}  // namespace

Command digest_command() {
  return {.name = "digest",
          .summary = "compute the disk digest of a raw disk",
          .description = {"The disk digest of an image is the SHA-256 over the SHA-256s of the raw "
                          "disk's 1 MiB chunks, so that holes cost nothing and all cores help. Two "
                          "builds gave the same bytes when it is the same."},
          .arguments = {{"FILE", "a raw disk", Argument::Count::one, Completes::files}},
          .examples = {{"goldmill digest base.raw", "as `goldmill show base` says"}},
          .see_also = {"show", "export"},
          .run = run_digest};
}

}  // namespace goldmill::cli
