// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "commands.hpp"

namespace goldmill::cli {

namespace {
// Written by the signal handler only.
volatile std::sig_atomic_t interrupted = 0;

void interrupt(int /*signal*/) {
  interrupted = 1;
}

/// For jobs that ask is_cancelled(): the first signal ends them in order, the second at once.
/// Others are ended by the default; what they started ends with them.
void end_in_order() {
  struct sigaction action {};
  action.sa_handler = &interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    ::sigaction(signal, &action, nullptr);
  }
}
}  // namespace

TerminalObserver::TerminalObserver(Terminal& terminal) : terminal_(terminal) {}

void TerminalObserver::step_started(std::string_view image,
                                    std::string_view step,
                                    std::string_view reason) {
  if (image_.empty()) {
    end_in_order();
  }
  image_ = image;
  std::string line = image_ + ": " + std::string(step);
  if (!reason.empty()) {
    line += " (" + std::string(reason) + ")";
  }
  terminal_.progress().log(line);
}

void TerminalObserver::step_progress(std::string_view phase,
                                     std::uint64_t done,
                                     std::uint64_t total) {
  const std::string name = beside_ + std::string(phase);
  if (!phase_.empty() && phase_ != name) {
    terminal_.progress().end(phase_);
  }
  phase_ = name;
  terminal_.progress().show(name, done, total);
}

void TerminalObserver::step_ended(std::string_view step, std::string_view result, double seconds) {
  if (!phase_.empty()) {
    terminal_.progress().end(phase_);
    phase_.clear();
  }
  terminal_.progress().log(image_ + ": " + std::string(step) + " " + std::string(result) + " in " +
                           seconds_text(seconds));
}

void TerminalObserver::note(std::string_view line) {
  terminal_.note(line);
}

bool TerminalObserver::is_cancelled() {
  return interrupted != 0;
}

std::unique_ptr<factory::Observer> TerminalObserver::beside(std::string_view image) {
  auto observer = std::make_unique<TerminalObserver>(terminal_);
  observer->beside_ = std::string(image) + ": ";
  return observer;
}

int run_job(Terminal& terminal, const std::function<Result<int>(factory::Session& session)>& job) {
  TerminalObserver observer(terminal);
  auto session = factory::Session::open(observer);
  if (!session) {
    return terminal.fail(session.error());
  }
  auto status = job(*session);
  terminal.progress().finish();
  return status ? *status : terminal.fail(status.error());
}

std::string comma_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

std::string counts_text(const std::map<std::string, std::size_t>& counts) {
  std::vector<std::string> words;
  words.reserve(counts.size());
  for (const auto& [what, count] : counts) {
    words.push_back(std::to_string(count) + " " + what);
  }
  return comma_list(words);
}

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  return text.data();
}

}  // namespace goldmill::cli
