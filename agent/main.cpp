// SPDX-License-Identifier: GPL-3.0-or-later
// goldmill-agent: gives an instance its identity before network and SSH start, then answers the
// launcher. `goldmill-agent` runs as a service; `goldmill-agent ready` tells it that the system
// is up, `goldmill-agent store` that somebody comes to a copy of a settled guest.
// docs/reference/agent-protocol.md is what it speaks.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "disk_source.hpp"
#include "grow.hpp"
#include "held_files.hpp"
#include "link.hpp"
#include "metadata_source.hpp"
#include "personalise.hpp"
#include "port.hpp"
#include "program.hpp"
#include "session.hpp"
#include "settle.hpp"

namespace goldmill::agent {
namespace {

constexpr std::string_view kSocket = "/run/goldmill/agent.sock";
constexpr std::uint64_t kIdentityLimitMs = 30000;
constexpr std::uint64_t kDevicesLimitMs = 30000;
constexpr std::uint64_t kPortLimitMs = 1000;
// Hundreds of copies on one machine must not wake at the same time, nor while others still start.
constexpr std::uint64_t kParkedMs = 600000;
constexpr std::uint64_t kSpreadMs = 3000000;

void log(std::string_view about, std::string_view message) {
  std::fprintf(stderr,
               "%.*s: %.*s\n",
               static_cast<int>(about.size()),
               about.data(),
               static_cast<int>(message.size()),
               message.data());
}

void sleep_ms(long milliseconds) {
  const timespec pause{.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
  nanosleep(&pause, nullptr);
}

/// A path, or with a leading '@' an abstract name, as systemd gives it.
socklen_t fill_address(std::string_view name, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), std::min(name.size(), sizeof(address.sun_path) - 1));
  if (name.starts_with("@")) {
    address.sun_path[0] = '\0';
  }
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
}

void send_datagram(std::string_view to, std::string_view text) {
  sockaddr_un address;
  const socklen_t length = fill_address(to, address);
  const Descriptor socket_file(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (sendto(socket_file.get(),
             text.data(),
             text.size(),
             MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address),
             length) < 0) {
    log("socket", std::strerror(errno));
  }
}

/// Tells systemd that what comes after us may start: sd_notify(3) without its library.
void notify_started() {
  const char* socket_name = getenv("NOTIFY_SOCKET");
  if (socket_name != nullptr && std::strlen(socket_name) < sizeof(sockaddr_un::sun_path)) {
    send_datagram(socket_name, "READY=1\nSTATUS=personalised");
  }
}

/// What every device manager of systemd's does while it still finds devices.
bool is_udev_busy() {
  return exists("/run/udev/control") && exists("/run/udev/queue");
}

/// At an earlier boot: when it reboots by itself nobody may be on the port.
bool had_identity() {
  return exists(kAuthorizedKeys);
}

class Service {
 public:
  int run();

 private:
  bool wait_for_port();
  void wait_for_devices();
  std::optional<Identity> ask_host();
  void notice_host();
  void personalise();
  void watch_signals(std::initializer_list<int> numbers);
  bool is_told_to_end();
  void take_datagram();
  void store();
  void listen();
  void serve();
  std::optional<Identity> take_requests(std::string_view bytes);
  void handle_port(short events);
  void resume(Identity identity);
  int wake_when_due();
  void warn(std::string_view about, std::string_view message);
  /// warn() for who does the work.
  Warn warner() {
    return [this](std::string_view about, std::string_view message) { warn(about, message); };
  }

