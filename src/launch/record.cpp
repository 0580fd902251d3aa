// SPDX-License-Identifier: GPL-3.0-or-later
#include "record.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <goldmill/base/base64.hpp>
#include <goldmill/base/suggestion.hpp>
#include <goldmill/machine/overlay.hpp>

#include "snapshot.hpp"
#include "tcp.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;

namespace {
// Below the ports that the kernel gives to outgoing connections (32768 and up).
constexpr std::uint16_t kFirstPort = 20000;
constexpr std::uint16_t kLastPort = 32767;
constexpr Bytes kLongestRecord = 4_MiB;
constexpr const char* kEmbeddedEngine = "qemu";
constexpr std::size_t kLongestFleet = 48;
constexpr const char* kNew = ".new-";      // + an instance's name, while it is made
constexpr const char* kFleet = ".fleet-";  // + a fleet's name: its launcher's lock

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

std::optional<State> state_of(std::string_view name) {
  for (const State state :
       {State::prepared, State::starting, State::ready, State::failed, State::stopped}) {
    if (name == name_of(state)) {
      return state;
    }
  }
  return std::nullopt;
}
}  // namespace

const char* name_of(State state) {
  switch (state) {
    case State::prepared:
      return "prepared";
    case State::starting:
      return "starting";
    case State::ready:
      return "ready";
    case State::failed:
      return "failed";
    case State::stopped:
      return "stopped";
  }
  return "";
}

Json to_json(const Instance& instance) {
  return {{"name", instance.name},
          {"image", instance.image},
          {"fleet", instance.fleet},
          {"hostname", instance.hostname},
          {"machine_id", or_null(instance.machine_id)},
          {"ssh_host_key", or_null(instance.ssh_host_key)},
          {"address", or_null(instance.address)},
          {"ssh_port", instance.ssh_port},
          {"engine", instance.engine},
          {"host", or_null(instance.host)},
          {"state", name_of(instance.state)},
          {"ready_seconds", instance.ready_seconds ? Json(*instance.ready_seconds) : Json()},
          {"uptime_seconds", instance.uptime_seconds ? Json(*instance.uptime_seconds) : Json()},
          {"memory_bytes", instance.memory ? Json(instance.memory->value) : Json()},
          {"expires", instance.expires ? Json(*instance.expires) : Json()},
          {"error", or_null(instance.error)},
          {"warnings", instance.warnings}};
}

Json to_json(const Fleet& fleet) {
  Json instances = Json::array();
  for (const Instance& instance : fleet.instances) {
    instances.push_back(to_json(instance));
  }
  Json json = {{"fleet", fleet.name},
               {"seconds", fleet.seconds},
               {"accelerator", or_null(fleet.accelerator)},
               {"budget", or_null(fleet.budget)},
               {"warnings", fleet.warnings},
               {"instances", instances}};
  if (!fleet.manifests.empty()) {
    json["manifests"] = fleet.manifests;
  }
  return json;
}

Json to_json(const Record& record) {
  Json json = to_json(record.instance);
  json["ssh_user"] = record.instance.ssh_user;
  json["dossier"] = record.instance.dossier;
  json["disk"] = record.disk.string();
  json["disk_format"] = record.disk_format;
  json["snapshot"] = or_null(record.snapshot);
  json["resumes"] = record.resumes;
  json["kernel"] = record.kernel.string();
  json["memory"] = record.memory.value;
  json["cpus"] = record.cpus;
  json["uefi"] = record.uefi;
  json["mac"] = record.mac;
  json["uuid"] = record.uuid;
  json["network"] = record.network.text();
  json["domain"] = or_null(record.domain);
  json["server"] = record.server;
  json["user_data"] = base64(record.user_data);  // any bytes
  json["keys"] = Json::array();
  for (const UserKey& key : record.keys) {
    json["keys"].push_back({{"user", key.user}, {"line", key.line}});
  }
  if (record.process) {
    json["process"] = {{"id", record.process->id},
                       {"start_time", record.process->start_time},
                       {"boot_id", record.process->boot_id}};
  }
  if (record.run) {
    json["run"] = {{"number", record.run->number}, {"since", record.run->since}};
  }
  return json;
}

