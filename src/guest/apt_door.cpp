// SPDX-License-Identifier: GPL-3.0-or-later
#include "apt_door.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <tuple>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/base/utf8.hpp>
#include <goldmill/guest/control_paragraph.hpp>
#include <goldmill/guest/deb.hpp>
#include <goldmill/guest/fetcher.hpp>

#include "apt_session.hpp"
#include "source_text.hpp"

namespace goldmill::guest {

namespace fs = std::filesystem;
using system::UniqueFd;

namespace {

const std::string kPlace = "/run/goldmill/apt";
constexpr const char* kCache = "/run/goldmill/packages";
constexpr Bytes kLargestIndex = 512_MiB;

/// Source: apt's method interface (apt's own doc/method.dbk); everything that has a digest in an
/// index is a package, and indexes do not change while an image is built.
constexpr std::string_view kMethod = R"sh(#!/bin/sh
door=/run/goldmill/apt/door
reply() { printf '%s\n' "$@" ''; }
reply '100 Capabilities' 'Version: 1.2' 'Single-Instance: true'
while IFS= read -r head; do
  [ -n "$head" ] || continue
  uri=; digest=
  while IFS= read -r line && [ -n "$line" ]; do
    case $line in
      'URI: '*) uri=${line#*: } ;;
      'Expected-SHA256: '*) digest=${line#*: } ;;
    esac
  done
  case $head in 600*) ;; *) continue ;; esac
  case $uri in
    *.deb) ;;
    *) reply '400 URI Failure' "URI: $uri" 'Transient-Failure: true' \
             'Message: the indexes are pinned while an image is built'
       continue ;;
  esac
  reply '200 URI Start' "URI: $uri"
  echo "$digest" > $door/questions
  IFS= read -r answer < $door/answers
  file=/run/goldmill/packages/$digest.deb
  if [ "$answer" = good ]; then
    sum=$(sha256sum < "$file")
    reply '201 URI Done' "URI: $uri" "Filename: $file" "Size: $(stat -c %s "$file")" \
          "SHA256-Hash: ${sum%% *}"
  else
    reply '400 URI Failure' "URI: $uri" "Message: $answer"
  fi
done
)sh";

std::string configuration(bool recommends) {
  return "Dir::Etc::sourcelist \"" + kPlace + "/archive.sources\";\n" +
         "Dir::Etc::sourceparts \"/dev/null\";\n" + "Dir::Etc::preferences \"" + kPlace +
         "/preferences\";\n" + "Dir::State::lists \"" + kPlace + "/lists\";\n" +
         "Dir::Cache::pkgcache \"" + kPlace + "/pkgcache.bin\";\n" + "Dir::Cache::srcpkgcache \"" +
         kPlace + "/srcpkgcache.bin\";\n" + "Dir::Bin::Methods::goldmill \"" + kPlace +
         "/method\";\n" +
         "APT::Sandbox::User \"root\";\n"
         "APT::Install-Recommends \"" +
         (recommends ? "true" : "false") + "\";\n" +
         "APT::Install-Suggests \"false\";\n"
         "APT::Get::Always-Include-Phased-Updates \"true\";\n"
         "Acquire::Languages \"none\";\n"
         "Acquire::Retries \"0\";\n"
         "Dpkg::Use-Pty \"false\";\n" +
         // Else apt gives dpkg a PATH of its own, without update-initramfs, pg_createcluster, ...
         "DPkg::Path \"" + plan::kSandboxPath + "\";\n";
}

/// "https://mirror.example.org/debian" -> "goldmill://mirror.example.org/debian": apt names its
/// indexes without the scheme, so that these are found.
std::string by_door(const std::string& uri) {
  const std::size_t colon = uri.find(':');
  return "goldmill" + (colon == std::string::npos ? ":" + uri : uri.substr(colon));
}

std::string stanza_of(const Source& source) {
  return "Types: deb\nURIs: " + by_door(source.uri) + "\nSuites:" + field_words(source.suites) +
         (source.components.empty() ? "" : "\nComponents:" + field_words(source.components)) +
         (source.architectures.empty() ? ""
                                       : "\nArchitectures:" + field_words(source.architectures)) +
         "\n\n";
}

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<UniqueFd> open_fifo(const fs::path& path) {
  if (::mkfifo(path.c_str(), 0600) != 0 || ::chmod(path.c_str(), 0666) != 0) {
    return system_error("cannot make " + path.string(), errno);
  }
  // Both ends are ours, too: nobody inside waits for us to open it.
  return system::open_file(path, O_RDWR | O_NONBLOCK);
}

}  // namespace

