// SPDX-License-Identifier: GPL-3.0-or-later
#include "openstack_project.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

#include <arpa/inet.h>

#include <goldmill/base/base64.hpp>
#include <goldmill/base/digest.hpp>
#include <goldmill/base/suggestion.hpp>

namespace goldmill::launch {

namespace {
constexpr const char* kTag = "goldmill";
constexpr const char* kMark = "goldmill_instance";
/// Of a list; Nova gives at most 1000 at once, so this is more than a project has.
constexpr int kMostPages = 500;
constexpr const char* kPageSize = "500";

std::string fleet_tag(const std::string& fleet) {
  return "fleet-" + fleet;  // Nova's tags have at most 60 characters: fleets' names are shorter
}

Bytes bytes_from(const Json& object, const char* key, Bytes unit) {
  const std::int64_t count = find_integer(object, key).value_or(0);
  constexpr std::int64_t kMost = 1LL << 32;
  return Bytes{static_cast<std::uint64_t>(std::clamp<std::int64_t>(count, 0, kMost)) * unit.value};
}

bool is_large_enough(const Flavor& flavor, const FlavorWish& wish) {
  return flavor.memory >= wish.memory && flavor.cpus >= wish.cpus &&
         (flavor.disk.value == 0 || flavor.disk >= wish.disk);
}

std::string described(const Flavor& flavor) {
  return said_by(flavor.name) + " (" + to_text(flavor.memory) + ", " + std::to_string(flavor.cpus) +
         " processors, disk " + (flavor.disk.value == 0 ? "as the image's" : to_text(flavor.disk)) +
         ")";
}

/// The smallest ones first, which is how `flavors` come.
std::string those_that_fit(const std::vector<Flavor>& flavors, const FlavorWish& wish) {
  constexpr int kMost = 8;
  std::string names;
  int count = 0;
  for (const Flavor& flavor : flavors) {
    if (is_large_enough(flavor, wish) && ++count <= kMost) {
      names += (names.empty() ? "" : ", ") + described(flavor);
    }
  }
  return count == 0      ? "none is large enough: ask the cloud's administrator for one"
         : count > kMost ? "these fit: " + names + ", ..."
                         : "these fit: " + names;
}
}  // namespace

Result<Flavor> choose_flavor(std::vector<Flavor> flavors, const FlavorWish& wish) {
  const auto size = [](const Flavor& flavor) {
    return std::tuple(flavor.memory, flavor.cpus, flavor.disk, flavor.name);
  };
  std::sort(flavors.begin(), flavors.end(), [&size](const Flavor& a, const Flavor& b) {
    return size(a) < size(b);
  });
  const auto found = std::find_if(flavors.begin(), flavors.end(), [&wish](const Flavor& flavor) {
    return wish.name.empty() ? is_large_enough(flavor, wish)
                             : flavor.name == wish.name || flavor.id == wish.name;
  });
  const std::string need = to_text(wish.memory) + " of memory, " + std::to_string(wish.cpus) +
                           " processor" + (wish.cpus == 1 ? "" : "s") + " and a disk of " +
                           to_text(wish.disk);
  if (found == flavors.end()) {
    return Error{ErrorKind::not_found,
                 wish.name.empty() ? "the cloud has no flavour with " + need
                                   : "the cloud has no flavour '" + wish.name + "'",
                 those_that_fit(flavors, wish)};
  }
  if (!is_large_enough(*found, wish)) {
    return Error{ErrorKind::invalid_input,
                 "flavour " + described(*found) + " is too small: the instances need " + need,
                 those_that_fit(flavors, wish)};
  }
  return *found;
}

Result<std::vector<Json>> CloudProject::pages(CloudService service,
                                              const std::string& path,
                                              const std::string& list) const {
  std::vector<Json> all;
  std::string marker;
  for (int page = 0; page < kMostPages; ++page) {
    const char separator = path.find('?') == std::string::npos ? '?' : '&';
    const Json body = TRY(cloud_->get(
        service,
        path + separator + "limit=" + kPageSize + (marker.empty() ? "" : "&marker=" + marker)));
    const Json* entries = find_value(body, list);
    if (entries == nullptr || !entries->is_array()) {
      return Error{ErrorKind::unavailable,
                   "cloud " + cloud_->name() + " answers without '" + list + "'",
                   "is its address in the catalogue right?"};
    }
    all.insert(all.end(), entries->begin(), entries->end());
    const auto last = entries->empty() ? std::nullopt : find_string(entries->back(), "id");
    if (!last || *last == marker || find_value(body, list + "_links") == nullptr) {
      return all;
    }
    marker = system::url_escaped(*last);
  }
  return Error{ErrorKind::unavailable,
               "cloud " + cloud_->name() + " gives '" + list + "' without an end"};
}

Result<Flavor> CloudProject::flavor(const FlavorWish& wish) const {
  std::vector<Flavor> flavors;
  for (const Json& entry : TRY(pages(CloudService::compute, "/flavors/detail", "flavors"))) {
    const auto id = find_string(entry, "id");
    const auto cpus = find_integer(entry, "vcpus").value_or(0);
    if (id && cpus > 0 && cpus < std::numeric_limits<int>::max()) {
      flavors.push_back({*id,
                         find_string(entry, "name").value_or(*id),
                         bytes_from(entry, "ram", 1_MiB),
                         static_cast<int>(cpus),
                         bytes_from(entry, "disk", 1_GiB)});
    }
  }
  return choose_flavor(std::move(flavors), wish).context("cloud " + cloud_->name());
}

Result<Room> CloudProject::room_for(const Flavor& flavor) const {
  const Json body = TRY(cloud_->get(CloudService::compute, "/limits"));
  const Json* limits = find_value(body, "limits");
  const Json* numbers = limits == nullptr ? nullptr : find_value(*limits, "absolute");
  Room room;
  const auto bound = [&](const char* most, const char* used, std::int64_t each, const char* unit) {
    const auto all = numbers == nullptr ? std::nullopt : find_integer(*numbers, most);
    if (!all || *all < 0 || each <= 0) {  // -1: no limit
      return;
    }
    const std::int64_t taken = std::max<std::int64_t>(0, find_integer(*numbers, used).value_or(0));
    const std::int64_t fit = *all > taken ? (*all - taken) / each : 0;
    if (!room.servers || fit < *room.servers) {
      room.servers = fit;
      room.limit =
          std::to_string(*all) + unit + ", of which " + std::to_string(taken) + " are in use";
    }
  };
  bound("maxTotalInstances", "totalInstancesUsed", 1, " instances");
  bound("maxTotalCores", "totalCoresUsed", flavor.cpus, " processors");
  bound("maxTotalRAMSize",
        "totalRAMUsed",
        static_cast<std::int64_t>(flavor.memory.value >> 20U),
        " MiB of memory");
  return room;
}

Result<std::string> CloudProject::network(const std::string& name) const {
  std::vector<std::string> names;
  std::vector<std::string> ids;
  std::vector<std::string> own;
  for (const Json& entry : TRY(pages(CloudService::network, "/networks", "networks"))) {
    const auto id = find_string(entry, "id");
    if (!id || !is_cloud_id(*id)) {
      continue;
    }
    const std::string called = find_string(entry, "name").value_or("");
    if (*id == name) {
      return *id;
    }
    if (!name.empty() && called == name) {
      ids.push_back(*id);
    }
    if (!find_bool(entry, "router:external").value_or(false)) {  // those give floating addresses
      own.push_back(*id);
    }
    names.push_back(said_by(called.empty() ? *id : called));
  }
  if (name.empty()) {
    if (own.size() > 1) {
      return Error{ErrorKind::invalid_input,
                   "cloud " + cloud_->name() + " has several networks",
                   "say which, --network network=NAME: " + did_you_mean("", names)};
    }
    return own.empty() ? "" : own.front();
  }
  if (ids.size() == 1) {
    return ids.front();
  }
  return ids.empty() ? Error{ErrorKind::not_found,
                             "cloud " + cloud_->name() + " has no network '" + name + "'",
                             names.empty() ? "it has none at all" : did_you_mean(name, names)}
                     : Error{ErrorKind::invalid_input,
                             "cloud " + cloud_->name() + " has several networks '" + name + "'",
                             "give its id: --network network=" + ids.front()};
}

namespace {
/// What ssh-keygen makes, and no certificate of Windows, which are key pairs of a cloud, too.
bool is_key_line(std::string_view line) {
  return line.starts_with("ssh-") || line.starts_with("ecdsa-sha2-") || line.starts_with("sk-");
}
}  // namespace

Result<std::string> CloudProject::public_key(const std::string& key_pair) const {
  const CloudAnswer answer =
      TRY(cloud_->send({.path = "/os-keypairs/" + system::url_escaped(key_pair)}));
  if (answer.status == 404) {
    return Error{ErrorKind::not_found,
                 "the user of cloud " + cloud_->name() + " has no key pair '" + key_pair + "'",
                 "openstack keypair list shows them"};
  }
  if (!answer.is_good()) {
    return refusal(answer, "key pair " + key_pair);
  }
  const Json* found = find_value(answer.body, "keypair");
  const auto line = found == nullptr ? std::nullopt : find_string(*found, "public_key");
  if (!line || !is_key_line(*line) || line->size() > 16384) {
    return Error{ErrorKind::unavailable, "key pair " + key_pair + " has no SSH public key"};
  }
  return line->substr(0, line->find_last_not_of(" \t\r\n") + 1);
}

Result<std::string> CloudProject::key_pair_of(const std::string& lines) const {
  const std::string name = "goldmill-" + sha256(lines).brief();
  const CloudAnswer made = TRY(cloud_->send(
      {.method = "POST",
       .path = "/os-keypairs",
       .body = {{"keypair", {{"name", name}, {"public_key", lines}, {"type", "ssh"}}}}}));
  if (made.is_good()) {
    return name;
  }
  if (made.status != 409) {
    return refusal(made, "cannot make key pair " + name);
  }
  if (TRY(public_key(name)) != lines) {
    return Error{ErrorKind::conflict,
                 "key pair " + name + " holds other keys than goldmill gave it",
                 "remove it: openstack keypair delete " + name};
  }
  return name;
}

CloudProject::Created CloudProject::create(const ServerSpec& spec) const {
  Json server = {{"name", spec.name},
                 {"imageRef", spec.image},
                 {"flavorRef", spec.flavor},
                 {"key_name", spec.key_pair},
                 {"config_drive", true},  // the agent needs no network for it
                 {"metadata", {{kMark, spec.mark}, {"goldmill_fleet", spec.fleet}}},
                 {"tags", {kTag, fleet_tag(spec.fleet)}},
                 {"networks", "none"}};
  if (!spec.network.empty()) {
    server["networks"] = Json::array({Json{{"uuid", spec.network}}});
  }
  if (!spec.user_data.empty()) {
    server["user_data"] = base64(spec.user_data);
  }
  const auto answer =
      cloud_->send({.method = "POST", .path = "/servers", .body = {{"server", std::move(server)}}});
  if (!answer) {
    return {.doubt = answer.error().text()};
  }
  if (!answer->is_good()) {
    Error error = refusal(*answer, "Nova refuses it");
    return answer->status >= 500 ? Created{.doubt = error.text()} : Created{.refused = error};
  }
  const Json* made = find_value(answer->body, "server");
  const auto id = made == nullptr ? std::nullopt : find_string(*made, "id");
  return id && is_cloud_id(*id) ? Created{.id = *id}
                                : Created{.doubt = "Nova took it and names no id"};
}

namespace {
bool is_address(const std::string& text) {
  in6_addr bytes{};
  return ::inet_pton(AF_INET, text.c_str(), &bytes) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &bytes) == 1;
}

/// A floating one before a fixed one, IPv4 before IPv6.
std::string address_of(const Json& addresses) {
  std::string best;
  int best_rank = -1;
  for (const auto& [network, list] : addresses.items()) {
    for (const Json& entry : list) {
      const std::string address = find_string(entry, "addr").value_or("");
      const int rank = (find_string(entry, "OS-EXT-IPS:type") == "floating" ? 2 : 0) +
                       (address.find(':') == std::string::npos ? 1 : 0);
      if (rank > best_rank && is_address(address)) {
        best = address;
        best_rank = rank;
      }
    }
  }
  return best;
}
}  // namespace

