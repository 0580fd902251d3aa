// SPDX-License-Identifier: GPL-3.0-or-later
// What each format's file defines, and checks that several of them need.
#pragma once

#include <goldmill/exporter/exporter.hpp>

namespace goldmill::exporter {

#define EXPORTER(name) Format name##_format();
#include "exporters.def"
#undef EXPORTER

/// The option's value, or its default.
std::string option_of(const Options& options, const Format& format, std::string_view name);

/// A whole number within [least, most]. Errors: invalid_input, naming the option.
Result<int> number_option(const std::string& value, std::string_view name, int least, int most);

/// Errors: cancelled.
Result<void> check_cancelled(const Progress& progress);

}  // namespace goldmill::exporter
