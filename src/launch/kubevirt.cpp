// SPDX-License-Identifier: GPL-3.0-or-later
// KubeVirt: a fleet as Kubernetes objects to be applied, which then start and keep it. Nothing is
// launched from here, so that there is nothing to list, stop or remove.
// Format: KubeVirt's API, pool.kubevirt.io/v1alpha1 and kubevirt.io/v1.
#include <algorithm>
#include <cctype>

#include <goldmill/base/base64.hpp>
#include <goldmill/launch/engine.hpp>
#include <goldmill/machine/ssh.hpp>

namespace goldmill::launch {

namespace {

/// RFC 1123 label, with room for what the pool appends.
bool is_label(const std::string& name) {
  const auto letter_or_digit = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
  };
  return !name.empty() && name.size() <= 54 && letter_or_digit(name.front()) &&
         letter_or_digit(name.back()) && std::all_of(name.begin(), name.end(), [&](char letter) {
           return letter_or_digit(letter) || letter == '-';
         });
}

/// As containers' tools take it; the cluster says whether there is one.
bool is_reference(const std::string& name) {
  const auto is_alphanumeric = [](char letter) {
    return std::isalnum(static_cast<unsigned char>(letter)) != 0;
  };
  return is_alphanumeric(name.front()) && std::all_of(name.begin(), name.end(), [&](char letter) {
           return is_alphanumeric(letter) ||
                  std::string_view("._-/:@").find(letter) != std::string_view::npos;
         });
}

Error no_use(const std::string& what, const std::string& hint) {
  return {ErrorKind::invalid_input, what + " means nothing to KubeVirt", hint};
}

Result<void> check(const LaunchRequest& request) {
  if (request.container_disk.empty()) {
    return Error{ErrorKind::invalid_input,
                 "KubeVirt starts machines from a container image, and none is named",
                 "goldmill export " + request.image +
                     " --format containerdisk, copy it to a registry "
                     "with skopeo, and give its name by --container-disk"};
  }
  if (!is_reference(request.container_disk)) {
    return Error{ErrorKind::invalid_input,
                 "'" + request.container_disk + "' is no name of a container image",
                 "give one as a cluster pulls it: registry.example.org/java:3"};
  }
  if (request.warm || request.prepare_only || request.parallel > 0) {
    return no_use(request.warm           ? "--warm"
                  : request.prepare_only ? "--prepare-only"
                                         : "--parallel",
                  "leave it out");
  }
  if (request.disk_size) {
    return no_use("--disk-size",
                  "the disk in the container image has the size that the recipe gives it");
  }
  if (request.lifetime) {
    return no_use("--for", "delete the pool when its time has come");
  }
  if (request.network.is_shared()) {
    return no_use("--network " + request.network.text(),
                  "instances are on the pods' network; change the manifest for another");
  }
  return {};
}

Json labels(const std::string& fleet) {
  return {{"goldmill.org/fleet", fleet}};
}

std::string key_secret(const std::string& fleet) {
  return fleet + "-ssh-keys";
}

std::string data_secret(const std::string& fleet) {
  return fleet + "-user-data";
}

/// KubeVirt's webhook refuses longer ones (cloudInitUserMaxLen), but in a Secret.
bool fits_manifest(const std::string& user_data) {
  constexpr std::size_t kLongestUserData = 2048;
  return base64(user_data).size() <= kLongestUserData;
}

Json secret(const std::string& name, const std::string& fleet) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata", {{"name", name}, {"labels", labels(fleet)}}}};
}

/// The keys that the instances accept; the agent finds them in the seed disk.
Json secret_of_keys(const LaunchRequest& request, const std::string& fleet) {
  Json keys = secret(key_secret(fleet), fleet);
  for (std::size_t i = 0; i < request.keys.size(); ++i) {
    keys["stringData"]["key" + std::to_string(i + 1)] = request.keys[i].line;
  }
  return keys;
}

Json secret_of_data(const LaunchRequest& request, const std::string& fleet) {
  Json data = secret(data_secret(fleet), fleet);
  data["data"] = {{"userdata", base64(request.user_data)}};
  return data;
}

/// What the seed disk of each holds beside its name.
Json seed_of(const LaunchRequest& request, const std::string& fleet) {
  if (request.user_data.empty()) {
    return {{"userData", "#cloud-config\n"}};  // something must be there
  }
  if (!fits_manifest(request.user_data)) {
    return {{"secretRef", {{"name", data_secret(fleet)}}}};
  }
  return {{"userDataBase64", base64(request.user_data)}};
}

