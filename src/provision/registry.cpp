// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <map>

#include <goldmill/provision/provision.hpp>

#include "file_writer.hpp"
#include "provisioner.hpp"
#include "secret_value.hpp"

namespace goldmill::provision {

namespace {

struct Entry {
  std::string_view name;  ///< in recipes
  std::unique_ptr<Provisioner> provisioner;
};

const std::vector<Entry>& all() {
  static const std::vector<Entry> kEntries = [] {
    std::vector<Entry> list;
#define PROVISIONER(name) list.push_back({#name, make_##name()});
#include "provisioners.def"
#undef PROVISIONER
    return list;
  }();
  return kEntries;
}

std::string_view name_in_recipe(const recipe::ProvisionStep& entry) {
  if (std::holds_alternative<recipe::ShellStep>(entry.action)) {
    return "shell";
  }
  if (std::holds_alternative<recipe::FilesStep>(entry.action)) {
    return "files";
  }
  if (std::holds_alternative<recipe::PuppetStep>(entry.action)) {
    return "puppet";
  }
  if (std::holds_alternative<recipe::AnsibleStep>(entry.action)) {
    return "ansible";
  }
  if (std::holds_alternative<recipe::PackagesStep>(entry.action)) {
    return "packages";
  }
  return "cloud_config";
}

const Provisioner* find(std::string_view name) {
  for (const Entry& entry : all()) {
    if (entry.name == name) {
      return entry.provisioner.get();
    }
  }
  return nullptr;
}

}  // namespace

Result<std::vector<plan::Step>> make_steps(const recipe::Recipe& recipe) {
  std::vector<plan::Step> steps;
  std::map<std::string, int> uses;
  for (const recipe::ProvisionStep& entry : recipe.provision) {
    const Provisioner* provisioner = find(name_in_recipe(entry));
    if (provisioner == nullptr) {
      return Error{
          ErrorKind::internal,
          entry.position.text() + ": no provisioner for " + std::string(name_in_recipe(entry))};
    }
    auto step = provisioner->make_step(recipe, entry);
    if (!step) {
      Error error = std::move(step).error();
      error.message = entry.position.text() + ": " + error.message;
      return error;
    }
    // Histories find a step by its name: two alike must differ.
    const int count = ++uses[step->name];
    if (count > 1) {
      step->name += " (" + std::to_string(count) + ")";
    }
    step->asked_at = entry.position.text();
    steps.push_back(*std::move(step));
  }
  return steps;
}

std::map<std::string, std::string> tools_of(const recipe::Recipe& recipe) {
  std::map<std::string, std::string> tools;
  for (const recipe::ProvisionStep& entry : recipe.provision) {
    if (const Provisioner* provisioner = find(name_in_recipe(entry))) {
      tools.merge(provisioner->tools(entry));
    }
  }
  return tools;
}

Result<void> check_ready(const plan::Step& step) {
  for (const std::string& name : step.secrets) {
    TRY(open_secret(step, name).context("step '" + step.name + "'"));
  }
  return {};
}

plan::StepKind* find_kind(std::string_view name) {
  for (const Entry& entry : all()) {
    if (entry.provisioner->name() == name) {
      return entry.provisioner.get();
    }
  }
  return nullptr;
}

std::vector<std::string_view> names() {
  std::vector<std::string_view> list;
  for (const Entry& entry : all()) {
    list.push_back(entry.name);
  }
  return list;
}

std::span<const system::WorkerEntry> workers() {
  static constexpr std::array kWorkers = {system::WorkerEntry{kFileWriter, &write_files}};
  return kWorkers;
}

}  // namespace goldmill::provision
