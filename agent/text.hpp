// SPDX-License-Identifier: GPL-3.0-or-later
// Text as the agent meets it: base64, lists, and the checks of every value from outside.
// Included by all of the agent; knows no system call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace goldmill::agent {

std::string base64_encode(std::string_view bytes);
/// Standard alphabet with padding; nullopt for anything else.
std::optional<std::string> base64_decode(std::string_view text);

std::string_view trimmed(std::string_view text);
/// Parts between separators; "" has none.
std::vector<std::string_view> split(std::string_view text, char separator);
std::vector<std::string_view> lines_of(std::string_view text);
/// Decimal digits only, at most 19 of them.
std::optional<std::uint64_t> parse_number(std::string_view text);
std::string hex(std::string_view bytes);

/// Labels of letters, digits and inner '-', joined by '.', at most 64 characters (HOST_NAME_MAX).
bool is_host_name(std::string_view text);
/// 1-128 of A-Z a-z 0-9 . _ : -
bool is_instance_id(std::string_view text);
/// [a-z_][a-z0-9_-]{0,31}
bool is_user_name(std::string_view text);
/// One line of authorized_keys(5): printable, no control characters, at most 16 KiB.
bool is_key_line(std::string_view text);
/// "52:54:00:12:34:56"
bool is_mac(std::string_view text);
/// An IPv4 or IPv6 address.
bool is_address(std::string_view text);
/// An address with a prefix length.
bool is_address_with_prefix(std::string_view text);

}  // namespace goldmill::agent
