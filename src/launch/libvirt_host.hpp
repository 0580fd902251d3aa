// SPDX-License-Identifier: GPL-3.0-or-later
// LibvirtHost: a connection to one host's libvirt, and what goldmill does there.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include <libvirt/libvirt.h>

#include <goldmill/launch/hosts.hpp>
#include <goldmill/system/file.hpp>

#include "record.hpp"

namespace goldmill::launch {

/// What libvirt says of an instance's machine.
enum class DomainState : std::uint8_t { absent, off, paused, running };
struct DomainLook {
  DomainState state = DomainState::absent;
  std::optional<std::int64_t> run;  ///< while it runs: another number for each start
};

class LibvirtHost {
 public:
  /// Errors: unavailable, naming the host.
  static Result<LibvirtHost> connect(const Host& host);

  const Host& host() const { return host_; }
  Result<Capacity> capacity() const;

  /// Brings an image's disk and what it stands on into the pool, as far as they are not there. One
  /// at a time for each host: the caller holds its lock.
  using Sending = std::function<void(const std::string& file, Bytes size)>;
  Result<void> bring(const std::vector<std::filesystem::path>& chain, const Sending& sending) const;

  /// Makes the instance's disk on the image that was brought, and defines its machine.
  Result<void> define(const Record& record, Bytes disk_size) const;
  /// Starts it and gives the agent's port, which was open before the guest's kernel ran; also of
  /// one that was left paused by a launcher that died.
  Result<system::UniqueFd> start(const Record& record) const;
  Result<system::UniqueFd> agent_port(const Record& record) const;
  Result<system::UniqueFd> console(const Record& record) const;

  Result<DomainLook> look(const Record& record) const;
  Result<DomainState> state(const Record& record) const;
  /// Of its process, while it runs.
  std::optional<Bytes> memory(const Record& record) const;
  /// Presses the power button.
  Result<void> power_button(const Record& record) const;
  Result<void> destroy(const Record& record) const;
  /// Ends it, and removes its machine and disk. What is gone already is no error.
  Result<void> remove(const Record& record) const;

 private:
  struct Close {
    void operator()(virConnectPtr connection) const { virConnectClose(connection); }
  };
  struct Free {
    void operator()(virDomainPtr domain) const { virDomainFree(domain); }
    void operator()(virStoragePoolPtr pool) const { virStoragePoolFree(pool); }
    void operator()(virStorageVolPtr volume) const { virStorageVolFree(volume); }
  };
  using Connection = std::unique_ptr<virConnect, Close>;
  using Domain = std::unique_ptr<virDomain, Free>;
  using Pool = std::unique_ptr<virStoragePool, Free>;
  using Volume = std::unique_ptr<virStorageVol, Free>;

  LibvirtHost(Host host, Connection connection)
      : host_(std::move(host)), connection_(std::move(connection)) {}

  /// What libvirt said last, by this host; unavailable when the connection is lost.
  Error failure(const std::string& what) const;
  Result<Domain> domain(const Record& record) const;
  Result<Pool> pool() const;
  Result<void> remove_disk(const Record& record) const;
  Result<void> send(virStoragePoolPtr pool, const std::filesystem::path& file, Bytes size) const;
  std::string domain_type() const;

  /// libvirtd stops listening to one that has five requests open (its `max_client_requests`), and
  /// then takes it for dead: so what is slow waits for its turn here.
  using Turns = std::counting_semaphore<3>;
  struct Turn {
    explicit Turn(Turns& turns) : turns_(turns) { turns_.acquire(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { turns_.release(); }
    Turns& turns_;
  };

  Host host_;
  Connection connection_;
  std::unique_ptr<Turns> slow_ = std::make_unique<Turns>(3);
};

}  // namespace goldmill::launch
