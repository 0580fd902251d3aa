// SPDX-License-Identifier: GPL-3.0-or-later
// Hosts: the machines whose libvirt runs instances, as `hosts/NAME.json` keeps them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::launch {

struct Host {
  std::string name;
  std::string uri;          ///< as libvirt names it: qemu+ssh://root@host1/system
  std::string pool;         ///< of directories; made when it is not there
  std::string accelerator;  ///< "kvm" or "tcg"; "": kvm where its libvirt offers it
  std::string damage = {};  ///< "" or why its file says nothing: all that is known is the name
};

/// What a host can give now.
struct Capacity {
  Bytes memory;  ///< that programs can still get
  int cpus = 0;
};

struct HostStatus {
  Host host;
  std::optional<Capacity> capacity;  ///< none: it cannot be reached, as `error` says
  std::string error;
};

/// Errors: invalid_input (a name that others have, or a word that is no name or URI), unavailable
/// (it cannot be reached). A `name` of "" is taken from the URI.
Result<HostStatus> add_host(const std::filesystem::path& home, Host host);
/// Errors: not_found; conflict (instances of it are recorded here), unless `forget` drops these.
Result<void> remove_host(const std::filesystem::path& home, const std::string& name, bool forget);
/// By name, each asked now, side by side.
Result<std::vector<HostStatus>> list_hosts(const std::filesystem::path& home);

}  // namespace goldmill::launch
