// SPDX-License-Identifier: GPL-3.0-or-later
#include "sandbox_request.hpp"

namespace goldmill::build {

Json to_json(const SandboxRequest& request) {
  Json binds = Json::array();
  for (const BindRequest& bind : request.binds) {
    binds.push_back({{"hand", bind.hand},
                     {"target", bind.target},
                     {"kind", static_cast<int>(bind.kind)},
                     {"writable", bind.writable},
                     {"mode", bind.mode}});
  }
  return {{"writable", request.writable},
          {"layers", request.layers},
          {"argv", request.argv},
          {"environment", request.environment},
          {"binds", std::move(binds)},
          {"input", request.input_hand},
          {"terminal", request.terminal},
          {"output", request.output_hand},
          {"network", request.network},
          {"initramfs", request.real_initramfs},
          {"processes", request.processes},
          {"seconds", request.seconds},
          {"memory", request.memory},
          {"worker", request.worker},
          {"inner", request.inner},
          {"slot", request.slot}};
}

Result<SandboxRequest> request_of(const Json& json) {
  SandboxRequest request;
  const auto integer = [&](std::string_view key) { return find_integer(json, key).value_or(0); };
  const auto flag = [&](std::string_view key) { return find_bool(json, key).value_or(false); };
  request.writable = flag("writable");
  request.layers = static_cast<int>(integer("layers"));
  request.argv = find_strings(json, "argv");
  request.environment = find_strings(json, "environment");
  request.input_hand = static_cast<int>(TRY(integer_at(json, "input")));
  request.output_hand = static_cast<int>(TRY(integer_at(json, "output")));
  request.terminal = flag("terminal");
  request.network = flag("network");
  request.real_initramfs = flag("initramfs");
  request.processes = static_cast<int>(integer("processes"));
  request.seconds = integer("seconds");
  request.memory = static_cast<std::uint64_t>(integer("memory"));
  request.worker = find_string(json, "worker").value_or("");
  request.slot = static_cast<int>(integer("slot"));
  if (const Json* inner = find_value(json, "inner")) {
    request.inner = *inner;
  }
  const Json* binds = find_value(json, "binds");
  for (const Json& bind : binds != nullptr ? *binds : Json::array()) {
    request.binds.push_back({static_cast<std::size_t>(TRY(integer_at(bind, "hand"))),
                             TRY(string_at(bind, "target")),
                             static_cast<BindKind>(TRY(integer_at(bind, "kind"))),
                             find_bool(bind, "writable").value_or(false),
                             static_cast<int>(TRY(integer_at(bind, "mode")))});
  }
  return request;
}

}  // namespace goldmill::build
