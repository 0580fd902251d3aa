// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/image/grub_config.hpp>

namespace goldmill::image {

std::string grub_directory(std::string_view os_family) {
  return "EFI/" + std::string(os_family);
}

namespace {
/// The distribution's kernel hooks keep the links in / (Debian) or in /boot (Ubuntu). On a BIOS the
/// kernel's own start finds memory and screen: GRUB's way of doing that for it moves 54 MB byte by
/// byte (decision 37). If an entry fails, the serial console may choose another.
std::string entry(const std::string& title, const std::string& id, const std::string& suffix) {
  return "menuentry '" + title + "' --id " + id +
         " {\n"
         "  terminal_input --append serial\n"
         "  if [ -e ($disk)/boot/vmlinuz" +
         suffix +
         " ]; then\n"
         "    set links=/boot\n"
         "  else\n"
         "    set links=\n"
         "  fi\n"
         "  linux$bits ($disk)$links/vmlinuz" +
         suffix +
         " root=PARTUUID=$partition ro $arguments\n"
         "  initrd$bits ($disk)$links/initrd.img" +
         suffix +
         "\n"
         "}\n";
}
}  // namespace

std::string kernel_arguments(const Layout& layout) {
  // An emulated guest on a busy machine can fail the kernel's first test of its timer and panic;
  // hypervisors' guests skip that test by themselves.
  std::string arguments = "console=tty0 console=ttyS0,115200 no_timer_check";
  for (const std::string& option : layout.kernel_options) {
    arguments += " " + option;
  }
  return arguments;
}

std::string grub_config(const Layout& layout) {
  const LayoutPartition* root = layout.find(Role::root);
  GOLDMILL_ASSERT(root != nullptr);
  const std::string number = std::to_string(layout.number_of(*root));
  const std::string title = layout.os_family == "ubuntu" ? "Ubuntu" : "Debian";
  return "# Made with the image. The kernel is found by links that the distribution's own hooks\n"
         "# keep; the previous one is the second entry and is tried when the first fails.\n"
         "serial --unit=0 --speed=115200\n"
         // Esc, held since the start, shows the menu. Of a serial console GRUB cannot tell what is
         // held: it would wait three seconds for it (decision 37).
         "terminal_input console\n"
         "terminal_output console serial\n"
         "set timeout=0\n"
         "set timeout_style=hidden\n"
         "set default=0\n"
         "set fallback=1\n"
         "if [ $grub_platform = pc ]; then\n"
         "  set bits=16\n"
         "fi\n"
         // $root is where this file was found: the same disk's EFI system partition.
         "regexp --set=1:device '^([^,]+)' $root\n"
         "set disk=$device,gpt" +
         number +
         "\n"
         "probe --set=partition --part-uuid ($disk)\n"
         "set arguments='" +
         kernel_arguments(layout) + "'\n" + entry(title, "newest", "") +
         entry(title + ", previous kernel", "previous", ".old");
}

}  // namespace goldmill::image
