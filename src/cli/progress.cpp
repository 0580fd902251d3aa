// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cstdio>

#include <goldmill/base/utf8.hpp>
#include <goldmill/cli/terminal.hpp>

namespace goldmill::cli {

namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kBetweenDraws{100};
constexpr seconds kBetweenLines{10};
constexpr std::size_t kMostBars = 8;
constexpr std::size_t kBarWidth = 24;
constexpr std::size_t kNameWidth = 32;

unsigned int percent_of(std::uint64_t done, std::uint64_t total) {
  const double part = static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  return static_cast<unsigned int>(part * 100);
}

std::string seconds_text(duration<double> time) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.1f s", time.count());
  return text.data();
}

/// The first columns of an escaped text.
std::string cut(const std::string& text, std::size_t width) {
  std::string kept;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto point = first_code_point(rest);
    const std::size_t bytes = point ? point->bytes : 1;
    if (display_width(kept) + display_width(rest.substr(0, bytes)) > width) {
      break;
    }
    kept += rest.substr(0, bytes);
    rest.remove_prefix(bytes);
  }
  return kept;
}

}  // namespace

ProgressView::Phase& ProgressView::phase_named(std::string_view name) {
  for (Phase& phase : phases_) {
    if (phase.name == name) {
      return phase;
    }
  }
  Phase phase;
  phase.name = name;
  phase.started = options_.now();
  phase.told = phase.started;
  phases_.push_back(std::move(phase));
  if (!options_.err_is_tty) {
    options_.err(escape_controls(name) + " ...\n");
  }
  return phases_.back();
}

void ProgressView::show(std::string_view phase_name, std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  Phase& phase = phase_named(phase_name);
  phase.done = done;
  phase.total = total;
  if (total != 0 && done >= total) {
    complete(phase);
    return;
  }
  if (options_.err_is_tty) {
    draw(false);
  } else {
    tell(phase);
  }
}

void ProgressView::end(std::string_view phase_name) {
  const std::lock_guard lock(mutex_);
  for (Phase& phase : phases_) {
    if (phase.name == phase_name) {
      complete(phase);
      return;
    }
  }
}

void ProgressView::complete(Phase& phase) {
  erase();
  options_.err(escape_controls(phase.name) + ": done in " +
               seconds_text(options_.now() - phase.started) + "\n");
  phases_.erase(phases_.begin() + (&phase - phases_.data()));
  draw(true);
}

/// Off a terminal, a long phase is heard of now and then.
void ProgressView::tell(const Phase& phase) {
  const auto now = options_.now();
  if (phase.total == 0 || now - phase.told < kBetweenLines) {
    return;
  }
  options_.err(escape_controls(phase.name) + ": " +
               std::to_string(percent_of(phase.done, phase.total)) + "%\n");
  phase_named(phase.name).told = now;
}

void ProgressView::log(std::string_view line) {
  const std::lock_guard lock(mutex_);
  erase();
  options_.err(escape_controls(line) + "\n");
  draw(true);
}

void ProgressView::clear() {
  const std::lock_guard lock(mutex_);
  erase();
}

void ProgressView::finish() {
  const std::lock_guard lock(mutex_);
  erase();
  phases_.clear();
}

void ProgressView::erase() {
  if (drawn_ == 0) {
    return;
  }
  options_.err("\x1b[" + std::to_string(drawn_) + "A\r\x1b[J");
  drawn_ = 0;
}

std::string ProgressView::line_of(const Phase& phase) const {
  std::string line = cut(escape_controls(phase.name), kNameWidth);
  line += std::string(kNameWidth - std::min(kNameWidth, display_width(line)), ' ');
  if (phase.total == 0) {
    line += phase.done == 0 ? "" : "  " + std::to_string(phase.done);
  } else {
    const unsigned int percent = percent_of(phase.done, phase.total);
    const std::size_t full = percent * kBarWidth / 100;
    std::array<char, 16> number{};
    (void)std::snprintf(number.data(), number.size(), "] %3u%%", percent);
    line += "  [" + std::string(full, '#') + std::string(kBarWidth - full, '.') + number.data();
  }
  line += "  " + seconds_text(options_.now() - phase.started);
  return cut(line, options_.columns - 1);
}

void ProgressView::draw(bool at_once) {
  const auto now = options_.now();
  if (!options_.err_is_tty || phases_.empty() ||
      (!at_once && drawn_ != 0 && now - last_draw_ < kBetweenDraws)) {
    return;
  }
  erase();
  std::string text;
  const std::size_t bars = std::min(phases_.size(), kMostBars);
  for (std::size_t i = 0; i < bars; ++i) {
    text += line_of(phases_[i]) + "\n";
  }
  options_.err(text);
  drawn_ = bars;
  last_draw_ = now;
}

}  // namespace goldmill::cli
