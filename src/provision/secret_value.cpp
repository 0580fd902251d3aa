// SPDX-License-Identifier: GPL-3.0-or-later
#include "secret_value.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace goldmill::provision {

namespace {

constexpr Bytes kSecretLimit = 1_MiB;
constexpr std::string_view kVariable = "env:";

std::string secret_name(const std::string& name) {
  return "secret " + name;
}

Result<std::string> value_of(const std::string& name, const std::string& source) {
  if (source.starts_with(kVariable)) {
    const std::string variable = source.substr(kVariable.size());
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr) {
      return Error{ErrorKind::not_found,
                   "the secret '" + name + "' is missing: the environment has no " + variable,
                   "set it: " + variable + "=... goldmill build"};
    }
    return std::string(value);
  }
  const system::UniqueFd file =
      TRY(system::open_file(source, O_RDONLY | O_NONBLOCK).context("the secret '" + name + "'"));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error{ErrorKind::invalid_input,
                 "the secret '" + name + "': " + source + " is not a plain file"};
  }
  return system::read_all(file.get(), kSecretLimit).context("the secret '" + name + "'");
}

}  // namespace

Result<void> add_secret(plan::Step& step, const recipe::Recipe& recipe, const std::string& name) {
  const auto secret = std::find_if(recipe.secrets.begin(),
                                   recipe.secrets.end(),
                                   [&](const recipe::Secret& one) { return one.name == name; });
  if (secret == recipe.secrets.end()) {
    return Error{ErrorKind::invalid_input,
                 "there is no secret '" + name + "'",
                 "declare it under 'secrets:'"};
  }
  step.secrets.push_back(name);
  step.inputs[secret_name(name)] = "version " + secret->version;
  step.sources[secret_name(name)] =
      secret->variable.empty() ? secret->file.string() : std::string(kVariable) + secret->variable;
  return {};
}

Result<system::UniqueFd> open_secret(const plan::Step& step, const std::string& name) {
  const auto source = step.sources.find(secret_name(name));
  if (source == step.sources.end()) {
    return Error{ErrorKind::internal, "nothing says where the secret '" + name + "' is"};
  }
  return system::memory_file(TRY(value_of(name, source->second.string())), 0400);
}

}  // namespace goldmill::provision