  Port port_;
  Session session_{About{}, link_address};
  Descriptor socket_;
  Descriptor signals_;
  bool is_connected_ = false;
  std::string link_;               ///< the network card of a settled guest
  std::vector<Network> networks_;  ///< of a copy, until store()
  Parked parked_;                  ///< what settle() changed
  std::uint64_t wake_ms_ = 0;      ///< when that is undone; 0: nothing is parked
};

void Service::warn(std::string_view about, std::string_view message) {
  log(about, message);
  session_.warn(about, message);
}

/// True when a host is on the port. The driver learns of it a moment after the port appears; and
/// where a launcher ended too early, the next one is waited for.
bool Service::wait_for_port() {
  const std::uint64_t start = uptime_ms();
  std::uint64_t limit = kPortLimitMs;
  while (uptime_ms() - start < limit) {
    if (!exists("/sys/class/virtio-ports")) {
      return false;
    }
    port_.find();
    if (port_.is_open() && port_.is_connected()) {
      return true;
    }
    if (port_.is_open() && !had_identity()) {
      limit = kIdentityLimitMs;
    }
    sleep_ms(10);
  }
  return false;
}

/// Also for a udevd that is not yet up: until then what the kernel has found waits for it unseen.
void Service::wait_for_devices() {
  const std::uint64_t start = uptime_ms();
  const std::string limit = std::to_string(kDevicesLimitMs / 1000);
  if (const auto settled = run_program("/bin/udevadm", {"settle", "--timeout=" + limit});
      !settled) {
    log("devices", settled.error().text());
  }
  int quiet = 0;
  while (quiet < 4 && uptime_ms() - start < kDevicesLimitMs) {
    quiet = is_udev_busy() ? 0 : quiet + 1;
    sleep_ms(50);
  }
}

std::optional<Identity> Service::ask_host() {
  session_ = Session(Personaliser("", [](auto, auto) {}).about(), link_address);
  const std::uint64_t start = uptime_ms();
  while (uptime_ms() - start < kIdentityLimitMs && wait_for_port()) {
    notice_host();
    port_.send(session_.output());
    pollfd request{.fd = port_.descriptor(), .events = POLLIN, .revents = 0};
    poll(&request, 1, 100);
    std::optional<Identity> identity = take_requests(port_.receive());
    if (identity) {
      return identity;
    }
    notice_host();
  }
  session_.abandon();
  log("port", "the host has given no identity");
  return std::nullopt;
}

void Service::personalise() {
  std::optional<Identity> identity;
  if (wait_for_port()) {
    identity = ask_host();
  }
  if (!identity) {
    wait_for_devices();
    // A driver that came late may have brought the port.
    if (!port_.is_open() && wait_for_port()) {
      identity = ask_host();
    }
  }
  if (!identity) {
    identity = read_disk_source();
  }
  if (!identity) {
    identity = read_metadata_source(log);
  }
  if (!identity) {
    identity.emplace();
  }
  Personaliser personaliser("", warner());
  personaliser.apply(*identity);
  session_.personalised(personaliser.about(), identity->source);
  log("personalised", "source " + identity->source);
}

void Service::watch_signals(std::initializer_list<int> numbers) {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : numbers) {
    sigaddset(&wanted, number);
  }
  sigprocmask(SIG_BLOCK, &wanted, nullptr);
  signals_ = Descriptor(signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
}

void Service::listen() {
  unlink(std::string(kSocket).c_str());
  sockaddr_un address;
  const socklen_t length = fill_address(kSocket, address);
  socket_ = Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t mask = umask(0177);
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    log("socket", std::strerror(errno));
  }
  umask(mask);
  watch_signals({SIGIO});
  if (port_.is_open()) {
    port_.signal_on_change(SIGIO);
  }
}

std::optional<Identity> Service::take_requests(std::string_view bytes) {
  std::optional<Identity> identity;
  for (Request& wanted : session_.receive(bytes, uptime_ms())) {
    if (wanted.kind == Request::Kind::identity) {
      identity = std::move(wanted.identity);
    } else if (wanted.kind == Request::Kind::settle) {
      const std::vector<std::string> links = ethernet_links();
      link_ = links.empty() ? "" : links.front();
      parked_ = settle(warner());
      session_.settled();
    } else if (wanted.kind == Request::Kind::poweroff) {
      port_.send(session_.output());
      // systemd(1): SIGRTMIN+4 asks PID 1 for poweroff.target; needs neither D-Bus nor ACPI.
      kill(1, SIGRTMIN + 4);
    } else {
      const timespec time{.tv_sec = static_cast<time_t>(wanted.unix_ns / 1000000000),
                          .tv_nsec = static_cast<long>(wanted.unix_ns % 1000000000)};
      clock_settime(CLOCK_REALTIME, &time);
    }
  }
  return identity;
}

/// One that comes is greeted; what one that went had begun is dropped.
void Service::notice_host() {
  const bool is_connected = port_.is_connected();
  if (is_connected && !is_connected_) {
    session_.connected();
  } else if (!is_connected && is_connected_) {
    session_.disconnected();
  }
  is_connected_ = is_connected;
}

