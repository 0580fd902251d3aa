// SPDX-License-Identifier: GPL-3.0-or-later
#include "host_file.hpp"

#include <algorithm>

#include <goldmill/base/json.hpp>
#include <goldmill/base/suggestion.hpp>

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
constexpr Bytes kLongest = 64_KiB;
constexpr std::string_view kSuffix = ".json";
}  // namespace

fs::path HostFiles::file(const std::string& name) const {
  return directory_ / (name + std::string(kSuffix));
}

namespace {
Result<Host> read_host(const fs::path& file) {
  const Json json = TRY(parse_json(TRY(system::read_file(file, kLongest)), file.string()));
  return Host{file.stem(),
              TRY(string_at(json, "uri")),
              TRY(string_at(json, "pool")),
              find_string(json, "accelerator").value_or("")};
}
}  // namespace

std::vector<Host> HostFiles::all() const {
  std::vector<Host> hosts;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory_, failure)) {
    if (entry.path().extension() != kSuffix) {
      continue;
    }
    auto host = read_host(entry.path());
    hosts.push_back(host ? *std::move(host)
                         : Host{entry.path().stem(), "", "", "", host.error().message});
  }
  std::sort(
      hosts.begin(), hosts.end(), [](const Host& a, const Host& b) { return a.name < b.name; });
  return hosts;
}

Result<std::vector<Host>> HostFiles::chosen(const std::vector<std::string>& names) const {
  std::vector<Host> known = all();
  if (known.empty()) {
    return Error{ErrorKind::not_found,
                 "no libvirt host is known",
                 "name one: goldmill hosts add qemu+ssh://root@host1/system"};
  }
  if (names.empty()) {
    return known;
  }
  std::vector<Host> hosts;
  for (const std::string& name : names) {
    const auto found = std::find_if(
        known.begin(), known.end(), [&name](const Host& host) { return host.name == name; });
    if (found == known.end()) {
      std::vector<std::string> words;
      words.reserve(known.size());
      for (const Host& host : known) {
        words.push_back(host.name);
      }
      return Error{
          ErrorKind::not_found, "there is no host '" + name + "'", did_you_mean(name, words)};
    }
    const bool again = std::any_of(
        hosts.begin(), hosts.end(), [&name](const Host& host) { return host.name == name; });
    if (!again) {
      hosts.push_back(*found);
    }
  }
  return hosts;
}

Result<void> HostFiles::put(const Host& host) const {
  TRY(system::make_directories(directory_, 0700));
  const Json json = {{"uri", host.uri}, {"pool", host.pool}, {"accelerator", host.accelerator}};
  return system::write_file(file(host.name), json.dump(1) + "\n", 0600);
}

Result<void> HostFiles::remove(const std::string& name) const {
  std::error_code failure;
  fs::remove(file(name), failure);
  fs::remove(directory_ / (name + ".lock"), failure);
  return {};
}

Result<system::FileLock> HostFiles::lock(const std::string& name) const {
  return system::FileLock::acquire(directory_ / (name + ".lock"),
                                   system::FileLock::Mode::exclusive);
}

std::string name_from_uri(const std::string& uri) {
  const std::size_t start = uri.find("://");
  if (start == std::string::npos) {
    return "";
  }
  std::string authority = uri.substr(start + 3, uri.find('/', start + 3) - start - 3);
  authority.erase(0, authority.find('@') + 1);  // npos + 1 == 0
  authority = authority.substr(0, authority.find(':'));
  if (authority.find_first_not_of("0123456789.") != std::string::npos) {
    authority = authority.substr(0, authority.find('.'));
  }
  std::string name;
  for (const char c : authority) {
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c == '.' ? '-' : c;
  }
  return name.empty() ? "local" : name;
}

namespace {
/// A host while instances are placed.
struct Filling {
  std::string name;
  Capacity free;
  Capacity taken;

  bool has_room(Bytes memory) const {
    return taken.memory.value + memory.value <= free.memory.value;
  }
  /// With one more: the share of its memory or of its processors that is taken, the larger one.
  double fullness_with(const Capacity& one) const {
    const auto memory = static_cast<double>(taken.memory.value + one.memory.value);
    const auto cpus = static_cast<double>(taken.cpus + one.cpus);
    return std::max(memory / static_cast<double>(free.memory.value), cpus / free.cpus);
  }
  void take(const Capacity& one) {
    taken.memory.value += one.memory.value;
    taken.cpus += one.cpus;
  }
};
}  // namespace

std::vector<std::string> place(const std::vector<HostStatus>& hosts,
                               int count,
                               const Capacity& each) {
  std::vector<Filling> fillings;
  for (const HostStatus& status : hosts) {
    if (status.capacity) {
      fillings.push_back({status.host.name, *status.capacity, {}});
    }
  }
  std::vector<std::string> placed;
  for (int i = 0; i < count; ++i) {
    Filling* best = nullptr;
    for (Filling& host : fillings) {
      if (host.has_room(each.memory) &&
          (best == nullptr || host.fullness_with(each) < best->fullness_with(each))) {
        best = &host;
      }
    }
    placed.push_back(best == nullptr ? "" : best->name);
    if (best != nullptr) {
      best->take(each);
    }
  }
  return placed;
}

}  // namespace goldmill::launch
