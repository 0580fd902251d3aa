// SPDX-License-Identifier: GPL-3.0-or-later
#include "unpacking.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <unistd.h>

#include <goldmill/guest/unpacker.hpp>

namespace goldmill::guest::test_parts {

namespace fs = std::filesystem;

namespace {
std::string text_of_file(const fs::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// Every entry with all that a package could change; the times of reading are not among it.
std::string described(const fs::path& tree) {
  std::set<std::string> lines;
  const auto describe = [&](const fs::path& path) {
    struct stat status {};
    ::lstat(path.c_str(), &status);
    std::ostringstream line;
    line << path << " " << status.st_ino << " " << status.st_mode << " " << status.st_uid << " "
         << status.st_nlink << " " << status.st_mtim.tv_sec << "." << status.st_mtim.tv_nsec << " "
         << status.st_ctim.tv_sec << "." << status.st_ctim.tv_nsec << " "
         << (S_ISREG(status.st_mode) ? text_of_file(path) : "");
    lines.insert(line.str());
  };
  describe(tree);
  for (const auto& entry : fs::recursive_directory_iterator(tree)) {
    describe(entry.path());
  }
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}
}  // namespace

void Unpacking::SetUp() {
  auto made = system::TemporaryDirectory::make("/var/tmp", "gm-unpack-test-");
  ASSERT_TRUE(made);
  scratch_.emplace(std::move(made).value());
  for (const char* name : {"root", "cache", "outside", "outside/deep"}) {
    ::mkdir((scratch_->path() / name).c_str(), 0755);
  }
  std::ofstream(scratch_->path() / "outside/canary") << "untouched";
  std::ofstream(scratch_->path() / "outside/deep/canary") << "root:x:0:0::/root:/bin/sh\n";
  untouched_ = described(outside());
}

void Unpacking::TearDown() {
  EXPECT_EQ(described(outside()), untouched_);
  std::set<std::string> around;
  for (const auto& entry : fs::directory_iterator(scratch_->path())) {
    around.insert(entry.path().filename());
  }
  EXPECT_EQ(around, (std::set<std::string>{"root", "cache", "outside"}));
}

Json Unpacking::add(const DebText& text) const {
  return add_to(cache(), text.name, make_deb(text));
}

Result<Json> Unpacking::unpack(const Json& packages,
                               const std::vector<std::string>& phases,
                               const Json& contested) const {
  // The worker's hands are the descriptors 10 and 11.
  const auto tree = system::open_directory(root());
  const auto files = system::open_directory(cache());
  ::dup2(tree->get(), 10);
  ::dup2(files->get(), 11);
  system::WorkerContext context(
      {{"phases", phases}, {"packages", packages}, {"contested", contested}, {"epoch", 0}}, -1);
  auto answer = unpack_worker(context);
  ::close(10);
  ::close(11);
  return answer;
}

std::string Unpacking::content(const std::string& path) const {
  return text_of_file(root() / path);
}

void Unpacking::write(const std::string& path, const std::string& content) const {
  fs::create_directories((root() / path).parent_path());
  std::ofstream(root() / path) << content;
}

std::optional<struct stat> Unpacking::look(const std::string& path) const {
  struct stat status {};
  return ::lstat((root() / path).c_str(), &status) == 0 ? std::optional(status) : std::nullopt;
}

}  // namespace goldmill::guest::test_parts
