// SPDX-License-Identifier: GPL-3.0-or-later
// Lines within a section: which of them end it, name a file, or are wrong.
#pragma once

#include <string_view>

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/profile.hpp>

namespace goldmill::kickstart {

/// `%include` or `%ksappend`, which every section and the commands may have.
bool is_include(std::string_view line);

/// One word, the file. Errors: invalid_input.
Result<Command> read_include(std::string_view line, int number);

/// `%end`, or the header of the next section. In a script other words may begin with a '%'.
bool ends_section(std::string_view line, std::string_view section);

/// Of `%packages`: a group or package that has no name. Errors: invalid_input.
Result<void> check_package_line(std::string_view line);

}  // namespace goldmill::kickstart