Result<Server> server_of(const Json& json) {
  Server server;
  server.id = find_string(json, "id").value_or("");
  if (!is_cloud_id(server.id)) {
    return Error{ErrorKind::corrupt, "Nova describes a server without an id"};
  }
  server.status = said_by(find_string(json, "status").value_or("").substr(0, 32));
  server.updated = said_by(find_string(json, "updated").value_or("").substr(0, 32));
  if (const Json* metadata = find_value(json, "metadata")) {
    server.mark = find_string(*metadata, kMark).value_or("");
  }
  if (const Json* fault = find_value(json, "fault")) {
    server.fault = said_by(find_string(*fault, "message").value_or(""));
  }
  if (const Json* addresses = find_value(json, "addresses"); addresses && addresses->is_object()) {
    server.address = address_of(*addresses);
  }
  return server;
}

Result<std::vector<Server>> CloudProject::servers(const std::string& fleet,
                                                  const std::string& since) const {
  const std::string tags = std::string(kTag) + (fleet.empty() ? "" : "," + fleet_tag(fleet)) +
                           (since.empty() ? "" : "&changes-since=" + since);
  std::vector<Server> servers;
  for (const Json& entry :
       TRY(pages(CloudService::compute, "/servers/detail?tags=" + tags, "servers"))) {
    if (auto server = server_of(entry)) {
      servers.push_back(std::move(server).value());
    }
  }
  return servers;
}

