// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/build/text_difference.hpp>
#include <goldmill/system/process.hpp>

namespace goldmill::build {

Result<std::string> text_difference(std::string_view before, std::string_view after) {
  constexpr int kOther = 3;
  const system::UniqueFd other = TRY(system::memory_file(after));
  const system::Output output = TRY(system::process_runner().run(
      {.argv = {"diff", "-au", "--label=before", "--label=after", "-", "/dev/fd/3"},
       .environment = std::vector<std::string>{"PATH=/usr/bin:/bin", "LC_ALL=C"},
       .input = std::string(before),
       .descriptors = {{other.get(), kOther}},
       .limit = std::chrono::seconds(10)}));
  if (output.status > 1) {
    return Error{ErrorKind::tool_failed, "diff: " + output.errors.substr(0, 200)};
  }
  // Its first two lines name the files, which whoever asked does better.
  const std::size_t start = output.text.find("@@");
  return start == std::string::npos ? std::string() : output.text.substr(start);
}

}  // namespace goldmill::build