namespace {
void read_instance(const Json& json, Instance& instance) {
  instance.fleet = find_string(json, "fleet").value_or("");
  instance.image = find_string(json, "image").value_or("");
  instance.engine = find_string(json, "engine").value_or("");
  instance.host = find_string(json, "host").value_or("");
  instance.hostname = find_string(json, "hostname").value_or("");
  instance.machine_id = find_string(json, "machine_id").value_or("");
  instance.ssh_host_key = find_string(json, "ssh_host_key").value_or("");
  instance.address = find_string(json, "address").value_or("");
  instance.ssh_user = find_string(json, "ssh_user").value_or("root");
  instance.error = find_string(json, "error").value_or("");
  if (const Json* warnings = find_value(json, "warnings"); warnings != nullptr) {
    for (const Json& warning : *warnings) {
      instance.warnings.push_back(warning.is_string() ? warning.get<std::string>() : "");
    }
  }
  const Json* seconds = find_value(json, "ready_seconds");
  if (seconds != nullptr && seconds->is_number()) {
    instance.ready_seconds = seconds->get<double>();
  }
  instance.expires = find_integer(json, "expires");
  const Json* dossier = find_value(json, "dossier");
  instance.dossier = dossier == nullptr ? Json() : *dossier;
}
}  // namespace

Result<Record> record_of(const Json& json) {
  Record record;
  record.instance.name = TRY(string_at(json, "name"));
  const auto state = state_of(TRY(string_at(json, "state")));
  const std::int64_t port = TRY(integer_at(json, "ssh_port"));
  if (!state || port < 0 || port > 65535) {
    return Error{ErrorKind::corrupt, "the record of " + record.instance.name + " is damaged"};
  }
  record.instance.state = *state;
  record.instance.ssh_port = static_cast<std::uint16_t>(port);
  read_instance(json, record.instance);
  record.disk = TRY(string_at(json, "disk"));
  record.disk_format = TRY(string_at(json, "disk_format"));
  record.snapshot = find_string(json, "snapshot").value_or("");
  record.resumes = find_bool(json, "resumes").value_or(false);
  record.kernel = find_string(json, "kernel").value_or("");
  record.memory = Bytes{static_cast<std::uint64_t>(TRY(integer_at(json, "memory")))};
  record.cpus = static_cast<int>(TRY(integer_at(json, "cpus")));
  record.uefi = find_bool(json, "uefi").value_or(false);
  record.mac = TRY(string_at(json, "mac"));
  record.uuid = find_string(json, "uuid").value_or("");
  record.network = TRY(Network::parse(TRY(string_at(json, "network"))));
  record.domain = find_string(json, "domain").value_or("");
  if (const Json* server = find_value(json, "server"); server != nullptr && server->is_object()) {
    record.server = *server;
  }
  if (!record.network.is_shared() && record.domain.empty()) {
    record.instance.address = "127.0.0.1";
  }
  // Neither an address in a network namespace nor a port of this machine's is an instance's own.
  record.instance.own_address =
      record.network.kind != Network::Kind::netns && record.instance.ssh_port == kSshPort;
  record.user_data = TRY(decode_base64(find_string(json, "user_data").value_or("")));
  if (const Json* keys = find_value(json, "keys"); keys != nullptr && keys->is_array()) {
    for (const Json& key : *keys) {
      record.keys.push_back({TRY(string_at(key, "user")), TRY(string_at(key, "line"))});
    }
  }
  if (const Json* process = find_value(json, "process")) {
    record.process = machine::ProcessIdentity{
        static_cast<pid_t>(TRY(integer_at(*process, "id"))),
        static_cast<std::uint64_t>(TRY(integer_at(*process, "start_time"))),
        TRY(string_at(*process, "boot_id"))};
  }
  if (const Json* run = find_value(json, "run")) {
    record.run = Run{TRY(integer_at(*run, "number")), TRY(integer_at(*run, "since"))};
  }
  return record;
}

namespace {
/// "10.64.7." of the network with this port.
std::string prefix_of(std::uint16_t port) {
  const int index = port - kFirstPort;
  return "10." + std::to_string(64 + index / 256) + "." + std::to_string(index % 256) + ".";
}
}  // namespace

std::string subnet_of(std::uint16_t port) {
  return prefix_of(port) + "0/24";
}

machine::StaticNetwork guest_network_of(std::uint16_t port) {
  const std::string prefix = prefix_of(port);
  return {prefix + "15/24", prefix + "2", prefix + "3"};
}

bool is_port_free(std::uint16_t port) {
  const system::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  // reinterpret_cast is the sockets API's own idiom.
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(socket.get(), 1) == 0;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::getrandom(bytes.data() + done, count - done, 0);
    GOLDMILL_ASSERT(got > 0 || errno == EINTR);
    done += got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  return bytes;
}

