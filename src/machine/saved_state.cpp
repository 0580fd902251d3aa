// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/machine/saved_state.hpp>

namespace goldmill::machine {

using system::UniqueFd;

namespace {
constexpr std::size_t kPage = 4096;
constexpr std::size_t kPiece = 1U << 20;
constexpr auto kMigrationLimit = std::chrono::minutes(2);

/// Waits for the end of QEMU's migration, as it calls both directions.
Result<void> await_migration(Qmp& control, const char* what) {
  const auto end = std::chrono::steady_clock::now() + kMigrationLimit;
  while (std::chrono::steady_clock::now() < end) {
    const Json answer = TRY(control.execute("query-migrate"));
    const std::string status = find_string(answer, "status").value_or("");
    if (status == "completed") {
      return {};
    }
    if (status == "failed" || status == "cancelled") {
      return Error{ErrorKind::tool_failed,
                   std::string("QEMU could not ") + what + " the saved state: " +
                       find_string(answer, "error-desc").value_or("it gave no reason")};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return Error{ErrorKind::cancelled, std::string("QEMU did not ") + what + " the state in time"};
}

Result<void> hand_over(Qmp& control, int file) {
  // Memory that other machines may share is in its own file, not in the state.
  const Json capability = {{"capability", "x-ignore-shared"}, {"state", true}};
  TRY(control.execute("migrate-set-capabilities",
                      Json{{"capabilities", Json::array({capability})}}));
  TRY(control.execute("getfd", Json{{"fdname", "state"}}, file));
  return {};
}

bool is_zero(std::string_view page) {
  return page.front() == '\0' && page.find_first_not_of('\0') == std::string_view::npos;
}

using PageTaker = std::function<Result<void>(std::string_view page, off_t offset)>;

/// Hands over each page of the file that is not zero, in order.
Result<void> read_pages(int file, const PageTaker& take) {
  std::vector<char> piece(kPiece);
  for (off_t at = ::lseek(file, 0, SEEK_DATA); at >= 0; at = ::lseek(file, at, SEEK_DATA)) {
    at -= at % static_cast<off_t>(kPage);
    const ssize_t count = ::pread(file, piece.data(), piece.size(), at);
    if (count <= 0) {
      return system_error("cannot read a machine's memory", count == 0 ? EIO : errno);
    }
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < bytes.size(); i += kPage) {
      const std::string_view page = bytes.substr(i, kPage);
      if (!is_zero(page)) {
        TRY(take(page, at + static_cast<off_t>(i)));
      }
    }
    at += count;
  }
  return errno == ENXIO ? Result<void>() : system_error("cannot seek in a machine's memory", errno);
}

Result<void> write_page(int file, std::string_view page, off_t offset) {
  const ssize_t count = ::pwrite(file, page.data(), page.size(), offset);
  if (count != static_cast<ssize_t>(page.size())) {
    return system_error("cannot write a machine's memory", count >= 0 ? ENOSPC : errno);
  }
  return {};
}

/// Copies the pages that are not zero. The digest covers the size, and each page with its place.
Result<Digest> copy_pages(int from, int to) {
  struct stat status {};
  if (::fstat(from, &status) != 0 || ::ftruncate(to, status.st_size) != 0) {
    return system_error("cannot set the size of a machine's memory", errno);
  }
  Sha256 digest;
  const auto add_number = [&digest](off_t number) { digest.update(std::to_string(number) + "\n"); };
  add_number(status.st_size);
  TRY(read_pages(from, [&](std::string_view page, off_t offset) -> Result<void> {
    add_number(offset);
    digest.update(page);
    return write_page(to, page, offset);
  }));
  return digest.finish();
}
}  // namespace

Result<UniqueFd> make_memory(Bytes size) {
  UniqueFd memory(::memfd_create("goldmill-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size.value)) != 0) {
    return system_error("cannot make a machine's memory of " + to_text(size), errno);
  }
  return memory;
}

Result<void> save_state(Qmp& control, int file) {
  TRY(control.execute("stop"));
  TRY(hand_over(control, file));
  TRY(control.execute("migrate", Json{{"uri", "fd:state"}}));
  return await_migration(control, "write");
}

Result<void> load_state(Qmp& control, int file) {
  TRY(hand_over(control, file));
  TRY(control.execute("migrate-incoming", Json{{"uri", "fd:state"}}));
  return await_migration(control, "read");
}

Result<void> set_link(Qmp& control, bool up) {
  TRY(control.execute("set_link", Json{{"name", "network"}, {"up", up}}));
  return {};
}

Result<Digest> store_memory(int memory, int file) {
  const Digest digest = TRY(copy_pages(memory, file));
  if (::fdatasync(file) != 0) {
    return system_error("cannot sync a machine's memory", errno);
  }
  return digest;
}

Result<UniqueFd> load_memory(int file, const Digest& digest) {
  UniqueFd memory = TRY(make_memory(Bytes{0}));
  if (TRY(copy_pages(file, memory.get())) != digest) {
    return Error{ErrorKind::corrupt, "a saved machine's memory is damaged"};
  }
  if (::fcntl(memory.get(),
              F_ADD_SEALS,
              F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return system_error("cannot seal a machine's memory", errno);
  }
  return memory;
}

}  // namespace goldmill::machine
