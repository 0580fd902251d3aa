// SPDX-License-Identifier: GPL-3.0-or-later
// HostFiles: the hosts under `home`/hosts.
#pragma once

#include <goldmill/launch/hosts.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::launch {

class HostFiles {
 public:
  explicit HostFiles(const std::filesystem::path& home) : directory_(home / "hosts") {}

  /// Sorted by name; one whose file is damaged stands among them.
  std::vector<Host> all() const;
  /// Those of these names, or all where none is given. Errors: not_found, with a suggestion; also
  /// where no host is known at all.
  Result<std::vector<Host>> chosen(const std::vector<std::string>& names) const;
  Result<void> put(const Host& host) const;
  Result<void> remove(const std::string& name) const;
  /// For what one goldmill at a time may do on the host.
  Result<system::FileLock> lock(const std::string& name) const;

 private:
  std::filesystem::path file(const std::string& name) const;

  std::filesystem::path directory_;
};

/// "host1" of "qemu+ssh://root@host1.example.org/system", "local" of "qemu:///system".
std::string name_from_uri(const std::string& uri);

/// For each of `count` instances the host that is least full with it and those before it: by its
/// memory or its processors, whichever they take the larger share of; of equals the first. Once no
/// host has the memory, "". Processors only guide the choice: they may be promised several times.
std::vector<std::string> place(const std::vector<HostStatus>& hosts,
                               int count,
                               const Capacity& each);

}  // namespace goldmill::launch
