// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `packages:`, `repositories:` and the guest's own `apt: {sources}`.
#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>

#include "reader.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

Result<PackageRequest> read_package(const Source& source, const Node& node) {
  PackageRequest request;
  request.position = source.document.position(node);
  const std::string& text = node.text;
  if (text.starts_with('.') || text.starts_with('/')) {
    request.kind = PackageRequest::Kind::local;
    request.file = TRY(source.existing_file(node, text));
  } else if (text.starts_with('-')) {
    request.kind = PackageRequest::Kind::remove;
    request.name = text.substr(1);
  } else {
    const std::size_t equals = text.find('=');
    request.name = text.substr(0, equals);
    request.version = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  return request;
}

bool is_loopback(std::string_view uri) {
  static constexpr std::array<std::string_view, 3> kHosts = {"://localhost", "://127.", "://[::1]"};
  return std::any_of(kHosts.begin(), kHosts.end(), [uri](std::string_view host) {
    return uri.find(host) != std::string_view::npos;
  });
}

bool has_user_info(std::string_view uri) {
  const std::size_t host = uri.find("://");
  const std::size_t start = host == std::string_view::npos ? 0 : host + 3;
  return uri.substr(start, uri.find('/', start) - start).find('@') != std::string_view::npos;
}

/// The guest will use these when goldmill and its machine are not there.
Result<void> check_guest_uris(const Document& document, const Node& node, std::string_view value) {
  std::size_t at = 0;
  while (at < value.size()) {
    const std::size_t start = std::min(value.find_first_not_of(" \t\n", at), value.size());
    const std::size_t end = std::min(value.find_first_of(" \t\n", start), value.size());
    const std::string_view uri = value.substr(start, end - start);
    at = end;
    if (uri.empty()) {
      break;
    }
    if (has_user_info(uri)) {
      return document.error(node,
                            "a URI of 'apt.sources' holds a user name or password",
                            "it would be readable in every instance: use a server without");
    }
    if (uri.starts_with("file:") || is_loopback(uri)) {
      return document.error(node,
                            "instances cannot reach " + as_quote(uri) + " of 'apt.sources'",
                            "write a URI that is right inside an instance");
    }
  }
  return {};
}

struct Deb822Field {
  std::string name;  ///< lower case
  std::string value;
};

Result<std::vector<Deb822Field>> fields_of(const Document& document, const Node& node) {
  std::vector<Deb822Field> fields;
  std::size_t at = 0;
  while (at < node.text.size()) {
    const std::size_t end = std::min(node.text.find('\n', at), node.text.size());
    const std::string line = node.text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    if ((line[0] == ' ' || line[0] == '\t') && !fields.empty()) {
      fields.back().value += "\n" + line;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0 || line.find(' ') < colon) {
      return document.error(node,
                            "'apt.sources': " + as_quote(line) + " is not a deb822 field",
                            "write 'Types: deb', 'URIs: ...', 'Suites: ...', each on its line");
    }
    Deb822Field field{line.substr(0, colon), line.substr(colon + 1)};
    std::transform(
        field.name.begin(), field.name.end(), field.name.begin(), [](unsigned char letter) {
          return static_cast<char>(std::tolower(letter));
        });
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace

Result<std::vector<PackageRequest>> read_packages(const Source& source, const Node& list) {
  std::vector<PackageRequest> requests;
  std::map<std::string, const Node*> names;
  for (const Node& item : list.items) {
    requests.push_back(TRY(read_package(source, item)));
    const PackageRequest& last = requests.back();
    const auto [first, is_new] =
        names.emplace(last.name.empty() ? last.file.string() : last.name, &item);
    if (!is_new) {
      return source.document.error(
          item,
          "the package " + as_quote(item.text) + " is there twice",
          "keep one of the entries" + source.elsewhere(item, *first->second));
    }
  }
  return requests;
}

Result<std::vector<DebconfAnswer>> read_debconf(const Source& source, const Node& list) {
  std::vector<DebconfAnswer> answers;
  std::map<std::string, const Node*> questions;
  for (const Node& item : list.items) {
    DebconfAnswer answer;
    answer.position = source.document.position(item);
    read_text(item, "package", answer.package);
    read_text(item, "question", answer.question);
    read_text(item, "type", answer.type);
    read_text(item, "value", answer.value);
    if (answer.type == "boolean" && answer.value != "true" && answer.value != "false") {
      return source.document.error(
          *item.find("value"),
          "the answer to a boolean question is true or false, not " + as_quote(answer.value));
    }
    const auto [first, is_new] = questions.emplace(answer.package + " " + answer.question, &item);
    if (!is_new) {
      return source.document.error(
          item,
          "the question " + as_quote(answer.question) + " is answered twice",
          "keep one of the answers" + source.elsewhere(item, *first->second));
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

Result<std::vector<Repository>> read_repositories(const Source& source, const Node& list) {
  std::vector<Repository> repositories;
  for (const Node& item : list.items) {
    Repository repository;
    repository.position = source.document.position(item);
    read_text(item, "uri", repository.uri);
    const Node& suites = *item.find("suites");
    repository.suites = texts_of(suites);
    if (const Node* components = item.find("components")) {
      repository.components = texts_of(*components);
    }
    const bool flat = !repository.suites.empty() &&
                      std::all_of(repository.suites.begin(),
                                  repository.suites.end(),
                                  [](const std::string& suite) { return suite.ends_with('/'); });
    if (repository.suites.empty() || flat != repository.components.empty()) {
      return source.document.error(
          suites,
          "'repositories': suites and components do not go together",
          "name suites with components ([bookworm], [main]), or flat ones that end in '/' without");
    }
    const Node& key = *item.find("key");
    repository.key = TRY(source.existing_file(key, key.text.substr(5)));
    repositories.push_back(std::move(repository));
  }
  return repositories;
}

Result<std::vector<std::string>> read_apt_sources(const Source& source, const Node& apt) {
  std::vector<std::string> stanzas;
  const Node* list = apt.find("sources");
  if (list == nullptr) {
    return stanzas;
  }
  for (const Node& item : list->items) {
    std::set<std::string> names;
    for (const Deb822Field& field : TRY(fields_of(source.document, item))) {
      if (!names.insert(field.name).second) {
        return source.document.error(
            item,
            "'apt.sources': the field " + as_quote(field.name) + " is there twice",
            "write one stanza per list entry");
      }
      if (field.name == "uris") {
        TRY(check_guest_uris(source.document, item, field.value));
      }
    }
    for (const char* needed : {"types", "uris", "suites"}) {
      if (!names.contains(needed)) {
        return source.document.error(
            item,
            std::string("'apt.sources': a stanza has no field '") + needed + "'",
            "a stanza needs Types, URIs and Suites");
      }
    }
    stanzas.push_back(item.text);
  }
  return stanzas;
}

}  // namespace goldmill::recipe
