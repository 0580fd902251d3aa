// SPDX-License-Identifier: GPL-3.0-or-later
#include "database.hpp"

namespace goldmill::store {

namespace {
Error sql_error(sqlite3* handle, std::string_view what) {
  const int code = sqlite3_errcode(handle);
  ErrorKind kind = ErrorKind::internal;
  if (code == SQLITE_FULL) {
    kind = ErrorKind::no_space;
  } else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
    kind = ErrorKind::corrupt;
  } else if (code == SQLITE_BUSY || code == SQLITE_READONLY || code == SQLITE_IOERR ||
             code == SQLITE_CANTOPEN) {
    kind = ErrorKind::unavailable;
  }
  return Error{kind, "catalogue: " + std::string(what) + ": " + sqlite3_errmsg(handle)};
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

int bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return sqlite3_bind_int64(statement, index, *integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return sqlite3_bind_double(statement, index, *real);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(
        statement, index, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, index);
}
}  // namespace

std::string Row::text(int column) const {
  const auto* text = sqlite3_column_text(statement_, column);
  return text == nullptr
             ? std::string()
             : std::string(reinterpret_cast<const char*>(text),
                           static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}

Result<Database> Database::open(const std::filesystem::path& file) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(),
                      &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                      nullptr);
  Database database(handle);
  if (code != SQLITE_OK) {
    return sql_error(handle, "cannot open " + file.string());
  }
  sqlite3_busy_timeout(handle, 20'000);  // another goldmill commits within milliseconds
  // WAL lets readers go on beside a writer; FULL makes a commit survive a power cut.
  if (auto set = database.run("PRAGMA journal_mode = WAL"); !set) {
    Error error = std::move(set).context(file.string()).error();
    error.hint = "if it is damaged, move it away: images must then be built again, layers stay";
    return error;
  }
  TRY(database.run("PRAGMA synchronous = FULL"));
  TRY(database.run("PRAGMA foreign_keys = ON"));
  return database;
}

Result<void> Database::run(std::string_view sql,
                           const std::vector<SqlValue>& values,
                           const std::function<Result<void>(const Row&)>& on_row) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
      SQLITE_OK) {
    return sql_error(handle_.get(), "bad statement");
  }
  const Statement statement(raw);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (bind(raw, static_cast<int>(i) + 1, values[i]) != SQLITE_OK) {
      return sql_error(handle_.get(), "bad value");
    }
  }
  while (true) {
    const int code = sqlite3_step(raw);
    if (code == SQLITE_DONE) {
      return {};
    }
    if (code != SQLITE_ROW) {
      return sql_error(handle_.get(), "cannot run a statement");
    }
    if (on_row) {
      TRY(on_row(Row(raw)));
    }
  }
}

Result<void> Database::transact(const std::function<Result<void>()>& work) {
  TRY(run("BEGIN IMMEDIATE"));
  auto done = work();
  if (!done) {
    (void)run("ROLLBACK");
    return done;
  }
  return run("COMMIT");
}

}  // namespace goldmill::store
