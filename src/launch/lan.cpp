// SPDX-License-Identifier: GPL-3.0-or-later
#include "lan.hpp"

#include <cerrno>
#include <chrono>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>

#include <goldmill/launch/launch.hpp>
#include <goldmill/machine/qmp.hpp>
#include <goldmill/machine/tap.hpp>
#include <goldmill/system/message.hpp>

#include "lan_worker.hpp"
#include "tcp.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
constexpr std::chrono::seconds kPatience(20);

fs::path directory_of(const fs::path& home, const std::string& name) {
  return home / "networks" / name;
}

/// One for all networks: a directory may go while somebody waits for what lies in it.
Result<system::FileLock> lock_of_all(const fs::path& home) {
  TRY(system::make_directories(home / "networks", 0700));
  return system::FileLock::acquire(home / "networks/.lock", system::FileLock::Mode::exclusive);
}

/// Asks for something; the answer comes only from one that still serves.
Result<system::Message> ask(int connection, char what) {
  TRY(system::send_message(connection, what));
  return system::receive_message(connection, kPatience);
}

Result<void> start_keeper(const fs::path& directory) {
  const UniqueFd door = TRY(machine::listen_unix(directory / "socket"));
  const UniqueFd log =
      TRY(system::open_file(directory / "log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600));
  return system::start_service({.name = std::string(kLanWorker),
                                .confinement = system::Confinement::sandbox,
                                .hands = {door.get()},
                                .output = log.get()});
}
}  // namespace

Result<Lan> Lan::find(const fs::path& home, const std::string& name) {
  auto connection = machine::connect_unix(directory_of(home, name) / "socket");
  // It may have been about to end.
  const Result<system::Message> answer =
      connection ? ask(connection->get(), 's') : Result<system::Message>(connection.error());
  if (!answer) {
    return Error{ErrorKind::unavailable,
                 "nobody keeps the network " + name + ": " + answer.error().message,
                 "those on it come into a new one by goldmill stop and goldmill start"};
  }
  return Lan(std::move(connection).value());
}

Result<Lan> Lan::join(const fs::path& home, const std::string& name) {
  if (auto lan = find(home, name)) {
    return lan;
  }
  const auto guard = TRY(lock_of_all(home));
  if (auto lan = find(home, name)) {
    return lan;
  }
  TRY(system::make_directories(directory_of(home, name), 0700));
  TRY(start_keeper(directory_of(home, name)).context("while starting the network " + name));
  return find(home, name);
}

void Lan::forget(const fs::path& home, const std::string& name) {
  const auto guard = lock_of_all(home);
  // The keeper of one whose last member has just been killed takes a moment to notice.
  for (int look = 0; guard && look < 20; ++look) {
    if (!find(home, name)) {
      (void)system::remove_tree(directory_of(home, name));
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<UniqueFd> Lan::plug_in() {
  system::Message answer = TRY(ask(connection_.get(), 't'));
  if (answer.kind == 't' && answer.descriptor) {
    return std::move(answer.descriptor);
  }
  auto tap = machine::open_tap_in(answer.descriptor.get(),
                                  [] { return machine::open_tap_on(kLanBridge); });
  if (!tap) {
    return std::move(tap).error();
  }
  return std::move(tap->file);
}

int Lan::membership() {
  ::shutdown(connection_.get(), SHUT_WR);
  return connection_.get();
}

Result<UniqueFd> Lan::connect(const std::string& address, std::uint16_t port) {
  system::Message answer = TRY(ask(connection_.get(), 's'));
  return connect_tcp(std::move(answer.descriptor), address, port);
}

}  // namespace goldmill::launch