Result<std::optional<Server>> CloudProject::server(const std::string& id) const {
  const CloudAnswer answer = TRY(cloud_->send({.path = "/servers/" + id}));
  if (answer.status == 404) {
    return std::optional<Server>();
  }
  const Json* about = find_value(answer.body, "server");
  if (!answer.is_good() || about == nullptr) {
    return refusal(answer, "server " + id);
  }
  return std::optional(TRY(server_of(*about)));
}

Result<void> CloudProject::act(const std::string& id, const std::string& action) const {
  const CloudAnswer answer = TRY(cloud_->send(
      {.method = "POST", .path = "/servers/" + id + "/action", .body = {{action, Json()}}}));
  return answer.is_good() ? Result<void>() : refusal(answer, "server " + id);
}

Result<void> CloudProject::remove(const std::string& id) const {
  const CloudAnswer answer = TRY(cloud_->send({.method = "DELETE", .path = "/servers/" + id}));
  return answer.is_good() || answer.status == 404 ? Result<void>()
                                                  : refusal(answer, "server " + id);
}

Result<std::string> CloudProject::console_text(const std::string& id) const {
  const CloudAnswer answer = TRY(cloud_->send({.method = "POST",
                                               .path = "/servers/" + id + "/action",
                                               .body = {{"os-getConsoleOutput", Json::object()}}}));
  if (!answer.is_good()) {
    return refusal(answer, "Nova has no console for it");
  }
  return find_string(answer.body, "output").value_or("");
}

}  // namespace goldmill::launch
