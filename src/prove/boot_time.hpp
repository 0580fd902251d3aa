// SPDX-License-Identifier: GPL-3.0-or-later
// What a recipe promises of a boot's time, and whether a boot kept it.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include <goldmill/machine/accelerator.hpp>
#include <goldmill/prove/prove.hpp>

namespace goldmill::prove {

class BootTime {
 public:
  /// `promised`: the recipe's boot_seconds, which are seconds under KVM.
  BootTime(std::optional<int> promised, machine::Accelerator accelerator)
      : promised_(promised), accelerator_(accelerator) {}

  /// How long a boot that says nothing is waited for.
  std::chrono::seconds patience() const;

  /// Judges a boot that reached multi-user after `seconds`; `serial` is its console's log.
  Row judge(double seconds, std::string_view serial) const;

  /// A boot that never got there.
  Row failed(std::string found) const;

 private:
  std::optional<int> promised_;
  machine::Accelerator accelerator_;
};

/// How many times longer than under KVM everything takes in this very boot: its kernel's own start
/// is about the same work in each image, so it shows emulation and a busy machine alike. Nothing
/// when the console does not tell.
std::optional<double> slowness(std::string_view serial);

}  // namespace goldmill::prove