Result<PackageFile> find_in_index(std::string_view index, const std::string& digest) {
  const std::string field = "\nSHA256: " + digest + "\n";
  const std::size_t at = index.find(field);
  if (at == std::string_view::npos) {
    return Error{ErrorKind::not_found, "no package has the digest " + digest};
  }
  const std::size_t before = index.rfind("\n\n", at);
  const std::size_t start = before == std::string_view::npos ? 0 : before + 2;
  const std::size_t end = std::min(index.find("\n\n", at), index.size());
  const auto paragraph = TRY(ControlParagraph::parse(index.substr(start, end - start)));
  return PackageFile{.name = std::string(paragraph.get("Package")),
                     .version = std::string(paragraph.get("Version")),
                     .architecture = std::string(paragraph.get("Architecture")),
                     .sha256 = digest,
                     .size = number_of(paragraph.get("Size")),
                     .installed_size = number_of(paragraph.get("Installed-Size")) * 1024,
                     .pool_path = std::string(paragraph.get("Filename")),
                     .upgrades_from = {}};
}

Result<void> AptDoor::open(plan::Execution& execution) {
  if (!server_.joinable()) {
    TRY(furnish());
    TRY(start());
  }
  execution.binds.insert(execution.binds.end(), binds_.begin(), binds_.end());
  execution.environment.push_back("APT_CONFIG=" + kPlace + "/apt.conf");
  return {};
}

Result<void> AptDoor::furnish() {
  files_.clear();
  binds_.clear();
  TRY(system::make_directories(request_.scratch));
  TRY(show_text(kMethod, 0555, "method"));
  TRY(show_text(configuration(request_.recommends), 0444, "apt.conf"));
  TRY(request_.only_locked ? show_locked() : show_archive());
  for (const auto& [path, target] :
       {std::pair{request_.scratch, kPlace + "/door"}, {request_.cache, std::string(kCache)}}) {
    files_.push_back(TRY(system::open_directory(path)));
    binds_.push_back({files_.back().get(), target, false});
  }
  return {};
}

Result<void> AptDoor::show_text(std::string_view text, mode_t mode, const std::string& name) {
  files_.push_back(TRY(system::memory_file(text, mode)));
  binds_.push_back({files_.back().get(), kPlace + "/" + name, false});
  return {};
}

/// Not copied: indexes are large.
Result<void> AptDoor::show_file(const fs::path& file, const std::string& name) {
  files_.push_back(TRY(system::open_file(file, O_PATH)));
  binds_.push_back({files_.back().get(), kPlace + "/" + name, false});
  return {};
}

Result<void> AptDoor::show_archive() {
  sources_ = TRY(request_.sources());
  const fs::path indexes = TRY(request_.indexes(sources_));
  std::string text;
  for (const Source& source : sources_) {
    text += stanza_of(source);
  }
  TRY(show_text(text, 0444, "archive.sources"));
  std::string preferences;
  for (const PackageFile& package : request_.locked) {
    preferences += "Package: " + package.name + "\nPin: version " + package.version +
                   "\nPin-Priority: 990\n\n";
  }
  TRY(show_text(preferences, 0444, "preferences"));
  std::error_code failure;
  for (const fs::directory_entry& entry : fs::directory_iterator(indexes, failure)) {
    const std::string name = entry.path().filename();
    if (entry.is_regular_file(failure) && name != "lock") {
      TRY(show_file(entry.path(), "lists/" + name));
    }
    if (name.ends_with("_Packages")) {
      lists_.push_back(entry.path());
    }
  }
  std::sort(lists_.begin(), lists_.end());
  return failure ? Result<void>(system_error("cannot read " + indexes.string(), failure.value()))
                 : Result<void>();
}

