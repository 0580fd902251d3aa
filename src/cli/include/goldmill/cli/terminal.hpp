// SPDX-License-Identifier: GPL-3.0-or-later
// Terminal: everything that the program says. Tables, progress, errors; the same as JSON.
// Strangers' text (names, logs, answers of guests) is shown with its control characters escaped.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>

namespace goldmill::cli {

/// The exit status of each kind of error; 0 is success, 1 means that the command worked and the
/// answer is no (a promise was not kept).
int exit_status(ErrorKind kind);

/// {"error": {"kind", "message", "context", "hint"}}
Json to_json(const Error& error);

struct Table {
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows = {};
};

enum class Style : std::uint8_t { plain, bold, red, green, yellow, faint };

struct TerminalOptions {
  std::function<void(std::string_view)> out;
  std::function<void(std::string_view)> err;
  /// The first error of writing to `out`, if any.
  std::shared_ptr<std::optional<Error>> lost = std::make_shared<std::optional<Error>>();
  bool out_is_tty = false;
  bool err_is_tty = false;
  bool colours = false;  ///< used only where the stream is a tty
  std::size_t columns = 80;
  std::function<std::chrono::steady_clock::time_point()> now = &std::chrono::steady_clock::now;
};

class ProgressView;

class Terminal {
 public:
  /// The process's own: colours unless NO_COLOR or TERM=dumb.
  static Terminal standard();
  explicit Terminal(TerminalOptions options);
  ~Terminal();
  Terminal(Terminal&&) noexcept;
  Terminal& operator=(Terminal&&) = delete;

  /// Standard output, as it is: a text of ours, or raw data.
  void print(std::string_view text);
  /// One line on standard output, escaped.
  void print_line(std::string_view line);
  void print_table(const Table& table);
  /// The one object of --json.
  void print_json(const Json& value);
  /// "note: ..." on standard error.
  void note(std::string_view text);
  /// "warning: ..." on standard error.
  void warn(std::string_view text);
  /// "error: ...", what it happened in, "hint: ..."; with --json the object too. Returns the
  /// exit status: `return terminal.fail(error);`
  int fail(const Error& error);
  /// The program's exit status: `status`, unless an answer could not be written, which it says.
  int end(int status);

  /// Bars on a tty, plain lines elsewhere; always on standard error.
  ProgressView& progress();

  bool json() const { return json_; }
  void set_json(bool json) { json_ = json; }
  /// Wraps the text in colours where standard output takes them.
  std::string styled(std::string_view text, Style style) const;

 private:
  void say(std::string_view label, Style style, std::string_view text);

  TerminalOptions options_;
  bool json_ = false;
  std::unique_ptr<ProgressView> progress_;
};

/// Phases that run beside each other, each with a bar. May be used from several threads.
class ProgressView {
 public:
  explicit ProgressView(const TerminalOptions& options) : options_(options) {}

  /// `done` of `total`; total 0: not known. A phase ends when done reaches a known total.
  void show(std::string_view phase, std::uint64_t done, std::uint64_t total);
  /// Ends a phase whose total was not known.
  void end(std::string_view phase);
  /// A line above the bars.
  void log(std::string_view line);
  /// Takes the bars away, for other output.
  void clear();
  /// Ends what is open, whatever its state.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Phase {
    std::string name;
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    Clock::time_point started = {};
    Clock::time_point told = {};
  };

  Phase& phase_named(std::string_view name);
  void complete(Phase& phase);
  void draw(bool at_once);
  void erase();
  void tell(const Phase& phase);
  std::string line_of(const Phase& phase) const;

  TerminalOptions options_;
  std::mutex mutex_;
  std::vector<Phase> phases_;
  std::size_t drawn_ = 0;
  Clock::time_point last_draw_ = {};
};

/// The table as text: columns aligned by what a terminal shows, cells escaped, no trailing space.
std::string to_text(const Table& table);

}  // namespace goldmill::cli
