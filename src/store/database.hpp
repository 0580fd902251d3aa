// SPDX-License-Identifier: GPL-3.0-or-later
// A thin adapter for SQLite: statements with bound values, errors as Result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <sqlite3.h>

#include <goldmill/base/result.hpp>

namespace goldmill::store {

using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string>;

/// One row of an answer; columns count from 0.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string text(int column) const;
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

 private:
  sqlite3_stmt* statement_;
};

class Database {
 public:
  static Result<Database> open(const std::filesystem::path& file);

  /// Runs one statement, calling `on_row` for each row.
  Result<void> run(std::string_view sql,
                   const std::vector<SqlValue>& values = {},
                   const std::function<Result<void>(const Row&)>& on_row = {});
  /// Runs `work` in one transaction, rolled back when it fails.
  Result<void> transact(const std::function<Result<void>()>& work);

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace goldmill::store