namespace {
std::string random_mac() {
  const std::string bytes = random_bytes(5);
  const auto at = [&bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  std::array<char, 24> text{};
  (void)std::snprintf(
      text.data(), text.size(), "02:%02x:%02x:%02x:%02x:%02x", at(0), at(1), at(2), at(3), at(4));
  return text.data();
}

std::string random_uuid() {
  uuid_t bytes;
  ::uuid_generate_random(bytes);
  std::array<char, UUID_STR_LEN> text{};
  ::uuid_unparse_lower(bytes, text.data());
  return text.data();
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestFleet && name.front() != '-' &&
         name.back() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

/// "java@3" -> "java", only with characters that a host name may have.
std::string fleet_from(const std::string& image) {
  std::string name;
  for (const char c : image.substr(0, image.find_first_of("@:"))) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    name += upper ? static_cast<char>(c - 'A' + 'a') : plain ? c : '-';
  }
  name.resize(std::min<std::size_t>(name.size(), 40));
  while (!name.empty() && name.back() == '-') {
    name.pop_back();
  }
  while (!name.empty() && name.front() == '-') {
    name.erase(0, 1);
  }
  return name.empty() ? "instance" : name;
}

std::string numbered(const std::string& fleet, int number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 3 ? 3 - digits.size() : 0, '0');
  return fleet + "-" + digits;
}

/// "FLEET-NUMBER"
bool is_of_fleet(const std::string& name, const std::string& fleet) {
  return name.size() > fleet.size() + 1 && name.starts_with(fleet + "-") &&
         name.find_first_not_of("0123456789", fleet.size() + 1) == std::string::npos;
}

std::string fleet_of(const std::string& instance) {
  return instance.substr(0, instance.rfind('-'));
}

bool is_instance_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         is_of_fleet(name, fleet_of(name));
}

struct Namesake {
  const char* kind;  ///< "a fleet"
  std::string name;
};

/// What is there and would share a name with this fleet or an instance of it, so that nobody could
/// name either alone.
std::optional<Namesake> namesake_of(const std::string& fleet,
                                    int count,
                                    const std::vector<Record>& existing) {
  std::set<std::string> names = {fleet};
  for (int number = 1; number <= count; ++number) {
    names.insert(numbered(fleet, number));
  }
  for (const Record& record : existing) {
    if (names.contains(record.instance.fleet)) {
      return Namesake{"a fleet", record.instance.fleet};
    }
    if (record.instance.name == fleet) {
      return Namesake{"an instance", fleet};
    }
  }
  return std::nullopt;
}

Result<std::string> choose_fleet(const LaunchRequest& request,
                                 const std::vector<Record>& existing) {
  if (!request.fleet.empty()) {
    if (!is_name(request.fleet)) {
      return Error{ErrorKind::invalid_input,
                   "'" + request.fleet + "' is no name for a fleet",
                   "use a-z, 0-9 and - (not first or last), at most 48 characters"};
    }
    if (const auto namesake = namesake_of(request.fleet, request.count, existing)) {
      return Error{ErrorKind::conflict,
                   std::string("there is ") + namesake->kind + " " + namesake->name + " already",
                   "choose another name, or remove it: goldmill rm " + namesake->name};
    }
    return request.fleet;
  }
  const std::string base = fleet_from(request.image);
  std::string name = base;
  for (int number = 2; namesake_of(name, request.count, existing); ++number) {
    name = base + "-" + std::to_string(number);
  }
  return name;
}

/// Gives out ports and MAC addresses that no record has.
class Allocation {
 public:
  explicit Allocation(const std::vector<Record>& records) {
    for (const Record& record : records) {
      ports_.insert(record.instance.ssh_port);
      macs_.insert(record.mac);
    }
  }
  std::optional<std::uint16_t> port() {
    while (next_ <= kLastPort) {
      const std::uint16_t candidate = next_++;
      if (ports_.insert(candidate).second && is_port_free(candidate)) {
        return candidate;
      }
    }
    return std::nullopt;
  }
  std::string mac() {
    std::string candidate = random_mac();
    while (!macs_.insert(candidate).second) {
      candidate = random_mac();
    }
    return candidate;
  }

 private:
  std::set<std::uint16_t> ports_;
  std::set<std::string> macs_;
  std::uint16_t next_ = kFirstPort;
};

