// SPDX-License-Identifier: GPL-3.0-or-later
// Identity: what a source may give an instance, and nothing else. Every value has been checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace goldmill::agent {

struct SshKey {
  std::string user;  ///< "": the image's default user
  std::string line;
};

/// Static addresses of the interface with this MAC.
struct Network {
  std::string mac;
  std::vector<std::string> addresses;  ///< with prefix length
  std::vector<std::string> gateways;
  std::vector<std::string> dns;
  std::vector<std::string> domains;
};

struct Identity {
  std::string source = "none";  ///< port, cidata, config-2, ec2, openstack, none
  std::string hostname;         ///< "": the image's
  std::string instance_id;
  std::vector<std::string> seeds;
  std::vector<SshKey> ssh_keys;
  std::vector<Network> networks;
  std::optional<std::string> user_data;
  /// Of a guest that goes on from a saved state: all that it had before is another's.
  bool resumes = false;
  std::string link;           ///< the name of its network card, when it resumes
  std::string mac;            ///< of this card
  std::uint64_t unix_ns = 0;  ///< what time it is, when it resumes; 0: unknown
};

constexpr std::size_t kMostKeys = 64;
constexpr std::size_t kMostNetworks = 8;
constexpr std::size_t kMostSeeds = 8;
constexpr std::size_t kMostUserData = std::size_t{256} * 1024;

}  // namespace goldmill::agent
