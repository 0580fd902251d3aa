// SPDX-License-Identifier: GPL-3.0-or-later
// Disks of a preseed file: partman's recipes -> plain partitions with the same mounts.
#include <algorithm>

#include <goldmill/kickstart/recipe_words.hpp>

#include "expert_recipe.hpp"
#include "translation.hpp"

namespace goldmill::preseed {

namespace {

/// What the firmware starts from, and what only holds other volumes.
bool is_for_booting(const WantedPartition& partition) {
  const std::string method = partition.specifier("method");
  return method == "biosgrub" || method == "efi" || method == "prep" ||
         partition.specifiers.contains("$bios_boot") || partition.filesystem == "efi" ||
         partition.specifier("mountpoint") == "/boot/efi";
}

bool is_swap(const WantedPartition& partition) {
  return partition.filesystem == "linux-swap" || partition.filesystem == "swap" ||
         partition.specifier("method") == "swap";
}

std::string filesystem_of(const WantedPartition& partition) {
  const std::string used = partition.specifier("filesystem");
  return used.empty() ? partition.filesystem : used;
}

constexpr std::uint64_t kMegabyte = 1'000'000;
constexpr std::uint64_t kMebibyte = 1'048'576;

/// The installer's MB are millions of bytes. To the nearest, so that sizes survive both ways.
std::uint64_t mib_of(const WantedPartition& partition) {
  return (partition.least * kMegabyte + kMebibyte / 2) / kMebibyte;
}

/// An instance's memory is not known when its image is made.
constexpr std::uint64_t kSwapMib = 1024;
}  // namespace

void Translation::method(const Answer& answer) {
  if (answer.value == "regular" || answer.value.empty()) {
    return mapped(answer, "", "plain partitions");
  }
  changed(answer,
          "",
          answer.value == "crypto"
              ? "plain partitions: an image holds no key, the host's storage is what is encrypted"
              : "plain partitions with the same mounts");
}

void Translation::choose_recipe(const Answer& answer) {
  if (answer.value == "home" || answer.value == "multi" || answer.value == "server") {
    return changed(answer, "", "one root file system; an expert_recipe names others");
  }
  mapped(answer, "", answer.value == "atomic" ? "one root file system; no swap" : "");
}

void Translation::default_filesystem(const Answer& answer) {
  answer.value == "ext4" ? mapped(answer, "")
                         : changed(answer, "", "ext4 instead of " + answer.value);
}

void Translation::expert_recipe(const Answer& answer) {
  const auto recipe = parse_expert_recipe(answer.value);
  if (!recipe) {
    problems_.add(answer.line, recipe.error().message + "; " + recipe.error().hint);
    return not_applicable(answer, recipe.error().message);
  }
  const kickstart::Place here{file_, answer.line};
  std::string note;
  const auto add = [&note](const std::string& more) {
    if (note.find(more) == std::string::npos) {
      kickstart::add_note(note, more);
    }
  };
  for (const WantedPartition& partition : recipe->partitions) {
    const std::string mount = partition.specifier("mountpoint");
    const std::string filesystem = filesystem_of(partition);
    if (is_for_booting(partition)) {
      add("the boot partitions are always added");
    } else if (is_swap(partition)) {
      const std::uint64_t mib = partition.of_memory ? kSwapMib : mib_of(partition);
      volumes_.add({"swap", "swap", "", mib, here});
      if (partition.of_memory) {
        add("swap of 1 GiB instead of a share of the memory");
      }
    } else if (!mount.starts_with('/')) {
      add("what is mounted nowhere is left out");
    } else if (mount == "/boot") {
      add("/boot is a directory of the root file system");
    } else {
      const bool is_fat = filesystem.starts_with("fat") || filesystem == "vfat";
      const std::string kept = is_fat && mount != "/" ? "vfat" : "ext4";
      if (kept == "ext4" && filesystem != "ext4" && !filesystem.starts_with('$')) {
        add("ext4 instead of " + filesystem);
      }
      const bool has_options = std::any_of(
          partition.specifiers.begin(), partition.specifiers.end(), [](const auto& specifier) {
            return specifier.first.starts_with("options/");
          });
      if (has_options) {
        add("mount options are not taken over");
      }
      volumes_.add({mount, kept, partition.specifier("label"), mib_of(partition), here});
    }
  }
  changed(answer, "disk.partitions", note.empty() ? "sizes are the least that it asks for" : note);
}

}  // namespace goldmill::preseed
