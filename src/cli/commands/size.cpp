// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <goldmill/factory/image_size.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

using factory::ImageSize;
using factory::SizeShare;
using factory::StepShare;

constexpr std::size_t kMostShares = 15;  // of a list, without --all

class SizeView {
 public:
  SizeView(const ImageSize& size, bool all, Terminal& terminal)
      : size_(size), all_(all), terminal_(terminal) {}

  void show(const std::string& by) {
    terminal_.print_line(size_.image + ": " + to_text(size_.used) + " of the disk used");
    if (by == "package") {
      show_shares("package", size_.packages);
      show_unpackaged();
    } else if (by == "step") {
      show_steps();
    } else {
      show_shares("directory", size_.directories);
    }
    Table rest{{{"beside the files"}, {"size", Table::Align::right}},
               {{"lost+found (counted as used)", to_text(size_.reserved)},
                {"journal and inode tables", to_text(size_.tables)},
                {"boot loader", to_text(size_.boot)},
                {"hidden: in layers, covered by later ones", to_text(size_.hidden())}}};
    terminal_.print("\n");
    terminal_.print_table(rest);
  }

 private:
  void show_shares(const std::string& what, const std::vector<SizeShare>& shares) {
    Table table{{{what}, {"size", Table::Align::right}, {"files", Table::Align::right}}, {}};
    SizeShare others;
    for (const SizeShare& share : shares) {
      if (all_ || table.rows.size() < kMostShares) {
        table.rows.push_back({share.name, to_text(share.size), std::to_string(share.files)});
      } else {
        others.size.value += share.size.value;
        others.files += share.files;
      }
    }
    if (table.rows.size() < shares.size()) {
      table.rows.push_back(
          {std::to_string(shares.size() - table.rows.size()) + " more (--all shows them)",
           to_text(others.size),
           std::to_string(others.files)});
    }
    terminal_.print("\n");
    terminal_.print_table(table);
  }

  static std::string name_of(const StepShare& step) { return step.image + " " + step.step; }

  /// Of a step's directories the largest, in words.
  static std::string largest_of(const StepShare& step) {
    constexpr std::size_t kMost = 3;
    std::string text;
    for (std::size_t index = 0; index < std::min(kMost, step.directories.size()); ++index) {
      const SizeShare& share = step.directories[index];
      text += (index == 0 ? "" : ", ") + share.name + " " + to_text(share.size);
    }
    return text;
  }

  void show_unpackaged() {
    Table table{{{"no package's, by step"}, {"size", Table::Align::right}, {"most of it"}}, {}};
    for (const StepShare& step : size_.steps) {
      if (step.unpackaged.value > 0) {
        table.rows.push_back({name_of(step), to_text(step.unpackaged), largest_of(step)});
      }
    }
    terminal_.print("\n");
    terminal_.print_table(table);
  }

  void show_steps() {
    using Align = Table::Align;
    Table table{{{"step"},
                 {"size", Align::right},
                 {"no package's", Align::right},
                 {"hidden by later steps", Align::right}},
                {}};
    for (const StepShare& step : size_.steps) {
      table.rows.push_back(
          {name_of(step), to_text(step.size), to_text(step.unpackaged), to_text(step.hidden)});
    }
    terminal_.print("\n");
    terminal_.print_table(table);
  }

  const ImageSize& size_;
  bool all_;
  Terminal& terminal_;
};

int run_size(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    const ImageSize size = TRY(factory::measure_image(session, parsed.argument(0)));
    terminal.progress().finish();
    if (terminal.json()) {
      terminal.print_json(size.to_json());
    } else {
      SizeView(size, parsed.has("all"), terminal).show(parsed.value("by").value_or("package"));
    }
    return 0;
  });
}

}  // namespace

Command size_command() {
  return {.name = "size",
          .summary = "say what an image's disk is full of: packages, steps, directories",
          .description =
              {"Attributes every byte that the image's disk uses, as the disk writer lays it out: "
               "to packages, by dpkg's own lists; to the step whose layer holds what is no "
               "package's; or to directories. The sum is what `goldmill show` says is used.",
               "Beside that: the journal and the inode tables, the boot loader's partitions, and "
               "what lower layers hold but later ones cover or remove. The last is on no disk, but "
               "costs in the store and whenever layers are sent."},
          .arguments = {{"IMAGE",
                         "NAME, NAME@VERSION or NAME:CHANNEL",
                         Argument::Count::one,
                         Completes::images}},
          .options = {{.name = "by",
                       .value = "WHAT",
                       .doc = "What the bytes are attributed to.",
                       .choices = {"package", "step", "directory"},
                       .standard = "package"},
                      {.name = "all", .doc = "Shows every package or directory."}},
          .examples = {{"goldmill size base", "the largest packages"},
                       {"goldmill size java --by step", ""}},
          .see_also = {"show", "diff"},
          .run = run_size};
}

}  // namespace goldmill::cli
