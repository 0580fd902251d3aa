// SPDX-License-Identifier: GPL-3.0-or-later
#include "tool_room.hpp"

#include "file_tree.hpp"
#include "tools_tree.hpp"

namespace goldmill::provision {

Result<Json> give_inputs(plan::Step& step, const std::vector<ToolInput>& inputs) {
  Json trees = Json::array();
  for (const ToolInput& input : inputs) {
    TRY(give_input(step, input.name, input.source, input.shown, inputs.size()));
    trees.push_back({{"input", input.name}, {"to", input.to}, {"shown", input.shown}});
  }
  return trees;
}

std::map<std::string, std::string> shown_inputs(const plan::Step& step, const std::string& place) {
  std::map<std::string, std::string> shown;
  for (const Json& tree : step.options.at("trees")) {
    shown[place + "/input/" + find_string(tree, "to").value_or("")] =
        find_string(tree, "shown").value_or("");
  }
  shown.emplace(place + "/input/", "");
  return shown;
}

Result<ToolRoom> ToolRoom::furnish(const plan::Step& step,
                                   const plan::StepContext& context,
                                   const std::string& place) {
  ToolRoom room;
  room.show(TRY(system::open_directory(context.tools)), kToolsPlace);
  system::UniqueFd contents = TRY(system::memory_file("", 0600));
  Json request = step.options;
  for (Json& tree : request["trees"]) {
    const std::string input = TRY(string_at(tree, "input"));
    tree["entries"] =
        TRY(FileTree::read_again(step.sources.at(input), contents.get(), step.inputs.at(input)))
            .to_json();
  }
  room.show(std::move(contents), place + "/contents");
  TRY(room.show_text(canonical(request), place + "/request.json"));
  return room;
}

void ToolRoom::show(system::UniqueFd file, const std::string& target) {
  files.push_back(std::move(file));
  binds.push_back({files.back().get(), target, false});
}

Result<void> ToolRoom::show_text(std::string_view text, const std::string& target, mode_t mode) {
  show(TRY(system::memory_file(text, mode)), target);
  return {};
}

}  // namespace goldmill::provision
