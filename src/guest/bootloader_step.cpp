// SPDX-License-Identifier: GPL-3.0-or-later
#include "bootloader_step.hpp"

namespace goldmill::guest {

namespace {
constexpr std::string_view kBootloaderKind = "debian.bootloader";
constexpr int kVersion = 3;

// core.img and the unsigned image hold all that grub.cfg uses: no module is ever loaded from
// the disk. Secure Boot's signed image is the distribution's and has these as well.
constexpr std::string_view kModules =
    "part_gpt fat ext2 normal configfile linux serial terminal boot echo test probe regexp ls cat "
    "sleep halt reboot minicmd";

/// The words that differ between architectures.
struct Platform {
  std::string efi_format;  ///< GRUB's name of the EFI platform
  std::string efi_suffix;  ///< in shimx64.efi.signed
};

Result<Platform> platform_of(std::string_view architecture) {
  if (architecture == "amd64") {
    return Platform{"x86_64-efi", "x64"};
  }
  if (architecture == "arm64") {
    return Platform{"arm64-efi", "aa64"};
  }
  return Error{ErrorKind::invalid_input,
               "no boot loader is known for architecture '" + std::string(architecture) + "'",
               "known: amd64, arm64"};
}

/// Ubuntu has shimx64.efi.signed as an alternative, which unpacking alone does not make: its
/// target ".latest" is the second choice.
std::string script(bool bios) {
  std::string text = R"(set -eu
out=/run/goldmill/output
format=$1; suffix=$2; family=$3; shift 3
take() {  # NAME FILE...: the first file that exists
  name=$1; shift
  for file; do
    if [ -e "$file" ]; then cp -L "$file" "$out/$name"; return 0; fi
  done
  return 1
}
if take shim.efi /usr/lib/shim/shim$suffix.efi.signed /usr/lib/shim/shim$suffix.efi.signed.latest &&
   take grub.efi /usr/lib/grub/$format-signed/grub$suffix.efi.signed; then
  take mokmanager.efi /usr/lib/shim/mm$suffix.efi.signed /usr/lib/shim/mm$suffix.efi || true
else
  rm -f "$out/shim.efi" "$out/grub.efi"
  grub-mkimage -O "$format" -d /usr/lib/grub/$format -p /EFI/$family -o "$out/grub-unsigned.efi" "$@"
fi
)";
  if (bios) {
    text +=
        "grub-mkimage -O i386-pc -d /usr/lib/grub/i386-pc -p \"(,gpt2)/EFI/$family\" "
        "-o \"$out/core.img\" biosdisk linux16 \"$@\"\n"
        "cp /usr/lib/grub/i386-pc/boot.img \"$out/boot.img\"\n";
  }
  return text;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> list;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    list.emplace_back(text.substr(0, space));
    text = space == std::string_view::npos ? "" : text.substr(space + 1);
  }
  return list;
}

class BootloaderKind : public plan::StepKind {
 public:
  std::string_view name() const override { return kBootloaderKind; }
  int version() const override { return kVersion; }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const std::string architecture = TRY(string_at(step.options, "architecture"));
    const std::string family = TRY(string_at(step.options, "family"));
    const Platform platform = TRY(platform_of(architecture));
    const bool bios = architecture == "amd64";
    plan::Execution execution;
    execution.argv = {
        "/bin/sh", "-c", script(bios), "sh", platform.efi_format, platform.efi_suffix, family};
    for (std::string& module : words(kModules)) {
      execution.argv.push_back(std::move(module));
    }
    TRY(context.sandbox.run(execution).context("while preparing the boot loader"));
    return Json::object();
  }
};
}  // namespace

std::vector<std::string> bootloader_packages(std::string_view architecture) {
  if (architecture == "arm64") {
    return {"grub-common", "grub-efi-arm64-bin", "grub-efi-arm64-signed", "shim-signed"};
  }
  return {
      "grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed"};
}

plan::Step bootloader_step(std::string_view family, std::string_view architecture) {
  plan::Step step;
  step.name = "boot loader";
  step.kind = std::string(kBootloaderKind);
  step.kind_version = kVersion;
  step.options = {{"family", family}, {"architecture", architecture}};
  step.produces = plan::Produces::assets;
  return step;
}

std::unique_ptr<plan::StepKind> make_bootloader_kind() {
  return std::make_unique<BootloaderKind>();
}

}  // namespace goldmill::guest
