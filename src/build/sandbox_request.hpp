// SPDX-License-Identifier: GPL-3.0-or-later
// What the two sides of OverlaySandbox say to each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::build {

enum class BindKind : std::uint8_t {
  directory,  ///< mounted
  file,       ///< mounted
  content,    ///< copied: guest ids may not read the file itself
};

struct BindRequest {
  std::size_t hand = 0;
  std::string target;
  BindKind kind = BindKind::directory;
  bool writable = false;
  int mode = 0444;
};

/// Hands: the work directory when writable, then the layers from bottom to top, then what the
/// indices below name.
struct SandboxRequest {
  bool writable = false;
  int layers = 0;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<BindRequest> binds;
  int input_hand = -1;
  bool terminal = false;  ///< the input is a terminal, for output and errors too
  int output_hand = -1;
  bool network = false;
  bool real_initramfs = false;
  int processes = 0;
  std::int64_t seconds = 0;
  std::uint64_t memory = 0;
  std::string worker;  ///< call: who goes on, with `inner`, from the hand `slot` on
  Json inner = Json::object();
  int slot = 0;
};

Json to_json(const SandboxRequest& request);
Result<SandboxRequest> request_of(const Json& json);

Result<Json> sandbox_run(system::WorkerContext& context);
Result<Json> sandbox_call(system::WorkerContext& context);
Result<Json> sandbox_read(system::WorkerContext& context);

}  // namespace goldmill::build
