// SPDX-License-Identifier: GPL-3.0-or-later
// Result<T>, Error and TRY: how every module of goldmill says that something failed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace goldmill {

/// What callers branch on; the command line maps each to an exit status (see `goldmill man`).
enum class ErrorKind : std::uint8_t {
  invalid_input,  ///< what the user wrote cannot be right
  not_found,      ///< a name, file or version that does not exist
  conflict,       ///< exists already, is in use, or contradicts another thing
  unavailable,    ///< a machine, archive or feature that cannot be had now
  tool_failed,    ///< a program or step that we ran failed
  no_space,       ///< disk or memory is full
  cancelled,      ///< the user stopped it, or a limit of time did
  corrupt,        ///< bytes are not what their digest or signature says
  internal,       ///< a bug of goldmill
};

/// The kind's name as it stands in JSON output: "invalid_input", ...
const char* name_of(ErrorKind kind);

/// What failed (`message`, with the value), where (`context`, inner to outer) and what to do
/// next (`hint`).
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;
  std::string hint = {};
  std::vector<std::string> context = {};

  /// "outer: inner: message", without the hint.
  std::string text() const;
};

/// Error for a failed system call: `what` + strerror(number); the kind follows the number.
Error system_error(std::string what, int number);

struct Ok {};

/// A value or an Error. Accessors are named as std::expected's, which clang 14 cannot compile.
template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;` is the point of the type
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): `return Error{...};` is the point of the type
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

  /// Adds where it happened: `TRY(open(path).context("while opening the base image"))`.
  Result context(std::string where) && {
    if (!has_value()) {
      error().context.push_back(std::move(where));
    }
    return std::move(*this);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> : public Result<Ok> {
 public:
  Result() : Result<Ok>(Ok{}) {}
  // NOLINTNEXTLINE(google-explicit-constructor): see Result<T>
  Result(Ok ok) : Result<Ok>(ok) {}
  // NOLINTNEXTLINE(google-explicit-constructor): see Result<T>
  Result(Error error) : Result<Ok>(std::move(error)) {}

  Result context(std::string where) && {
    if (!has_value()) {
      error().context.push_back(std::move(where));
    }
    return std::move(*this);
  }
};

namespace detail {
template <typename T>
T&& take(Result<T>& result) {
  return std::move(result).value();
}
inline void take(Result<void>& /*result*/) {}
}  // namespace detail

}  // namespace goldmill

#define GOLDMILL_JOIN_(a, b) a##b
#define GOLDMILL_JOIN(a, b) GOLDMILL_JOIN_(a, b)
// NOLINTBEGIN(bugprone-macro-parentheses): a declared name cannot stand in parentheses
#define GOLDMILL_TRY_(temporary, expression) \
  __extension__({                            \
    auto temporary = (expression);           \
    if (!temporary.has_value()) {            \
      return std::move(temporary).error();   \
    }                                        \
    ::goldmill::detail::take(temporary);     \
  })
// NOLINTEND(bugprone-macro-parentheses)
/// The value of a Result, or return its Error from this function.
#define TRY(expression) GOLDMILL_TRY_(GOLDMILL_JOIN(try_result_, __COUNTER__), expression)

/// Stops the program when goldmill itself is wrong; never for what a user wrote.
#define GOLDMILL_ASSERT(condition)                                  \
  do {                                                              \
    if (!(condition)) {                                             \
      ::goldmill::assertion_failed(#condition, __FILE__, __LINE__); \
    }                                                               \
  } while (false)

namespace goldmill {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}  // namespace goldmill
