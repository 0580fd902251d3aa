// SPDX-License-Identifier: GPL-3.0-or-later
// QEMU's control socket: JSON commands and answers (QEMU's docs/interop/qmp-spec.txt).
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::machine {

/// Answers are bounded (1 MiB) and awaited for a limited time: QEMU may be under a guest's control.
class Qmp {
 public:
  /// Errors: unavailable (nobody listens, or another client is served), cancelled (time).
  static Result<Qmp> connect(const std::filesystem::path& socket,
                             std::chrono::milliseconds limit = std::chrono::seconds(5));

  /// The command's return value. `descriptor` goes along for add-fd and getfd.
  /// Errors: tool_failed with QEMU's description.
  Result<Json> execute(std::string_view command,
                       const Json& arguments = Json::object(),
                       int descriptor = -1);

 private:
  Qmp(system::UniqueFd socket, std::chrono::milliseconds limit)
      : socket_(std::move(socket)), limit_(limit) {}
  Result<Json> next_message();
  Result<void> send(const std::string& line, int descriptor);

  system::UniqueFd socket_;
  std::chrono::milliseconds limit_;
  std::string pending_;
};

/// Unix sockets by paths of any length, which sockaddr_un would refuse beyond 107 bytes.
Result<system::UniqueFd> listen_unix(const std::filesystem::path& path);
Result<system::UniqueFd> connect_unix(const std::filesystem::path& path);

}  // namespace goldmill::machine