Record make_record(const LaunchRequest& request, const std::string& fleet, int number) {
  Record record;
  record.instance.name = numbered(fleet, number);
  record.instance.fleet = fleet;
  record.instance.image = request.image;
  record.instance.engine = request.engine;
  record.instance.hostname = record.instance.name;
  record.instance.ssh_user = request.ssh_user;
  record.disk = fs::absolute(request.disk);
  record.disk_format = request.disk_format;
  record.kernel = request.kernel;
  record.memory = request.memory;
  record.cpus = request.cpus;
  record.uefi = request.uefi;
  record.uuid = random_uuid();
  record.network = request.network;
  record.keys = request.keys;
  record.user_data = request.user_data;
  if (request.lifetime) {
    record.instance.expires = ::time(nullptr) + request.lifetime->count();
  }
  return record;
}

/// Replaces a file as a whole; without fsync.
Result<void> replace_file(const fs::path& path, std::string_view content) {
  std::string temporary = path.string() + ".XXXXXX";
  const system::UniqueFd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) {
    return system_error("cannot write beside " + path.string(), errno);
  }
  auto written = system::write_all(file.get(), content);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = system_error("cannot rename", errno);
  }
  if (!written) {
    ::unlink(temporary.c_str());
  }
  return std::move(written).context(path.string());
}
}  // namespace

fs::path Records::directory(const std::string& name) const {
  return root() / name;
}

Result<system::FileLock> Records::allocation_lock() const {
  TRY(system::make_directories(root(), 0700));
  return system::FileLock::acquire(root() / ".lock", system::FileLock::Mode::exclusive);
}

Result<system::FileLock> Records::lock(const std::string& name) const {
  return system::FileLock::acquire(lock_file(name), system::FileLock::Mode::exclusive);
}

Result<system::FileLock> Records::lock(Record& record) const {
  auto guard = TRY(lock(record.instance.name));
  record = TRY(load(record.instance.name));
  return guard;
}

Result<system::FileLock> Records::lock_to_launch(const Record& record) const {
  auto guard = lock(record.instance.name);
  if (!guard || !load(record.instance.name)) {
    return Error{ErrorKind::conflict, "it was removed while it was being launched"};
  }
  return guard;
}

Result<system::FileLock> Records::lock_to_start(Record& record) const {
  TRY(check_launched(record.instance));  // its launcher would start it a second time
  return lock(record);
}

Result<system::FileLock> Records::lock_to_stop(Record& record) const {
  auto guard = TRY(lock(record));
  if (record.instance.state == State::prepared) {
    TRY(check_launched(record.instance));  // its launcher would start it all the same
  }
  return guard;
}

Result<void> Records::check_launched(const Instance& instance) const {
  if (is_being_launched(instance.fleet)) {
    return Error{ErrorKind::conflict,
                 "fleet " + instance.fleet + " is being launched",
                 "goldmill ps shows when " + instance.name + " is ready"};
  }
  return {};
}

Result<system::FileLock> Records::lock_until(std::chrono::steady_clock::time_point end,
                                             Record& record) const {
  const fs::path file = lock_file(record.instance.name);
  for (;;) {
    auto guard = system::FileLock::try_acquire(file, system::FileLock::Mode::exclusive);
    if (guard) {
      record = TRY(load(record.instance.name));
      return guard;
    }
    if (guard.error().kind != ErrorKind::conflict || std::chrono::steady_clock::now() >= end) {
      return guard.error();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

fs::path Records::fleet_file(const std::string& fleet) const {
  return root() / (kFleet + fleet);
}

bool Records::has_fleet(const std::string& fleet) const {
  std::error_code ignored;
  return fs::exists(fleet_file(fleet), ignored);
}

bool Records::is_being_launched(const std::string& fleet) const {
  const fs::path file = fleet_file(fleet);
  std::error_code ignored;
  // Shared: who only looks is in nobody's way, nor in that of another who looks.
  return fs::exists(file, ignored) &&
         !system::FileLock::try_acquire(file, system::FileLock::Mode::shared);
}

void Records::clear_away() const {
  std::set<std::string> fleets;
  std::vector<fs::path> locks;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(root(), failure)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kNew)) {
      (void)system::remove_tree(entry.path());
    } else if (name.starts_with(kFleet)) {
      locks.push_back(entry.path());
    } else if (name.front() != '.') {
      fleets.insert(fleet_of(name));
    }
  }
  for (const fs::path& lock : locks) {
    const std::string fleet = lock.filename().string().substr(std::strlen(kFleet));
    if (!fleets.contains(fleet) && !is_being_launched(fleet)) {
      fs::remove(lock, failure);
    }
  }
}