Json domain_of(const LaunchRequest& request) {
  const auto disk = [](const char* name) {
    return Json{{"name", name}, {"disk", {{"bus", "virtio"}}}};
  };
  const Json interface = {{"name", "default"}, {"masquerade", Json::object()}};
  Json domain = {{"cpu", {{"cores", request.cpus}}},
                 {"memory", {{"guest", std::to_string(request.memory.value >> 20U) + "Mi"}}},
                 {"devices",
                  {{"disks", Json::array({disk("system"), disk("identity")})},
                   {"interfaces", Json::array({interface})},
                   {"rng", Json::object()}}}};
  if (request.uefi) {
    domain["firmware"] = {{"bootloader", {{"efi", {{"secureBoot", false}}}}}};
  }
  return domain;
}

/// One instance; KubeVirt gives each its name, by which the agent names the guest.
Json instance(const LaunchRequest& request, const std::string& fleet) {
  const Json volumes =
      Json::array({Json{{"name", "system"}, {"containerDisk", {{"image", request.container_disk}}}},
                   Json{{"name", "identity"}, {"cloudInitNoCloud", seed_of(request, fleet)}}});
  const Json network = {{"name", "default"}, {"pod", Json::object()}};
  Json spec = {
      {"domain", domain_of(request)}, {"networks", Json::array({network})}, {"volumes", volumes}};
  if (!request.keys.empty()) {
    const Json access = {{"source", {{"secret", {{"secretName", key_secret(fleet)}}}}},
                         {"propagationMethod", {{"noCloud", Json::object()}}}};
    spec["accessCredentials"] = Json::array({Json{{"sshPublicKey", access}}});
  }
  return spec;
}

Json pool(const LaunchRequest& request, const std::string& fleet) {
  const Json machine = {{"metadata", {{"labels", labels(fleet)}}},
                        {"spec", instance(request, fleet)}};
  return {{"apiVersion", "pool.kubevirt.io/v1alpha1"},
          {"kind", "VirtualMachinePool"},
          {"metadata",
           {{"name", fleet},
            {"labels", labels(fleet)},
            {"annotations", {{"goldmill.org/image", request.image}}}}},
          {"spec",
           {{"replicas", request.count},
            {"selector", {{"matchLabels", labels(fleet)}}},
            {"virtualMachineTemplate",
             {{"metadata", {{"labels", labels(fleet)}}},
              {"spec", {{"runStrategy", "Always"}, {"template", machine}}}}}}}};
}

class KubevirtEngine final : public Engine {
 public:
  std::string_view name() const override { return "kubevirt"; }
  std::string_view summary() const override {
    return "Kubernetes objects for a cluster with KubeVirt, written for kubectl apply";
  }

  Result<Fleet> launch(const LaunchRequest& request, const Progress& /*progress*/) override {
    TRY(check(request));
    Fleet fleet;
    fleet.name =
        request.fleet.empty() ? request.image.substr(0, request.image.find('@')) : request.fleet;
    if (!is_label(fleet.name)) {
      return Error{ErrorKind::invalid_input,
                   "Kubernetes has no name '" + fleet.name + "'",
                   "give one of a-z, 0-9 and '-', 54 letters at most, by --fleet"};
    }
    if (!request.keys.empty()) {
      fleet.manifests.push_back(secret_of_keys(request, fleet.name));
    }
    if (!fits_manifest(request.user_data)) {
      fleet.manifests.push_back(secret_of_data(request, fleet.name));
    }
    fleet.manifests.push_back(pool(request, fleet.name));
    return fleet;
  }
  Result<Warmth> warm(const LaunchRequest& /*request*/) override { return nothing(); }
  bool has(const std::string& /*instance*/) const override { return false; }
  Result<std::vector<Instance>> list() override { return std::vector<Instance>(); }
  Result<Instance> start(const std::string& /*instance*/) override { return nothing(); }
  Result<void> stop(const std::string& /*instance*/, std::chrono::seconds /*limit*/) override {
    return nothing();
  }
  Result<void> remove(const std::string& /*instance*/) override { return nothing(); }
  Result<system::UniqueFd> console(const std::string& /*instance*/) override { return nothing(); }
  Result<machine::SshTarget> ssh_target(const std::string& /*instance*/) override {
    return nothing();
  }

 private:
  static Error nothing() {
    return {ErrorKind::not_found, "the cluster keeps what runs there", "ask kubectl get vms"};
  }
};

}  // namespace

std::unique_ptr<Engine> make_kubevirt(const std::filesystem::path& /*home*/) {
  return std::make_unique<KubevirtEngine>();
}

}  // namespace goldmill::launch
