// SPDX-License-Identifier: GPL-3.0-or-later
#include "libvirt_host.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <future>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <libvirt/virterror.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain_xml.hpp"
#include "libvirt_stream.hpp"

namespace goldmill::launch {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {
/// A host that says nothing for this long is lost.
constexpr int kKeepAliveSeconds = 5;
constexpr unsigned kKeepAliveTries = 3;

constexpr std::chrono::seconds kConnectLimit(20);
/// libvirt's word for a machine that does not run.
constexpr auto kNoId = static_cast<unsigned>(-1);

/// Hosts are entered by keys: ssh asks nobody for a password.
std::string without_questions(const std::string& uri) {
  const std::size_t scheme = uri.find("+ssh://");
  if (scheme == std::string::npos || uri.find("no_tty=") != std::string::npos) {
    return uri;
  }
  return uri + (uri.find('?') == std::string::npos ? "?" : "&") + "no_tty=1";
}

/// Stands beside a file that came over whole; without it the file may be cut.
std::string mark_of(const std::string& file) {
  return file + ".whole";
}

std::string disk_of(const Record& record) {
  return record.instance.name + "-" + record.domain + ".qcow2";
}

/// On its host; "" of none.
std::string path_of(virStorageVolPtr volume) {
  char* path = volume == nullptr ? nullptr : virStorageVolGetPath(volume);
  std::string text = path == nullptr ? "" : path;
  std::free(path);  // NOLINT: libvirt gives memory of malloc
  return text;
}

/// Also when another goldmill is quicker.
bool open_pool(virStoragePoolPtr pool) {
  return virStoragePoolIsActive(pool) == 1 ||
         virStoragePoolCreate(pool, VIR_STORAGE_POOL_CREATE_WITH_BUILD) == 0 ||
         virStoragePoolIsActive(pool) == 1;
}

int read_for_stream(virStreamPtr /*stream*/, char* data, std::size_t size, void* opaque) {
  for (;;) {
    const ssize_t got = ::read(*static_cast<int*>(opaque), data, size);
    if (got >= 0 || errno != EINTR) {
      return static_cast<int>(got);
    }
  }
}
}  // namespace

Result<LibvirtHost> LibvirtHost::connect(const Host& host) {
  if (!host.damage.empty()) {
    return Error{ErrorKind::corrupt,
                 "what is kept of host " + host.name + " is damaged: " + host.damage,
                 "goldmill hosts add its URI --name " + host.name +
                     " writes it again; goldmill hosts remove " + host.name + " lets it go"};
  }
  start_libvirt_events();
  struct Opened {
    Connection connection;
    std::string said;  // libvirt keeps it for each thread
  };
  const auto promise = std::make_shared<std::promise<Opened>>();
  auto opened = promise->get_future();
  // A thread of its own, since nothing else ends a wait for a host that is switched off. A
  // connection that comes too late is closed there.
  std::thread([promise, uri = without_questions(host.uri)] {
    virConnectAuth nobody{};
    Connection connection(virConnectOpenAuth(uri.c_str(), &nobody, 0));
    std::string said = connection ? "" : libvirt_error("libvirt says").message;
    promise->set_value({std::move(connection), std::move(said)});
  }).detach();
  const bool in_time = opened.wait_for(kConnectLimit) == std::future_status::ready;
  Opened result = in_time ? opened.get() : Opened{nullptr, "no answer within 20 seconds"};
  if (!result.connection) {
    return Error{ErrorKind::unavailable,
                 "host " + host.name + " cannot be reached: " + result.said,
                 "does `virsh -c '" + host.uri + "' list` work?"};
  }
  virConnectSetKeepAlive(result.connection.get(), kKeepAliveSeconds, kKeepAliveTries);
  return LibvirtHost(host, std::move(result.connection));
}

Error LibvirtHost::failure(const std::string& what) const {
  Error error = libvirt_error(what);
  const bool lost = virConnectIsAlive(connection_.get()) != 1;
  error.message =
      (lost ? "host " + host_.name + " was lost: " : "host " + host_.name + ": ") + error.message;
  error.kind = lost ? ErrorKind::unavailable : error.kind;
  return error;
}

Result<Capacity> LibvirtHost::capacity() const {
  constexpr int kAll = VIR_NODE_MEMORY_STATS_ALL_CELLS;
  int count = 0;  // the first call says how many there are, and the second wants just these
  virNodeInfo node{};
  std::vector<virNodeMemoryStats> stats;
  if (virNodeGetInfo(connection_.get(), &node) < 0 ||
      virNodeGetMemoryStats(connection_.get(), kAll, nullptr, &count, 0) < 0) {
    return failure("cannot ask what it can give");
  }
  stats.resize(static_cast<std::size_t>(count));
  if (virNodeGetMemoryStats(connection_.get(), kAll, stats.data(), &count, 0) < 0) {
    return failure("cannot ask what it can give");
  }
  Capacity capacity{Bytes{0}, static_cast<int>(node.cpus)};
  for (const virNodeMemoryStats& stat : stats) {
    const std::string_view field = stat.field;
    if (field == VIR_NODE_MEMORY_STATS_FREE || field == VIR_NODE_MEMORY_STATS_BUFFERS ||
        field == VIR_NODE_MEMORY_STATS_CACHED) {
      capacity.memory.value += stat.value * 1024;
    }
  }
  return capacity;
}

Result<LibvirtHost::Pool> LibvirtHost::pool() const {
  Pool pool(virStoragePoolLookupByName(connection_.get(), host_.pool.c_str()));
  if (!pool) {
    pool.reset(virStoragePoolDefineXML(connection_.get(), pool_xml(host_.pool).c_str(), 0));
    if (!pool) {
      return failure("cannot make the storage pool " + host_.pool);
    }
    virStoragePoolSetAutostart(pool.get(), 1);
  }
  if (!open_pool(pool.get())) {
    return failure("cannot open the storage pool " + host_.pool);
  }
  return pool;
}

Result<void> LibvirtHost::send(virStoragePoolPtr pool, const fs::path& file, Bytes size) const {
  const std::string name = file.filename();
  const auto remove = [&](const std::string& volume) -> Result<void> {
    const Volume stale{virStorageVolLookupByName(pool, volume.c_str())};
    return !stale || virStorageVolDelete(stale.get(), 0) == 0 ? Result<void>()
                                                              : failure("cannot replace " + volume);
  };
  TRY(remove(mark_of(name)));  // first: from here on the file may be cut
  TRY(remove(name));
  const Volume volume(virStorageVolCreateXML(pool, plain_volume_xml(name, size).c_str(), 0));
  if (!volume) {
    return failure("cannot make a file for " + name);
  }
  UniqueFd source = TRY(system::open_file(file, O_RDONLY | O_NOFOLLOW));
  int descriptor = source.get();
  const std::unique_ptr<virStream, int (*)(virStreamPtr)> stream(virStreamNew(connection_.get(), 0),
                                                                 virStreamFree);
  if (!stream || virStorageVolUpload(volume.get(), stream.get(), 0, size.value, 0) < 0 ||
      virStreamSendAll(stream.get(), read_for_stream, &descriptor) < 0 ||
      virStreamFinish(stream.get()) < 0) {
    Error failed = failure("cannot send " + name);
    (void)remove(name);
    return failed;
  }
  const Volume mark(
      virStorageVolCreateXML(pool, plain_volume_xml(mark_of(name), Bytes{512}).c_str(), 0));
  return mark ? Result<void>() : failure("cannot mark " + name + " as whole");
}

Result<void> LibvirtHost::bring(const std::vector<fs::path>& chain, const Sending& sending) const {
  const Pool pool = TRY(this->pool());
  virStoragePoolRefresh(pool.get(), 0);
  for (auto file = chain.rbegin(); file != chain.rend(); ++file) {
    const std::string name = file->filename();
    const Volume there(virStorageVolLookupByName(pool.get(), name.c_str()));
    const Volume mark(virStorageVolLookupByName(pool.get(), mark_of(name).c_str()));
    if (there && mark) {
      continue;
    }
    std::error_code unreadable;
    const Bytes size{fs::file_size(*file, unreadable)};
    if (unreadable) {
      return system_error("cannot read " + file->string(), unreadable.value());
    }
    sending(name, size);
    TRY(send(pool.get(), *file, size));
  }
  return {};
}

std::string LibvirtHost::domain_type() const {
  if (!host_.accelerator.empty()) {
    return host_.accelerator == "kvm" ? "kvm" : "qemu";
  }
  char* described =
      virConnectGetDomainCapabilities(connection_.get(), nullptr, "x86_64", "q35", "kvm", 0);
  std::free(described);  // NOLINT: libvirt gives memory of malloc
  return described != nullptr ? "kvm" : "qemu";
}

Result<void> LibvirtHost::define(const Record& record, Bytes disk_size) const {
  const Turn turn(*slow_);
  const Pool pool = TRY(this->pool());
  const std::string image = record.disk.filename();
  const Volume below(virStorageVolLookupByName(pool.get(), image.c_str()));
  const std::string image_path = path_of(below.get());
  if (image_path.empty()) {
    return failure("the image's disk " + image + " is not there");
  }
  const std::string document =
      overlay_volume_xml(disk_of(record), disk_size, image_path, record.disk_format);
  const Volume disk(virStorageVolCreateXML(pool.get(), document.c_str(), 0));
  const std::string path = path_of(disk.get());
  if (path.empty()) {
    return failure("cannot make the disk of " + record.instance.name);
  }
  const std::string machine = domain_xml(record, path, domain_type());
  const Domain domain(
      virDomainDefineXMLFlags(connection_.get(), machine.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
  return domain ? Result<void>() : failure("cannot define " + record.instance.name);
}

Result<LibvirtHost::Domain> LibvirtHost::domain(const Record& record) const {
  Domain domain(virDomainLookupByUUIDString(connection_.get(), record.domain.c_str()));
  if (domain) {
    return domain;
  }
  const bool absent = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
  Error failed = failure("cannot find " + record.instance.name);
  failed.kind = absent ? ErrorKind::not_found : failed.kind;
  return failed;
}

Result<UniqueFd> LibvirtHost::start(const Record& record) const {
  const Domain domain = TRY(this->domain(record));
  int state = 0;
  if (virDomainGetState(domain.get(), &state, nullptr, 0) == 0 && state != VIR_DOMAIN_PAUSED) {
    const Turn turn(*slow_);
    if (virDomainCreateWithFlags(domain.get(), VIR_DOMAIN_START_PAUSED) < 0) {
      return failure("cannot start " + record.instance.name);
    }
  }
  UniqueFd port = TRY(agent_port(record));
  if (virDomainResume(domain.get()) < 0) {
    return failure("cannot run " + record.instance.name);
  }
  return port;
}

Result<UniqueFd> LibvirtHost::agent_port(const Record& record) const {
  const Domain domain = TRY(this->domain(record));
  const std::string name(machine::kAgentPort);
  return stream_as_socket(connection_.get(), [&](virStreamPtr stream) {
    return virDomainOpenChannel(domain.get(), name.c_str(), stream, VIR_DOMAIN_CHANNEL_FORCE);
  });
}

Result<UniqueFd> LibvirtHost::console(const Record& record) const {
  const Domain domain = TRY(this->domain(record));
  return stream_as_socket(connection_.get(), [&](virStreamPtr stream) {
    return virDomainOpenConsole(domain.get(), nullptr, stream, VIR_DOMAIN_CONSOLE_FORCE);
  });
}

namespace {
DomainState state_of(int libvirts) {
  switch (libvirts) {
    case VIR_DOMAIN_PAUSED:
      return DomainState::paused;
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
      return DomainState::off;
    default:
      return DomainState::running;
  }
}
}  // namespace

Result<DomainLook> LibvirtHost::look(const Record& record) const {
  const auto domain = this->domain(record);
  if (!domain && domain.error().kind == ErrorKind::not_found) {
    return DomainLook{};
  }
  int state = 0;
  if (!domain || virDomainGetState(domain->get(), &state, nullptr, 0) < 0) {
    return domain ? failure("cannot ask about " + record.instance.name) : domain.error();
  }
  const unsigned id = virDomainGetID(domain->get());  // came with the domain: asks nobody
  return DomainLook{state_of(state), id == kNoId ? std::nullopt : std::optional<std::int64_t>(id)};
}

Result<DomainState> LibvirtHost::state(const Record& record) const {
  return TRY(look(record)).state;
}

std::optional<Bytes> LibvirtHost::memory(const Record& record) const {
  const auto domain = this->domain(record);
  std::array<virDomainMemoryStatStruct, VIR_DOMAIN_MEMORY_STAT_NR> stats{};
  const int count = domain ? virDomainMemoryStats(domain->get(), stats.data(), stats.size(), 0) : 0;
  for (int i = 0; i < count; ++i) {
    const auto& stat = stats[static_cast<std::size_t>(i)];
    if (stat.tag == VIR_DOMAIN_MEMORY_STAT_RSS) {
      return Bytes{stat.val * 1024};
    }
  }
  return std::nullopt;
}

Result<void> LibvirtHost::power_button(const Record& record) const {
  const Domain domain = TRY(this->domain(record));
  return virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) == 0
             ? Result<void>()
             : failure("cannot shut " + record.instance.name + " down");
}

Result<void> LibvirtHost::destroy(const Record& record) const {
  const Domain domain = TRY(this->domain(record));
  if (virDomainIsActive(domain.get()) == 1 && virDomainDestroy(domain.get()) < 0 &&
      virDomainIsActive(domain.get()) == 1) {
    return failure("cannot end " + record.instance.name);
  }
  return {};
}

Result<void> LibvirtHost::remove(const Record& record) const {
  const auto domain = this->domain(record);
  if (!domain && domain.error().kind != ErrorKind::not_found) {
    return domain.error();
  }
  if (domain) {
    TRY(destroy(record));
    constexpr unsigned kWithAllOfIt = VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                                      VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                      VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
    if (virDomainUndefineFlags(domain->get(), kWithAllOfIt) < 0) {
      return failure("cannot remove " + record.instance.name);
    }
  }
  return remove_disk(record);
}

Result<void> LibvirtHost::remove_disk(const Record& record) const {
  const std::string what = "cannot remove the disk of " + record.instance.name;
  const Pool pool(virStoragePoolLookupByName(connection_.get(), host_.pool.c_str()));
  if (!pool) {
    return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL ? Result<void>() : failure(what);
  }
  if (!open_pool(pool.get())) {
    return failure(what);
  }
  const Volume disk(virStorageVolLookupByName(pool.get(), disk_of(record).c_str()));
  if (!disk) {
    return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL ? Result<void>() : failure(what);
  }
  return virStorageVolDelete(disk.get(), 0) == 0 ? Result<void>() : failure(what);
}

}  // namespace goldmill::launch