/// An index of exactly the locked packages, made from their own control files.
Result<void> AptDoor::show_locked() {
  std::string index;
  for (const PackageFile& package : request_.locked) {
    TRY(request_.fetch(package));
    const UniqueFd file =
        TRY(system::open_file(cached_file(request_.cache, package.sha256), O_RDONLY));
    const auto digest = Digest::parse("sha256:" + package.sha256);
    const Deb deb = TRY(Deb::open(file.get(), TRY(Result<Digest>(digest))));
    index += deb.control().text() + "Filename: " + package.sha256 +
             ".deb\nSize: " + std::to_string(package.size) + "\nSHA256: " + package.sha256 + "\n\n";
  }
  TRY(show_text(
      "Types: deb\nURIs: goldmill:/locked/\nSuites: ./\nTrusted: yes\n", 0444, "archive.sources"));
  TRY(show_text("", 0444, "preferences"));
  return show_text(index, 0444, "lists/_locked_._Packages");
}

Result<void> AptDoor::start() {
  questions_ = TRY(open_fifo(request_.scratch / "questions"));
  answers_ = TRY(open_fifo(request_.scratch / "answers"));
  if (::chmod(request_.scratch.c_str(), 0755) != 0) {
    return system_error("cannot open up " + request_.scratch.string(), errno);
  }
  stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!stop_) {
    return system_error("cannot make an event", errno);
  }
  server_ = std::thread([this] { serve(); });
  return {};
}

void AptDoor::stop() {
  if (server_.joinable()) {
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    server_.join();
  }
}

void AptDoor::serve() {
  std::string pending;
  std::array<pollfd, 2> waits = {{{questions_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (true) {
    (void)::poll(waits.data(), waits.size(), -1);
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
    std::array<char, 4096> piece{};
    const ssize_t count = ::read(questions_.get(), piece.data(), piece.size());
    if (count <= 0) {
      continue;
    }
    pending.append(piece.data(), static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
      const std::string line = answer(pending.substr(0, end)) + "\n";
      pending.erase(0, end + 1);
      // What an apt that died had asked for is nobody's any more.
      while (::read(answers_.get(), piece.data(), piece.size()) > 0) {
      }
      // Nobody reads a full one: what asks without listening gets no answer.
      (void)!::write(answers_.get(), line.data(), line.size());
    }
    if (pending.size() > 4096) {
      pending.clear();
    }
  }
}

/// "good" when the file is in the cache, else why it is not; one line.
std::string AptDoor::answer(const std::string& digest) {
  const auto package =
      is_digest(digest) ? find(digest) : Error{ErrorKind::not_found, "that is no digest"};
  const auto done = package ? request_.fetch(*package) : Result<void>(package.error());
  if (!done) {
    return escape_controls(done.error().text()).substr(0, 1000);
  }
  fetched_[digest] = *package;
  return "good";
}

Result<PackageFile> AptDoor::find(const std::string& digest) const {
  for (const PackageFile& package : request_.locked) {
    if (package.sha256 == digest) {
      return package;
    }
  }
  for (const fs::path& list : lists_) {
    auto package = find_in_index(TRY(system::read_file(list, kLargestIndex)), digest);
    if (!package) {
      continue;
    }
    const std::string name = list.filename();
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (name.starts_with(index_prefix(sources_[i].uri))) {
        package->source_index = static_cast<int>(i);
        return package;
      }
    }
  }
  return Error{ErrorKind::not_found, "no index of the archive names " + digest};
}

Result<Json> AptDoor::close(plan::Sandbox& sandbox) {
  stop();
  for (const auto& [digest, package] : fetched_) {
    if (package.name.starts_with("linux-image-")) {
      return Error{ErrorKind::invalid_input,
                   "the step installed the kernel " + package.name + ", which could not start",
                   "name it under 'packages:' of the recipe: the initramfs is made for those"};
    }
  }
  Json fetched = Json::array();
  std::vector<PackageFile> packages;
  packages.reserve(fetched_.size());
  for (const auto& [digest, package] : fetched_) {
    packages.push_back(package);
  }
  std::sort(packages.begin(), packages.end(), [](const PackageFile& a, const PackageFile& b) {
    return std::tie(a.name, a.architecture) < std::tie(b.name, b.architecture);
  });
  for (const PackageFile& package : packages) {
    fetched.push_back(to_json(package));
  }
  if (!packages.empty()) {
    const UniqueFd cache = TRY(system::open_directory(request_.cache));
    TRY(sandbox.call("unpack",
                     {{"phases", {"normalise", "first-boot"}},
                      {"native", request_.architecture},
                      {"packages", Json::array()},
                      {"epoch", sandbox.epoch()}},
                     {cache.get()},
                     {}));
  }
  return fetched;
}

}  // namespace goldmill::guest
