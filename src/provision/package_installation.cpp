// SPDX-License-Identifier: GPL-3.0-or-later
#include "package_installation.hpp"

namespace goldmill::provision {

namespace {

/// apt's own words for what the archive does not have.
std::string hint_for(const std::string& failure) {
  for (const char* words :
       {"Unable to locate package", "no installation candidate", "was not found"}) {
    if (failure.find(words) != std::string::npos) {
      return "the image's archives have no such package or version: look at the name, or name "
             "another archive under 'repositories:'";
    }
  }
  return "";
}

}  // namespace

Result<void> install_packages(const std::vector<std::string>& arguments,
                              std::vector<plan::Bind> binds,
                              plan::StepContext& context) {
  if (context.packages == nullptr) {
    return Error{ErrorKind::unavailable, "no packages can be had here"};
  }
  plan::Execution execution{.argv = {"apt-get",
                                     "install",
                                     "--yes",
                                     "--allow-downgrades",
                                     "--purge",  // of -NAME nothing is left, as in a recipe's list
                                     "--option=Dpkg::Options::=--force-confdef",
                                     "--option=Dpkg::Options::=--force-confold",
                                     "--option=Dpkg::Options::=--force-unsafe-io"}};
  execution.argv.insert(execution.argv.end(), arguments.begin(), arguments.end());
  execution.binds = std::move(binds);
  TRY(context.packages->open(execution));
  auto done = context.sandbox.run(execution);
  if (!done && done.error().hint.empty()) {
    done.error().hint = hint_for(done.error().text());
  }
  return done;
}

void open_for_scripts(plan::Execution& execution, plan::StepContext& context) {
  if (context.packages == nullptr) {
    return;
  }
  const auto opened = context.packages->open(execution);
  if (!opened && context.progress.log) {
    context.progress.log("apt gets no packages here: " + opened.error().text());
  }
}

Result<Json> with_discovered(Json result, plan::StepContext& context, LocksNone locks_none) {
  if (context.packages == nullptr) {
    return result;
  }
  Json discovered = TRY(context.packages->close(context.sandbox));
  if (!discovered.empty() || locks_none == LocksNone::yes) {
    result["discovered"] = std::move(discovered);
  }
  return result;
}

}  // namespace goldmill::provision