Result<void> Records::write_new(const Record& record, Bytes disk_size) const {
  // Made under a hidden name: a directory without a whole record never has an instance's name.
  const fs::path fresh = root() / (kNew + record.instance.name);
  TRY(system::remove_tree(fresh));
  if (::mkdir(fresh.c_str(), 0700) != 0) {
    return system_error("cannot make " + fresh.string(), errno);
  }
  machine::OverlaySpec overlay{record.disk.string(), record.disk_format, disk_size};
  if (!record.snapshot.empty()) {
    overlay = {snapshot_disk(record.snapshot).string(), "qcow2", disk_size};
  }
  Result<void> written;
  if (record.domain.empty()) {
    written = machine::write_overlay(fresh / "disk.qcow2", overlay);
  }
  if (written) {
    written = replace_file(fresh / "instance.json",
                           to_json(record).dump(1, ' ', false, Json::error_handler_t::replace));
  }
  if (written && ::rename(fresh.c_str(), directory(record.instance.name).c_str()) != 0) {
    written = system_error("cannot rename " + fresh.string(), errno);
  }
  if (!written) {
    (void)system::remove_tree(fresh);
  }
  return written;
}

bool is_over(const Instance& instance) {
  return instance.expires && *instance.expires <= ::time(nullptr);
}

bool should_run(const Record& record) {
  return record.instance.state == State::starting || record.instance.state == State::ready;
}

void set_failed(Record& record, std::string why) {
  record.instance.state = State::failed;
  record.instance.error = std::move(why);
  record.process.reset();
  record.run.reset();
}

void note_run(Record& record, std::optional<std::int64_t> number) {
  if (!number) {
    record.run.reset();
  } else if (!record.run || record.run->number != *number) {
    record.run = Run{*number, ::time(nullptr)};
  }
}

std::optional<double> uptime_of(const Record& record) {
  if (!record.run || !should_run(record)) {
    return std::nullopt;
  }
  return static_cast<double>(std::max<std::int64_t>(::time(nullptr) - record.run->since, 0));
}

Result<Bytes> disk_size_of(const LaunchRequest& request) {
  const Bytes image_size = TRY(machine::virtual_size(request.disk, request.disk_format));
  const Bytes size = request.disk_size.value_or(image_size);
  if (size < image_size) {
    return Error{
        ErrorKind::invalid_input,
        "a disk of " + to_text(size) + " is smaller than the image's " + to_text(image_size),
        "leave --disk-size out or choose a larger one"};
  }
  return size;
}

Result<Records::Prepared> Records::prepare(const LaunchRequest& request,
                                           const fs::path& snapshot,
                                           const std::vector<std::string>& hosts) {
  const Bytes size = TRY(disk_size_of(request));
  TRY(hosts.empty() ? machine::check_overlay_size(size) : Result<void>());
  const auto allocation_guard = TRY(allocation_lock());
  clear_away();
  const std::vector<Record> existing = TRY(load_all());
  const std::string fleet = TRY(choose_fleet(request, existing));
  Prepared prepared{
      TRY(system::FileLock::acquire(fleet_file(fleet), system::FileLock::Mode::exclusive)),
      fleet,
      {}};
  Allocation allocation(existing);
  for (int number = 1; number <= request.count; ++number) {
    Record record = make_record(request, fleet, number);
    record.snapshot = snapshot;
    if (record.network.kind == Network::Kind::netns && record.network.name.empty()) {
      record.network.name = fleet;
    }
    if (!hosts.empty()) {
      record.instance.host = hosts[static_cast<std::size_t>(number) - 1];
      record.domain = random_uuid();
    }
    const bool forwarded = record.domain.empty() && !record.network.is_shared();
    const auto port = forwarded ? allocation.port() : std::optional(kSshPort);
    record.instance.address = forwarded ? "127.0.0.1" : "";
    record.instance.ssh_port = port.value_or(0);
    record.mac = allocation.mac();
    auto written = port ? write_new(record, size)
                        : Result<void>(Error{ErrorKind::unavailable,
                                             "no free port between 20000 and 32767 is left"});
    if (!written) {
      set_failed(record, written.error().text());
    }
    prepared.records.push_back(std::move(record));
  }
  // One sync for all instead of several for each.
  const auto directory = TRY(system::open_directory(root()));
  if (::syncfs(directory.get()) != 0) {
    return system_error("cannot sync " + root().string(), errno);
  }
  return prepared;
}

