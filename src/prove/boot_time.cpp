// SPDX-License-Identifier: GPL-3.0-or-later
#include "boot_time.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace goldmill::prove {

namespace {
constexpr std::chrono::seconds kPatience{900};
// A slim Debian 12 guest's kernel says this after about a quarter of a second under KVM.
constexpr std::string_view kKernelIsUp = "] Run /init as init process";
constexpr double kUsualKernelStart = 0.25;
constexpr int kMostlyEnough = 100;      // an emulated boot that is slower still is given up
constexpr double kMostSlowness = 1000;  // what a guest says of itself has its bounds

std::string within(int seconds) {
  return "within " + std::to_string(seconds) + " s";
}

std::string with_one_digit(double value) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}
}  // namespace

std::optional<double> slowness(std::string_view serial) {
  const std::size_t end = serial.find(kKernelIsUp);
  const std::size_t start = end == std::string_view::npos ? end : serial.rfind('[', end);
  if (start == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view time = serial.substr(start + 1, end - start - 1);
  time.remove_prefix(std::min(time.find_first_not_of(' '), time.size()));
  double seconds = 0;
  const auto read = std::from_chars(time.data(), time.data() + time.size(), seconds);
  if (read.ec != std::errc{} || !std::isfinite(seconds)) {
    return std::nullopt;
  }
  return std::clamp(seconds / kUsualKernelStart, 1.0, kMostSlowness);
}

std::chrono::seconds BootTime::patience() const {
  if (!promised_) {
    return kPatience;
  }
  const std::chrono::seconds promised(*promised_);
  return accelerator_ == machine::Accelerator::kvm ? promised
                                                   : std::min(kPatience, promised * kMostlyEnough);
}

Row BootTime::judge(double seconds, std::string_view serial) const {
  Row row{"reaches multi-user", "", with_one_digit(seconds) + " s", true};
  if (!promised_ || accelerator_ == machine::Accelerator::kvm) {
    row.expected = within(static_cast<int>(patience().count()));
    return row;
  }
  const auto factor = slowness(serial);
  if (!factor) {
    row.expected = within(*promised_) + " under KVM (its console does not tell how slow this is)";
    return row;
  }
  const double limit = *promised_ * *factor;
  row.expected = within(static_cast<int>(std::lround(limit))) + " (" + std::to_string(*promised_) +
                 " s under KVM, times " + with_one_digit(*factor) + " as its kernel's start was)";
  row.passed = seconds <= limit;
  return row;
}

Row BootTime::failed(std::string found) const {
  return {
      "reaches multi-user", within(static_cast<int>(patience().count())), std::move(found), false};
}

}  // namespace goldmill::prove
