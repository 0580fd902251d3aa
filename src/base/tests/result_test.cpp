// SPDX-License-Identifier: GPL-3.0-or-later
#include <memory>

#include <gtest/gtest.h>

#include <goldmill/base/result.hpp>

namespace goldmill {

namespace {
Result<std::unique_ptr<int>> half(int number) {
  if (number % 2 != 0) {
    return Error{ErrorKind::invalid_input, std::to_string(number) + " is odd"};
  }
  return std::make_unique<int>(number / 2);
}

Result<void> check_half(int number) {
  TRY(half(number));
  return {};
}

Result<int> quarter(int number) {
  TRY(check_half(number).context("first"));
  const std::unique_ptr<int> first = TRY(half(number));
  return *TRY(half(*first).context("second"));
}
}  // namespace

TEST(Result, TryMovesValuesAndReturnsErrors) {
  EXPECT_EQ(quarter(8).value(), 2);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().text(), "second: 3 is odd");
  EXPECT_EQ(quarter(7).error().text(), "first: 7 is odd");
}

TEST(Result, SystemErrorsKeepTheirKind) {
  EXPECT_EQ(system_error("open /x", 2).kind, ErrorKind::not_found);
  EXPECT_EQ(system_error("write", 28).kind, ErrorKind::no_space);
  EXPECT_EQ(system_error("open /x", 2).text(), "open /x: No such file or directory");
}

}  // namespace goldmill
