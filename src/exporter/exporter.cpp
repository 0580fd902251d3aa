// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/exporter/exporter.hpp>

#include "formats.hpp"
#include "output_file.hpp"

namespace goldmill::exporter {

const std::vector<Format>& formats() {
  static const std::vector<Format> kList = {
#define EXPORTER(name) name##_format(),
#include "exporters.def"
#undef EXPORTER
  };
  return kList;
}

Result<const Format*> find_format(std::string_view name) {
  std::vector<std::string> known;
  for (const Format& format : formats()) {
    if (format.name == name) {
      return &format;
    }
    known.emplace_back(format.name);
  }
  return Error{ErrorKind::invalid_input,
               "no format is called '" + std::string(name) + "'",
               did_you_mean(name, known)};
}

std::string option_of(const Options& options, const Format& format, std::string_view name) {
  const auto given = options.find(std::string(name));
  if (given != options.end()) {
    return given->second;
  }
  const auto found = std::find_if(format.options.begin(),
                                  format.options.end(),
                                  [&](const OptionInfo& option) { return option.name == name; });
  GOLDMILL_ASSERT(found != format.options.end());
  return std::string(found->default_value);
}

Result<int> number_option(const std::string& value, std::string_view name, int least, int most) {
  int number = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number < least || number > most) {
    return Error{
        ErrorKind::invalid_input,
        "option " + std::string(name) + " cannot be '" + value + "'",
        "give a whole number from " + std::to_string(least) + " to " + std::to_string(most)};
  }
  return number;
}

Result<void> check_cancelled(const Progress& progress) {
  if (progress.is_cancelled && progress.is_cancelled()) {
    return Error{ErrorKind::cancelled, "stopped"};
  }
  return {};
}

namespace {
Result<void> check_options(const Export& wanted, const Format& format) {
  for (const auto& [name, value] : wanted.options) {
    std::vector<std::string> known;
    for (const OptionInfo& option : format.options) {
      known.emplace_back(option.name);
    }
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Error{ErrorKind::invalid_input,
                   std::string(format.name) + " has no option '" + name + "'",
                   known.empty() ? "it has none" : did_you_mean(name, known)};
    }
  }
  return format.check == nullptr ? Result<void>() : format.check(wanted.options);
}
}  // namespace

Result<void> check(const Export& wanted) {
  const Format& format = *TRY(find_format(wanted.format));
  TRY(check_options(wanted, format));
  const bool missing =
      format.needs && std::find(wanted.hardware.begin(), wanted.hardware.end(), *format.needs) ==
                          wanted.hardware.end();
  if (missing) {
    const std::string hardware(name_of(*format.needs));
    return Error{ErrorKind::invalid_input,
                 "the image does not support '" + hardware + "' hardware, which " +
                     std::string(format.name) + " is for: it would not find its disk",
                 "add " + hardware + " to hardware: in the recipe and build again"};
  }
  if (wanted.output.filename().empty() || wanted.output == "-") {
    return Error{ErrorKind::invalid_input,
                 "'" + wanted.output.string() + "' is not a file name",
                 "an artifact is written to a file: -o NAME" + std::string(format.extension)};
  }
  TRY(OutputFile::open(wanted.output));  // which leaves nothing until it is committed
  return {};
}

Result<void> export_image(const Export& wanted) {
  TRY(check(wanted));
  const Format* format = TRY(find_format(wanted.format));
  OutputFile output = TRY(OutputFile::open(wanted.output));
  const Job job{wanted.source,
                wanted.options,
                wanted.progress,
                wanted.output.filename().string(),
                wanted.output.parent_path(),
                output.descriptor()};
  TRY(format->write(job).context("while writing " + wanted.output.string()));
  TRY(check_cancelled(wanted.progress));
  return output.commit();
}

}  // namespace goldmill::exporter