namespace {
/// For one whose record cannot be read. What its disk stands on is not known.
Record damaged_one(const std::string& name, const Error& damage) {
  Record record;
  record.instance.name = name;
  record.instance.fleet = fleet_of(name);
  record.instance.engine = kEmbeddedEngine;
  set_failed(record, damage.message + "; " + damage.hint);
  return record;
}
}  // namespace

Result<Record> Records::read(const std::string& name) const {
  const auto content = system::read_file(directory(name) / "instance.json", kLongestRecord);
  const auto json = content ? parse_json(*content, "instance.json") : Result<Json>(content.error());
  auto record = json ? record_of(*json) : Result<Record>(json.error());
  if (record && record->instance.name == name) {
    return record;
  }
  return Error{ErrorKind::corrupt,
               "the record of " + name + " is damaged: " +
                   (record ? "it is that of " + record->instance.name : record.error().message),
               "goldmill rm " + name + " removes what is left of it"};
}

Result<Record> Records::load(const std::string& name) const {
  std::error_code ignored;
  if (is_instance_name(name)) {
    auto record = read(name);
    if (record || fs::exists(directory(name), ignored)) {
      return record;
    }
  }
  std::vector<std::string> names;
  for (const Record& record : TRY(load_all())) {
    names.push_back(record.instance.name);
  }
  return Error{ErrorKind::not_found,
               "there is no instance '" + name + "'",
               names.empty() ? "nothing is launched" : did_you_mean(name, names)};
}

bool is_damaged(const Instance& instance) {
  return instance.image.empty();
}

std::vector<Record> Records::read_all() const {
  std::vector<Record> records;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(root(), failure)) {
    const std::string name = entry.path().filename();
    if (!is_instance_name(name)) {
      continue;  // nobody's, as lost+found, or in the making
    }
    auto record = read(name);
    if (record) {
      records.push_back(*std::move(record));
    } else if (fs::exists(entry.path(), failure)) {
      records.push_back(damaged_one(name, record.error()));
    }
  }
  std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
    return a.instance.name < b.instance.name;
  });
  return records;
}

Result<std::vector<Record>> Records::load_all() const {
  std::set<std::string> left;  // names of what no record stands for
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(root(), failure)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(".gone-")) {
      (void)system::remove_tree(entry.path());
    } else if (name.starts_with(kNew) || name.starts_with(kFleet)) {
      left.insert(name);
    }
  }
  std::vector<Record> records = read_all();
  for (const Record& record : records) {
    left.erase(kFleet + record.instance.fleet);
  }
  if (!left.empty()) {  // unless somebody makes them just now
    if (const auto guard =
            system::FileLock::try_acquire(root() / ".lock", system::FileLock::Mode::exclusive)) {
      clear_away();
    }
  }
  return records;
}

Result<std::vector<Record>> Records::load_all(std::string_view engine) const {
  std::vector<Record> records = TRY(load_all());
  std::erase_if(records, [&](const Record& record) { return record.instance.engine != engine; });
  return records;
}

bool Records::has(const std::string& name, std::string_view engine) const {
  const auto record = load(name);
  return record ? record->instance.engine == engine
                : record.error().kind == ErrorKind::corrupt && engine == kEmbeddedEngine;
}

Result<void> Records::save(const Record& record) const {
  const fs::path file = directory(record.instance.name) / "instance.json";
  const std::string text = to_json(record).dump(1, ' ', false, Json::error_handler_t::replace);
  return record.instance.host.empty() ? replace_file(file, text)
                                      : system::write_file(file, text, 0600);
}

Result<void> Records::change_port(Record& record) const {
  const auto guard = TRY(allocation_lock());
  const auto port = Allocation(TRY(load_all())).port();
  if (!port) {
    return Error{ErrorKind::unavailable, "no free port between 20000 and 32767 is left"};
  }
  record.instance.ssh_port = *port;
  return save(record);
}

Result<void> Records::erase(const std::string& name) const {
  const auto guard = TRY(allocation_lock());
  const std::string fleet = fleet_of(name);
  const fs::path gone = root() / (".gone-" + name);
  TRY(system::remove_tree(gone));
  if (::rename(directory(name).c_str(), gone.c_str()) != 0 && errno != ENOENT) {
    return system_error("cannot remove " + name, errno);
  }
  TRY(system::remove_tree(gone));
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root(), ignored)) {
    if (is_of_fleet(entry.path().filename(), fleet)) {
      return {};
    }
  }
  if (!is_being_launched(fleet)) {
    fs::remove(fleet_file(fleet), ignored);
  }
  return {};
}

}  // namespace goldmill::launch
