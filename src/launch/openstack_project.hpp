// SPDX-License-Identifier: GPL-3.0-or-later
// CloudProject: what goldmill uses and does in a project of an OpenStack cloud: flavours, networks,
// key pairs, limits, servers. Source: the API reference of Nova 2.52 and Neutron 2.0.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/bytes.hpp>
#include <goldmill/base/result.hpp>

#include "openstack_cloud.hpp"

namespace goldmill::launch {

struct Flavor {
  std::string id;
  std::string name;
  Bytes memory;
  int cpus = 0;
  Bytes disk;  ///< 0: as large as the image
};

/// What instances need of their flavour.
struct FlavorWish {
  std::string name;  ///< or id; "": the smallest that fits
  Bytes memory;
  int cpus = 1;
  Bytes disk;
};

/// The named one, or the smallest that fits. Errors: not_found, naming those that fit;
/// invalid_input (it is too small).
Result<Flavor> choose_flavor(std::vector<Flavor> flavors, const FlavorWish& wish);

/// How many more servers of a flavour a project may have, and what stands in the way of more.
struct Room {
  std::optional<std::int64_t> servers;  ///< none: no limit
  std::string limit;                    ///< "10 instances, of which 4 are in use"
};

struct ServerSpec {
  std::string name;
  std::string fleet;
  std::string mark;  ///< a UUID by which it is found again
  std::string image;
  std::string flavor;
  std::string network;  ///< id; "": none
  std::string key_pair;
  std::string user_data;
};

/// As Nova describes it. All text is made safe to show.
struct Server {
  std::string id;
  std::string mark;  ///< "": none of goldmill's
  std::string status;
  std::string fault;
  std::string address;       ///< "": none yet
  std::string updated = {};  ///< when it last changed, as Nova writes time
};

class CloudProject {
 public:
  explicit CloudProject(std::shared_ptr<Cloud> cloud) : cloud_(std::move(cloud)) {}

  Cloud& cloud() const { return *cloud_; }

  Result<Flavor> flavor(const FlavorWish& wish) const;
  Result<Room> room_for(const Flavor& flavor) const;
  /// The id of a network by name or id; "": the only one that the project has, none when it has
  /// none. Errors: not_found, invalid_input (there are several).
  Result<std::string> network(const std::string& name) const;
  /// The public key of one of the user's key pairs.
  Result<std::string> public_key(const std::string& key_pair) const;
  /// The name of a key pair of these lines, made unless it is there.
  Result<std::string> key_pair_of(const std::string& lines) const;

  /// Its id, as soon as Nova has taken it. Errors: unavailable also when nobody knows whether Nova
  /// has: then only a search by its mark tells.
  struct Created {
    std::string id = {};                ///< "": not known
    std::optional<Error> refused = {};  ///< it was not made, and will not be
    std::string doubt = {};             ///< why nobody knows
  };
  Created create(const ServerSpec& spec) const;
  /// Those that goldmill made, of one fleet unless that is ""; of those only, unless it is "", that
  /// changed `since`, removed ones among them.
  Result<std::vector<Server>> servers(const std::string& fleet,
                                      const std::string& since = "") const;
  /// Nothing: there is no such server.
  Result<std::optional<Server>> server(const std::string& id) const;
  /// "os-start" or "os-stop". One that is in that state already is no error.
  Result<void> act(const std::string& id, const std::string& action) const;
  /// Begins to remove it. One that is gone is no error.
  Result<void> remove(const std::string& id) const;
  Result<std::string> console_text(const std::string& id) const;

 private:
  /// The elements of a list that comes in pages, all of them.
  Result<std::vector<Json>> pages(CloudService service,
                                  const std::string& path,
                                  const std::string& list) const;

  std::shared_ptr<Cloud> cloud_;
};

/// Errors: corrupt (it has no id that may be used).
Result<Server> server_of(const Json& json);

}  // namespace goldmill::launch
