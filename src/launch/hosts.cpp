// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/system/side_by_side.hpp>

#include "host_file.hpp"
#include "libvirt_host.hpp"
#include "record.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {

bool is_word(const std::string& name) {
  return !name.empty() && name.size() <= 48 && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

HostStatus status_of(const Host& host) {
  const auto connection = LibvirtHost::connect(host);
  const auto capacity = connection ? connection->capacity() : Result<Capacity>(connection.error());
  if (capacity) {
    return {host, *capacity, ""};
  }
  const Error& error = capacity.error();
  return {host, std::nullopt, error.text() + (error.hint.empty() ? "" : "; " + error.hint)};
}
}  // namespace

Result<HostStatus> add_host(const fs::path& home, Host host) {
  host.name = host.name.empty() ? name_from_uri(host.uri) : host.name;
  if (!is_word(host.name) || !is_word(host.pool)) {
    return Error{
        ErrorKind::invalid_input,
        "'" + (is_word(host.name) ? host.pool : host.name) + "' is no name for a host or pool",
        "give --name NAME of a-z, 0-9, - and _; a URI is as libvirt's: "
        "qemu+ssh://root@host1/system"};
  }
  if (!host.uri.starts_with("qemu:") && !host.uri.starts_with("qemu+")) {
    return Error{ErrorKind::invalid_input,
                 "'" + host.uri + "' is not the URI of a libvirt that runs QEMU",
                 "give one as libvirt's: qemu+ssh://root@host1/system, or qemu:///system for this "
                 "machine's"};
  }
  const HostFiles files(home);
  for (const Host& known : files.all()) {
    const bool same = known.uri == host.uri && known.pool == host.pool;
    if (known.name == host.name && known.damage.empty() && !same) {
      return Error{
          ErrorKind::conflict,
          "there is a host " + known.name + " already: " + known.uri + ", pool " + known.pool,
          "give this one another name (--name NAME), or remove that one"};
    }
  }
  const auto connection = TRY(LibvirtHost::connect(host));
  HostStatus status{host, TRY(connection.capacity()), ""};
  TRY(files.put(host));
  return status;
}

Result<void> remove_host(const fs::path& home, const std::string& name, bool forget) {
  const HostFiles files(home);
  const Records records(home);
  std::vector<std::string> here;
  for (const Record& record : TRY(records.load_all("libvirt"))) {
    if (record.instance.host == name) {
      here.push_back(record.instance.name);
    }
  }
  if (const auto known = files.chosen({name}); !known && here.empty()) {
    return known.error();
  }
  if (!here.empty() && !forget) {
    return Error{ErrorKind::conflict,
                 "host " + name + " has " + std::to_string(here.size()) + " instances, " +
                     here.front() + " for one",
                 "remove them (goldmill rm), or say --forget when the host is gone for good"};
  }
  for (const std::string& instance : here) {
    TRY(records.erase(instance));
  }
  return files.remove(name);
}

Result<std::vector<HostStatus>> list_hosts(const fs::path& home) {
  const std::vector<Host> hosts = HostFiles(home).all();
  std::vector<HostStatus> statuses(hosts.size());
  system::side_by_side(
      hosts.size(), hosts.size(), [&](std::size_t i) { statuses[i] = status_of(hosts[i]); });
  return statuses;
}

}  // namespace goldmill::launch
