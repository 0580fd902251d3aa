// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/preseed/import.hpp>
#include <goldmill/system/file.hpp>

#include "translation.hpp"

namespace goldmill::preseed {

namespace {
Error refused(const std::string& file, const std::vector<kickstart::Problem>& problems) {
  std::string message;
  for (const kickstart::Problem& problem : problems) {
    message += (message.empty() ? "" : "\n") + file + ":" + std::to_string(problem.line) + ": " +
               problem.message;
  }
  return Error{ErrorKind::invalid_input,
               message,
               "a line of a preseed file is OWNER QUESTION TYPE VALUE; '#' begins a comment"};
}
}  // namespace

Result<kickstart::Import> import_preseed(const kickstart::ImportRequest& request) {
  const std::string text =
      TRY(system::read_plain_file(request.file, Bytes{kLargestFile}).context("a preseed file"));
  const Reading reading = read_preseed(text);
  if (!reading.problems.empty()) {
    return refused(request.file.string(), reading.problems);
  }
  Translation translation(request.file.string(), request.os);
  for (const Answer& answer : reading.answers) {
    translation.answer(answer);
  }
  if (!translation.problems().empty()) {
    return refused(request.file.string(), translation.problems().list());
  }
  return translation.finish(kickstart::recipe_name(request.file));
}

}  // namespace goldmill::preseed
