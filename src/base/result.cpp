// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <goldmill/base/result.hpp>

namespace goldmill {

const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_input:
      return "invalid_input";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::unavailable:
      return "unavailable";
    case ErrorKind::tool_failed:
      return "tool_failed";
    case ErrorKind::no_space:
      return "no_space";
    case ErrorKind::cancelled:
      return "cancelled";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

std::string Error::text() const {
  std::string text;
  for (auto where = context.rbegin(); where != context.rend(); ++where) {
    text += *where + ": ";
  }
  return text + message;
}

namespace {
ErrorKind kind_of(int number) {
  switch (number) {
    case ENOENT:
      return ErrorKind::not_found;
    case EEXIST:
    case EBUSY:
      return ErrorKind::conflict;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return ErrorKind::no_space;
    case EINTR:
    case ECANCELED:
      return ErrorKind::cancelled;
    default:
      return ErrorKind::unavailable;
  }
}
}  // namespace

Error system_error(std::string what, int number) {
  return Error{kind_of(number), std::move(what) + ": " + std::strerror(number)};
}

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "goldmill: bug: %s is false at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace goldmill
