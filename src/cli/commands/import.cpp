// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>

#include <goldmill/kickstart/profile.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/recipe/settings.hpp>
#include <goldmill/system/file.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

using kickstart::ImportRow;

Json json_of(const std::vector<kickstart::Problem>& problems) {
  Json list = Json::array();
  for (const kickstart::Problem& problem : problems) {
    list.push_back(
        {{"line", problem.line == 0 ? Json() : Json(problem.line)}, {"message", problem.message}});
  }
  return list;
}

struct Judged {
  std::string edition;
  std::vector<kickstart::Problem> problems;
  std::optional<ErrorKind> unread = {};  ///< why it could not be judged
};

/// An error's lines, each "FILE:LINE: message" or "FILE:LINE:COLUMN: message".
std::vector<kickstart::Problem> problems_of(const Error& error, const std::string& file) {
  std::vector<kickstart::Problem> problems;
  std::istringstream lines(error.message);
  for (std::string line; std::getline(lines, line);) {
    kickstart::Problem problem{1, line};
    if (line.starts_with(file + ":")) {
      const std::string rest = line.substr(file.size() + 1);
      problem.line = std::max(std::atoi(rest.c_str()), 1);
      problem.message = rest.substr(rest.find(": ") == std::string::npos ? 0 : rest.find(": ") + 2);
    }
    problems.push_back(std::move(problem));
  }
  return problems;
}

Judged judge(const std::string& file) {
  const auto text = system::read_plain_file(file, Bytes{kickstart::kLargestProfile});
  if (!text) {
    return {"", {{0, text.error().text()}}, text.error().kind};
  }
  const recipe::AnswerFile kind = recipe::kind_of_file(file);
  if (kind == recipe::AnswerFile::preseed || kind == recipe::AnswerFile::user_data) {
    const auto recipe = recipe::recipe_of_profile(file, "debian/12");
    return {kind == recipe::AnswerFile::preseed ? "preseed" : "user-data",
            recipe ? std::vector<kickstart::Problem>() : problems_of(recipe.error(), file)};
  }
  kickstart::Judgement judgement = kickstart::read_profile(*text);
  return {judgement.profile.edition, std::move(judgement.problems)};
}

void show_judged(const std::string& file, const Judged& judged, Terminal& terminal) {
  if (judged.problems.empty()) {
    terminal.print_line(file + ": accepted as " + judged.edition);
  }
  for (const kickstart::Problem& problem : judged.problems) {
    const std::string line = problem.line == 0 ? "" : ":" + std::to_string(problem.line);
    terminal.print_line(file + line + ": " + problem.message);
  }
}

/// Reads the profiles and says which an edition of the language accepts.
int check_profiles(const std::vector<std::string>& files, Terminal& terminal) {
  Json list = Json::array();
  int status = 0;
  for (const std::string& file : files) {
    const Judged judged = judge(file);
    const bool accepted = judged.problems.empty();
    list.push_back({{"file", file},
                    {"accepted", accepted},
                    {"edition", accepted ? Json(judged.edition) : Json()},
                    {"errors", json_of(judged.problems)}});
    status = judged.unread ? exit_status(*judged.unread) : status;
    if (!terminal.json()) {
      show_judged(file, judged, terminal);
    }
  }
  if (terminal.json()) {
    terminal.print_json({{"files", std::move(list)}});
  }
  return status;
}

/// The report, as comments below the recipe: it goes where the recipe goes.
void show_rows(const std::vector<ImportRow>& rows, const std::string& file, Terminal& terminal) {
  terminal.print("\n# What became of each line:\n");
  for (const ImportRow& row : rows) {
    const std::string where = (row.file == file ? "" : row.file + ":") + std::to_string(row.line);
    const std::string verdict = row.verdict == ImportRow::Verdict::mapped    ? "mapped"
                                : row.verdict == ImportRow::Verdict::changed ? "changed"
                                                                             : "not applicable";
    terminal.print_line("# " + where + "  " + verdict + "  " + row.text);
    if (!row.note.empty()) {
      terminal.print_line("#     " + row.note);
    }
  }
}

int run_import(const Parsed& parsed, Terminal& terminal) {
  if (parsed.has("check")) {
    return check_profiles(parsed.arguments(), terminal);
  }
  if (parsed.arguments().size() != 1) {
    return terminal.fail(Error{ErrorKind::invalid_input,
                               "one profile is imported at a time",
                               "--check judges any number"});
  }
  const std::string& file = parsed.argument(0);
  const auto names = recipe::package_names(recipe::settings_files());
  if (!names) {
    return terminal.fail(names.error());
  }
  const auto imported =
      recipe::recipe_of_profile(file, parsed.value("os").value_or("debian/12"), *names);
  if (!imported) {
    return terminal.fail(imported.error());
  }
  if (!terminal.json()) {
    terminal.print(imported->yaml);
    show_rows(imported->rows, file, terminal);
    return 0;
  }
  Json rows = Json::array();
  for (const ImportRow& row : imported->rows) {
    rows.push_back({{"file", row.file},
                    {"line", row.line},
                    {"text", row.text},
                    {"verdict", name_of(row.verdict)},
                    {"note", row.note}});
  }
  terminal.print_json({{"recipe", imported->yaml}, {"lines", std::move(rows)}});
  return 0;
}

}  // namespace

Command import_command() {
  return {
      .name = "import",
      .summary = "turn a Kickstart profile, preseed file or user-data into a recipe",
      .description = {"Prints the recipe that an installer's answer file stands for, and below it, "
                      "as comments, what became of each line: mapped, mapped with a change, or not "
                      "applicable to an image and why. Nothing is left out in silence. `goldmill "
                      "build` takes such a file as it takes a recipe.",
                      "*.ks is a Kickstart profile, *.preseed and *.seed are preseed files; of "
                      "*.cfg the first line that is no comment decides.",
                      "--check only says whether the language of some release of Fedora or Red Hat "
                      "(FC3 to F45) reads the profiles, and what is wrong with those that none "
                      "reads; %include is not followed then."},
      .arguments = {{"FILE",
                     "a Kickstart profile, a preseed file, or cloud-init's user-data",
                     Argument::Count::some,
                     Completes::files}},
      .options = {os_option(), {.name = "check", .doc = "Judge the files; print no recipe."}},
      .examples = {{"goldmill import web.ks > web.yaml", "a recipe to go on with"},
                   {"goldmill build web.ks --os debian/12", "or build it as it is"},
                   {"goldmill import server.preseed", "of Debian's installer"},
                   {"goldmill import --check *.ks", ""}},
      .see_also = {"build", "explain"},
      .run = run_import};
}

}  // namespace goldmill::cli
