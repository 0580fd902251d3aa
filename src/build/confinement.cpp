// SPDX-License-Identifier: GPL-3.0-or-later
#include "confinement.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

namespace goldmill::build {

namespace {
/// What maintainer scripts and provisioning need; each is limited to the guest's own ids anyway.
constexpr std::array kKept = {CAP_CHOWN,
                              CAP_DAC_OVERRIDE,
                              CAP_FOWNER,
                              CAP_FSETID,
                              CAP_KILL,
                              CAP_SETGID,
                              CAP_SETUID,
                              CAP_SETPCAP,
                              CAP_NET_BIND_SERVICE,
                              CAP_SYS_CHROOT,
                              CAP_SETFCAP};

/// Calls that no installation needs and that reach the kernel itself or whole-machine state.
/// EPERM rather than a kill: programs probe for these and go on without.
constexpr std::array kRefused = {"bpf",
                                 "keyctl",
                                 "add_key",
                                 "request_key",
                                 "perf_event_open",
                                 "kexec_load",
                                 "kexec_file_load",
                                 "init_module",
                                 "finit_module",
                                 "delete_module",
                                 "userfaultfd",
                                 "open_by_handle_at",
                                 "name_to_handle_at",
                                 "swapon",
                                 "swapoff",
                                 "reboot",
                                 "settimeofday",
                                 "clock_settime",
                                 "clock_adjtime",
                                 "adjtimex",
                                 "stime",
                                 "setns",
                                 "mount",
                                 "umount2",
                                 "pivot_root",
                                 "move_mount",
                                 "open_tree",
                                 "fsopen",
                                 "fsmount",
                                 "fspick",
                                 "fsconfig",
                                 "mount_setattr",
                                 "quotactl",
                                 "quotactl_fd",
                                 "acct",
                                 "syslog",
                                 "iopl",
                                 "ioperm",
                                 "lookup_dcookie",
                                 "nfsservctl",
                                 "io_uring_setup",
                                 "io_uring_enter",
                                 "io_uring_register",
                                 "vhangup",
                                 "process_vm_writev",
                                 "process_vm_readv",
                                 "ptrace",
                                 "landlock_create_ruleset"};

struct FilterFree {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterFree>;

/// Flags stand in the first argument of both; on s390 clone has them in the second.
int refuse_user_namespaces(void* filter) {
#ifdef __s390x__
  constexpr unsigned kCloneFlags = 1;
#else
  constexpr unsigned kCloneFlags = 0;
#endif
  constexpr scmp_datum_t kNewUser = CLONE_NEWUSER;
  int failure = ::seccomp_rule_add(filter,
                                   SCMP_ACT_ERRNO(EPERM),
                                   SCMP_SYS(unshare),
                                   1,
                                   SCMP_CMP(0, SCMP_CMP_MASKED_EQ, kNewUser, kNewUser));
  if (failure == 0) {
    failure = ::seccomp_rule_add(filter,
                                 SCMP_ACT_ERRNO(EPERM),
                                 SCMP_SYS(clone),
                                 1,
                                 SCMP_CMP(kCloneFlags, SCMP_CMP_MASKED_EQ, kNewUser, kNewUser));
  }
  if (failure == 0) {
    // Its flags are in memory, out of a filter's sight; ENOSYS makes libc use clone.
    failure = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  }
  return failure;
}

/// Socket families that reach past the network namespace.
int refuse_sockets(void* filter) {
  for (const int family : {AF_VSOCK, AF_ALG, AF_PACKET, AF_BLUETOOTH}) {
    const int failure =
        ::seccomp_rule_add(filter,
                           SCMP_ACT_ERRNO(EAFNOSUPPORT),
                           SCMP_SYS(socket),
                           1,
                           SCMP_CMP(0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
    if (failure != 0) {
      return failure;
    }
  }
  return 0;
}

int add_rules(void* filter) {
  for (const char* name : kRefused) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) {
      continue;  // newer than this libseccomp: then it is not in these headers either
    }
    const int failure = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    if (failure != 0 && failure != -EDOM) {
      return failure;
    }
  }
  const int failure = refuse_user_namespaces(filter);
  return failure != 0 ? failure : refuse_sockets(filter);
}

Result<std::vector<sock_filter>> compile(void* filter) {
  const system::UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file) {
    return system_error("cannot make a memory file", errno);
  }
  if (const int failure = ::seccomp_export_bpf(filter, file.get()); failure != 0) {
    return system_error("cannot make the system call filter", -failure);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  const std::string bytes = TRY(system::read_all(file.get()));
  std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
  bytes.copy(reinterpret_cast<char*>(program.data()), bytes.size());
  return program;
}
}  // namespace

Result<Confinement> make_confinement(int processes) {
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) {
    return Error{ErrorKind::unavailable, "this machine has no system call filters"};
  }
  (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#ifdef __x86_64__
  (void)::seccomp_arch_add(filter.get(), SCMP_ARCH_X86);  // multiarch packages
#endif
  if (const int failure = add_rules(filter.get()); failure != 0) {
    return system_error("cannot make the system call filter", -failure);
  }
  return Confinement{TRY(compile(filter.get())), processes};
}

namespace {
/// Lowers both limits, never asking for more than the caller itself may have.
bool lower_limit(__rlimit_resource resource, rlim_t soft, rlim_t hard) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) {
    return false;
  }
  const rlim_t highest = std::min(hard, now.rlim_max);
  const rlimit lower{std::min(soft, highest), highest};
  return ::setrlimit(resource, &lower) == 0;
}

bool limit_resources(const Confinement& confinement) {
  const auto processes =
      confinement.processes > 0 ? static_cast<rlim_t>(confinement.processes) : RLIM_INFINITY;
  return lower_limit(RLIMIT_CORE, 0, 0) && lower_limit(RLIMIT_NOFILE, 1024, 65536) &&
         lower_limit(RLIMIT_NPROC, processes, processes);
}

bool keep_capabilities() {
  std::uint64_t kept = 0;
  for (const int capability : kKept) {
    kept |= std::uint64_t{1} << static_cast<unsigned>(capability);
  }
  for (int capability = 0; capability < 64; ++capability) {
    if ((kept >> static_cast<unsigned>(capability) & 1U) == 0 &&
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) {
      return false;
    }
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (std::size_t word = 0; word < 2; ++word) {
    const auto bits = static_cast<std::uint32_t>(kept >> (32 * word));
    data.at(word) = {bits, bits, 0};
  }
  return ::syscall(SYS_capset, &header, data.data()) == 0;
}
}  // namespace

bool confine_this_process(const Confinement& confinement) {
  const sock_fprog program{static_cast<unsigned short>(confinement.filter.size()),
                           const_cast<sock_filter*>(confinement.filter.data())};
  // The filter first: without no_new_privs (su and sudo must work) it needs a capability.
  return limit_resources(confinement) &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 && keep_capabilities();
}

}  // namespace goldmill::build
