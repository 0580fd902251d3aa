// SPDX-License-Identifier: GPL-3.0-or-later
#include <charconv>
#include <cstdlib>

#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

namespace {
/// A setting of the environment; nothing when it is not set.
std::optional<std::string> setting(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}
}  // namespace

Result<StepLimits> StepLimits::from_environment() {
  StepLimits limits;
  if (const auto memory = setting("GOLDMILL_STEP_MEMORY")) {
    limits.memory = TRY(parse_bytes(*memory).context("GOLDMILL_STEP_MEMORY"));
  }
  if (const auto minutes = setting("GOLDMILL_STEP_MINUTES")) {
    int count = 0;
    const char* end = minutes->data() + minutes->size();
    const auto read = std::from_chars(minutes->data(), end, count);
    if (read.ec != std::errc{} || read.ptr != end || count < 1 || count > 60 * 24 * 30) {
      return Error{ErrorKind::invalid_input,
                   "GOLDMILL_STEP_MINUTES is '" + *minutes + "'",
                   "set it to a whole number of minutes, such as 240"};
    }
    limits.time = std::chrono::minutes(count);
  }
  return limits;
}

Result<Session> Session::open(Observer& observer) {
  auto home = store::Home::open();
  auto session = home ? open(observer, *std::move(home)) : Result<Session>(std::move(home).error());
  if (!session && session.error().hint.empty()) {
    session.error().hint =
        "it is in goldmill's home: make room there, or set GOLDMILL_HOME to a directory of yours";
  }
  return session;
}

Result<Session> Session::open(Observer& observer, store::Home home) {
  const StepLimits limits = TRY(StepLimits::from_environment());
  TRY(build::reclaim(home.root()));
  store::Catalogue catalogue = TRY(store::Catalogue::open(home.catalogue()));
  return Session{std::move(home), std::move(catalogue), observer, limits, {}};
}

}  // namespace goldmill::factory