void Service::handle_port(short events) {
  notice_host();
  if (is_connected_ && (events & POLLIN) != 0) {
    if (auto identity = take_requests(port_.receive())) {
      resume(*std::move(identity));
    }
  }
  if (is_connected_) {
    port_.send(session_.output());
  }
}

/// In a copy of a settled guest.
void Service::resume(Identity identity) {
  identity.link = link_;
  Personaliser personaliser("", warner());
  personaliser.apply(identity);
  session_.personalised(personaliser.about(), identity.source);
  session_.ready(uptime_ms());
  port_.send(session_.output());
  run_before_others(false);
  watch_signals({SIGIO, SIGTERM});
  networks_ = std::move(identity.networks);
  if (networks_.empty()) {
    start_network(parked_, warner());
  }
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof(random), 0) == sizeof(random)) {
    random %= kSpreadMs;
  }
  wake_ms_ = uptime_ms() + kParkedMs + random;
}

/// How long poll(2) may wait: for ever, unless something is parked.
int Service::wake_when_due() {
  if (wake_ms_ == 0) {
    return -1;
  }
  const std::uint64_t now = uptime_ms();
  if (now < wake_ms_) {
    return static_cast<int>(wake_ms_ - now);
  }
  wake_ms_ = 0;
  store();
  wake(parked_, warner());
  return -1;
}

/// Reads what signals came.
bool Service::is_told_to_end() {
  bool is_told = false;
  signalfd_siginfo signal{};
  while (read(signals_.get(), &signal, sizeof(signal)) == sizeof(signal)) {
    is_told = is_told || signal.ssi_signo == SIGTERM;
  }
  return is_told;
}

void Service::take_datagram() {
  char buffer[512];
  const ssize_t count = recv(socket_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  const std::string_view word(buffer, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (word == "ready") {
    session_.ready(uptime_ms());
  } else if (word == "store") {
    store();
  }
}

/// What is held in memory goes to its place, on the disk and for who starts now.
void Service::store() {
  if (const auto stored = store_held_files(); !stored) {
    warn("settle", stored.error().text());
  }
  if (const auto written = Personaliser("", warner()).write_networks(networks_); !written) {
    warn("network", written.error().text());
  }
  networks_.clear();
}

void Service::serve() {
  while (true) {
    // Without a host poll would return at once for ever: then only the signal is awaited.
    const short wanted = session_.output().empty() ? POLLIN : POLLIN | POLLOUT;
    pollfd files[] = {
        {.fd = signals_.get(), .events = POLLIN, .revents = 0},
        {.fd = socket_.get(), .events = POLLIN, .revents = 0},
        {.fd = is_connected_ ? port_.descriptor() : -1, .events = wanted, .revents = 0}};
    if (poll(files, 3, wake_when_due()) < 0 && errno != EINTR) {
      return;
    }
    if (is_told_to_end()) {
      store();
      return;
    }
    take_datagram();
    handle_port(files[2].revents);
  }
}

int Service::run() {
  if (!make_directory("/run/goldmill", 0755)) {
    log("start", "cannot make /run/goldmill");
  }
  listen();
  personalise();
  if (port_.is_open()) {
    port_.send(session_.output());
    port_.signal_on_change(SIGIO);
  }
  notify_started();
  if (auto grown = grow_root_disk(); !grown) {
    warn("grow", grown.error().text());
  }
  if (!port_.is_open()) {
    unlink(std::string(kSocket).c_str());
    return 0;  // nobody will ever ask
  }
  serve();
  return 0;
}

int run(int argc, char** argv) {
  const std::string_view word = argc == 2 ? argv[1] : "";
  if (word == "ready" || word == "store") {
    if (exists(std::string(kSocket).c_str())) {
      send_datagram(kSocket, word);
    }
    return 0;
  }
  if (argc != 1 || getuid() != 0) {
    std::fputs("usage: goldmill-agent [ready|store]   (as root, started by systemd)\n", stderr);
    return 2;
  }
  return Service().run();
}

}  // namespace
}  // namespace goldmill::agent

int main(int argc, char** argv) {
  return goldmill::agent::run(argc, argv);
}
