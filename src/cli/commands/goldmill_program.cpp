// SPDX-License-Identifier: GPL-3.0-or-later
#include "commands.hpp"

namespace goldmill::cli {

namespace {

Program make_program() {
  return {.name = "goldmill",
          .version = GOLDMILL_VERSION,
          .summary = "golden VM images: build a slim base, adapt it, prove it, launch it",
          .description =
              {"goldmill builds a slim, bootable, repeatable base image from a recipe, adapts it "
               "into variants without starting over, proves that each keeps what its recipe "
               "promises, writes it in the formats of hypervisors, and launches instances that "
               "each have an identity of their own.",
               "It needs no root, no loop device and no mount, and boots nothing to build but for "
               "steps that ask for it."},
          .examples = {{"goldmill build examples/base.yaml", "a base from nothing"},
                       {"goldmill build examples/java.yaml", "a variant on it"},
                       {"goldmill test java", "boot it and check its promises"},
                       {"goldmill launch java -n 3", "three instances"}},
          .environment = {{"GOLDMILL_HOME",
                           "where state is kept; default: goldmill in the XDG data directory"},
                          {"XDG_CONFIG_HOME",
                           "where goldmill/settings.yaml adds to /etc/goldmill/settings.yaml"},
                          {"GOLDMILL_ACCELERATOR", "tcg or kvm, instead of probing"},
                          {"GOLDMILL_DEBIAN_URI", "archive of Debian, instead of the machine's"},
                          {"GOLDMILL_DEBIAN_SECURITY_URI", "archive of Debian's security suites"},
                          {"GOLDMILL_UBUNTU_URI", "archive of Ubuntu"},
                          {"GOLDMILL_STEP_MEMORY",
                           "what the programs of a step may hold in memory; default: 8GiB"},
                          {"GOLDMILL_STEP_MINUTES", "how long they may take; default: 120"},
                          {"NO_COLOR", "no colours"}},
          .commands = {
              plan_command(),     build_command(),      lock_command(),    keep_packages_command(),
              outdated_command(), test_command(),       list_command(),    show_command(),
              diff_command(),     size_command(),       explain_command(), digest_command(),
              export_command(),   launch_command(),     warm_command(),    hosts_command(),
              ps_command(),       ssh_command(),        console_command(), connect_command(),
              stop_command(),     start_command(),      rm_command(),      gc_command(),
              pack_command(),     check_command(),      import_command(),  questions_command(),
              answers_command(),  completion_command(), man_command(),     complete_command()}};
}

}  // namespace

const Program& goldmill_program() {
  static const Program kProgram = make_program();
  return kProgram;
}

}  // namespace goldmill::cli
