// SPDX-License-Identifier: GPL-3.0-or-later
// Engine: what runs instances. One file per engine and one line in engines.def.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/launch/launch.hpp>

namespace goldmill::machine {
struct SshTarget;
}

namespace goldmill::launch {

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view summary() const = 0;

  /// `progress` can be called from any thread at any time.
  virtual Result<Fleet> launch(const LaunchRequest& request, const Progress& progress) = 0;
  virtual Result<Warmth> warm(const LaunchRequest& request) = 0;
  virtual bool has(const std::string& instance) const = 0;
  /// This engine's instances, as they really are.
  virtual Result<std::vector<Instance>> list() = 0;
  virtual Result<Instance> start(const std::string& instance) = 0;
  virtual Result<void> stop(const std::string& instance, std::chrono::seconds limit) = 0;
  virtual Result<void> remove(const std::string& instance) = 0;
  virtual Result<system::UniqueFd> console(const std::string& instance) = 0;
  virtual Result<machine::SshTarget> ssh_target(const std::string& instance) = 0;
  /// From this network namespace, where its SSH server is reached.
  virtual Result<system::UniqueFd> connect(const std::string& instance, std::uint16_t port);
};

/// All of engines.def, working on the state under `home`.
std::vector<std::unique_ptr<Engine>> make_engines(const std::filesystem::path& home);
/// Errors: invalid_input, with a suggestion.
Result<std::unique_ptr<Engine>> make_engine(std::string_view name,
                                            const std::filesystem::path& home);

}  // namespace goldmill::launch
