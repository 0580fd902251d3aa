// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

#include <goldmill/base/utf8.hpp>
#include <goldmill/cli/terminal.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::cli {

int exit_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_input:
      return 2;
    case ErrorKind::not_found:
      return 3;
    case ErrorKind::conflict:
      return 4;
    case ErrorKind::unavailable:
      return 5;
    case ErrorKind::tool_failed:
      return 6;
    case ErrorKind::no_space:
      return 7;
    case ErrorKind::cancelled:
      return 8;
    case ErrorKind::corrupt:
      return 9;
    case ErrorKind::internal:
      return 70;
  }
  return 70;
}

Json to_json(const Error& error) {
  return {{"error",
           {{"kind", name_of(error.kind)},
            {"message", error.message},
            {"context", error.context},
            {"hint", error.hint}}}};
}

namespace {

std::string coloured(std::string_view text, Style style) {
  const char* code = "";
  switch (style) {
    case Style::plain:
      return std::string(text);
    case Style::bold:
      code = "1";
      break;
    case Style::red:
      code = "1;31";
      break;
    case Style::green:
      code = "32";
      break;
    case Style::yellow:
      code = "33";
      break;
    case Style::faint:
      code = "2";
      break;
  }
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

std::string padded(const std::string& text, std::size_t width, Table::Align align) {
  const std::size_t have = display_width(text);
  const std::string space(width > have ? width - have : 0, ' ');
  return align == Table::Align::right ? space + text : text + space;
}

void add_row(std::string& text,
             const std::vector<std::string>& cells,
             const std::vector<Table::Column>& columns,
             const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    line += (i == 0 ? "" : "  ") +
            padded(i < cells.size() ? cells[i] : std::string(), widths[i], columns[i].align);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + "\n";
}

std::size_t columns_of(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) {
    return size.ws_col;
  }
  return 80;
}

}  // namespace

std::string to_text(const Table& table) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> titles;
  std::vector<std::size_t> widths;
  for (const Table::Column& column : table.columns) {
    titles.push_back(column.title);
    widths.push_back(display_width(column.title));
  }
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      cells.push_back(escape_controls(row[i]));
      widths[i] = std::max(widths[i], display_width(cells[i]));
    }
    rows.push_back(std::move(cells));
  }
  std::string text;
  add_row(text, titles, table.columns, widths);
  for (const auto& row : rows) {
    add_row(text, row, table.columns, widths);
  }
  return text;
}

Terminal Terminal::standard() {
  const auto is_set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  TerminalOptions options;
  options.out = [lost = options.lost](std::string_view text) {
    const auto written = system::write_all(STDOUT_FILENO, text);
    // A closed pipe is the reader's choice; there is nobody left to tell.
    if (!written && errno != EPIPE && !*lost) {
      *lost = written.error();
    }
  };
  options.err = [](std::string_view text) { (void)system::write_all(STDERR_FILENO, text); };
  options.out_is_tty = ::isatty(STDOUT_FILENO) == 1 && !dumb;
  options.err_is_tty = ::isatty(STDERR_FILENO) == 1 && !dumb;
  options.colours = !is_set("NO_COLOR");
  options.columns = columns_of(STDERR_FILENO);
  return Terminal(std::move(options));
}

Terminal::Terminal(TerminalOptions options)
    : options_(std::move(options)), progress_(std::make_unique<ProgressView>(options_)) {}
Terminal::~Terminal() {
  if (progress_) {
    progress_->finish();
  }
}
Terminal::Terminal(Terminal&&) noexcept = default;

ProgressView& Terminal::progress() {
  return *progress_;
}

void Terminal::print(std::string_view text) {
  progress_->clear();
  options_.out(text);
}

void Terminal::print_line(std::string_view line) {
  print(escape_controls(line) + "\n");
}

void Terminal::print_table(const Table& table) {
  std::string text = to_text(table);
  if (options_.out_is_tty && options_.colours) {
    const std::size_t end = text.find('\n');
    text = coloured(text.substr(0, end), Style::bold) + text.substr(end);
  }
  print(text);
}

void Terminal::print_json(const Json& value) {
  print(value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Terminal::say(std::string_view label, Style style, std::string_view text) {
  progress_->clear();
  const bool colours = options_.err_is_tty && options_.colours;
  options_.err((colours ? coloured(label, style) : std::string(label)) +
               escape_controls(text, Lines::keep) + "\n");
}

void Terminal::note(std::string_view text) {
  say("note: ", Style::bold, text);
}
void Terminal::warn(std::string_view text) {
  say("warning: ", Style::yellow, text);
}

int Terminal::fail(const Error& error) {
  progress_->finish();
  if (json_) {
    print_json(to_json(error));
  }
  say("error: ", Style::red, error.message);
  for (const std::string& where : error.context) {
    say("  in: ", Style::faint, where);
  }
  if (!error.hint.empty()) {
    say("hint: ", Style::bold, error.hint);
  }
  return exit_status(error.kind);
}

int Terminal::end(int status) {
  if (!*options_.lost) {
    return status;
  }
  say("error: ", Style::red, "cannot write the answer: " + (*options_.lost)->message);
  return exit_status((*options_.lost)->kind);
}

std::string Terminal::styled(std::string_view text, Style style) const {
  const std::string safe = escape_controls(text, Lines::keep);
  return options_.out_is_tty && options_.colours ? coloured(safe, style) : safe;
}

}  // namespace goldmill::cli
