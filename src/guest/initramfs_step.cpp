// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>

#include <goldmill/base/digest.hpp>
#include <goldmill/guest/initramfs_step.hpp>

namespace goldmill::guest {
namespace {

constexpr const char* kInitramfsKind = "debian.initramfs";
constexpr std::string_view kKernel = "linux-image-";

class InitramfsStep : public plan::StepKind {
 public:
  std::string_view name() const override { return kInitramfsKind; }
  int version() const override { return 1; }

  Result<Json> run(const plan::Step& /*step*/, plan::StepContext& context) override {
    // -c also where the packages' own build was held back and left nothing to update.
    TRY(context.sandbox.run(
        {.argv = {"update-initramfs", "-c", "-k", "all"}, .real_initramfs = true}));
    return Json::object();
  }
};

std::map<std::string, std::string> relevant(const std::map<std::string, std::string>& packages) {
  std::map<std::string, std::string> chosen;
  for (const auto& [name, version] : packages) {
    if (is_initramfs_package(name)) {
      chosen.emplace(name, version);
    }
  }
  return chosen;
}

}  // namespace

bool is_initramfs_package(std::string_view name) {
  static constexpr std::array<std::string_view, 22> kNames = {"initramfs-tools",
                                                              "initramfs-tools-core",
                                                              "initramfs-tools-bin",
                                                              "busybox",
                                                              "busybox-static",
                                                              "busybox-initramfs",
                                                              "klibc-utils",
                                                              "libklibc",
                                                              "kmod",
                                                              "libkmod2",
                                                              "udev",
                                                              "libudev1",
                                                              "systemd",
                                                              "libc6",
                                                              "libc-bin",
                                                              "libblkid1",
                                                              "e2fsprogs",
                                                              "logsave",
                                                              "zstd",
                                                              "cpio",
                                                              "dmsetup",
                                                              "util-linux"};
  const std::string_view bare = name.substr(0, name.find(':'));
  return std::find(kNames.begin(), kNames.end(), bare) != kNames.end() ||
         bare.starts_with(kKernel) || bare.starts_with("linux-modules-") ||
         bare.starts_with("linux-firmware") || bare.starts_with("firmware-") ||
         bare.ends_with("-microcode") || bare.starts_with("cryptsetup") ||
         bare.starts_with("lvm2") || bare.starts_with("mdadm") || bare.starts_with("plymouth") ||
         bare.starts_with("btrfs-progs") || bare.starts_with("xfsprogs") ||
         bare.starts_with("cloud-initramfs") || bare.starts_with("dropbear") ||
         bare.starts_with("open-iscsi") || bare.starts_with("console-setup") ||
         bare.starts_with("keyboard-configuration");
}

std::vector<TreeFile> initramfs_files(const std::vector<TreeFile>& files) {
  std::vector<TreeFile> chosen;
  std::copy_if(files.begin(), files.end(), std::back_inserter(chosen), [](const TreeFile& file) {
    return file.path.starts_with("/etc/initramfs-tools/") ||
           file.path.starts_with("/usr/share/initramfs-tools/");
  });
  return chosen;
}

std::optional<plan::Step> make_initramfs_step(const InitramfsInput& input,
                                              const InitramfsInput* parent) {
  const auto packages = relevant(input.packages);
  const bool has_kernel = std::any_of(packages.begin(), packages.end(), [](const auto& package) {
    return package.first.starts_with(kKernel);
  });
  if (!has_kernel || (parent != nullptr && packages == relevant(parent->packages) &&
                      input.files == parent->files)) {
    return std::nullopt;
  }
  plan::Step step;
  step.name = "initramfs";
  step.kind = kInitramfsKind;
  for (const auto& [name, version] : packages) {
    step.inputs["package " + name] = version;
  }
  for (const TreeFile& file : input.files) {
    step.inputs["file " + file.path] = sha256(file.content).text();
  }
  return step;
}

std::unique_ptr<plan::StepKind> initramfs_step_kind() {
  return std::make_unique<InitramfsStep>();
}

}  // namespace goldmill::guest
