// SPDX-License-Identifier: GPL-3.0-or-later
// ToolRoom: what a tool that works from outside finds in the sandbox, below /run: its tools tree,
// the recipe's files for it, and what to do with them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/plan/step_kind.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::provision {

/// What the tool reads of this machine.
struct ToolInput {
  std::string name;              ///< among the step's inputs: "manifest", "role ./web"
  std::filesystem::path source;  ///< a file or a directory
  std::string to;                ///< below PLACE/input
  std::string shown;             ///< what people know it as, in messages
};

/// Makes them inputs of the step. Gives the "trees" of its options. Errors: those of reading.
Result<Json> give_inputs(plan::Step& step, const std::vector<ToolInput>& inputs);

/// Paths below PLACE/input -> what people know them as.
std::map<std::string, std::string> shown_inputs(const plan::Step& step, const std::string& place);

struct ToolRoom {
  std::vector<system::UniqueFd> files;  ///< open as long as something may run
  std::vector<plan::Bind> binds;

  /// The step's options as PLACE/request.json, with the "entries" of each of its "trees"
  /// ([{"input", "to"}]); the contents of all their files one after another as PLACE/contents.
  /// Errors: conflict (a file has changed since the step was planned).
  static Result<ToolRoom> furnish(const plan::Step& step,
                                  const plan::StepContext& context,
                                  const std::string& place);

  void show(system::UniqueFd file, const std::string& target);
  Result<void> show_text(std::string_view text, const std::string& target, mode_t mode = 0444);
};

}  // namespace goldmill::provision
