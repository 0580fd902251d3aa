// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/answers/answer_file.hpp>
#include <goldmill/base/suggestion.hpp>

#include "writers.hpp"

namespace goldmill::answers {

const std::vector<std::string>& installer_names() {
  static const std::vector<std::string> kNames = {
      "kickstart", "preseed", "autoinstall", "autounattend"};
  return kNames;
}

Result<Installer> find_installer(std::string_view name) {
  const auto& names = installer_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    return Error{ErrorKind::invalid_input,
                 "no installer's answer file is called '" + std::string(name) + "'",
                 did_you_mean(std::string(name), names)};
  }
  return static_cast<Installer>(found - names.begin());
}

AnswerFile write_answers(const std::vector<recipe::Recipe>& lineage, Installer installer) {
  Machine machine = whole_machine(lineage);
  AnswerFile file;
  switch (installer) {
    case Installer::kickstart:
      file.text = write_kickstart(machine);
      break;
    case Installer::preseed:
      file.text = write_preseed(machine);
      break;
    case Installer::autoinstall:
      file.text = write_autoinstall(machine);
      break;
    case Installer::autounattend:
      file.text = write_autounattend(machine);
      break;
  }
  file.unsaid = std::move(machine.unsaid);
  return file;
}

}  // namespace goldmill::answers
