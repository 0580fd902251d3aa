// SPDX-License-Identifier: GPL-3.0-or-later
// Unpacking: a tree, a package cache, and a canary beside them which no package may touch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <goldmill/base/json.hpp>
#include <goldmill/system/file.hpp>

#include "deb_builder.hpp"

namespace goldmill::guest::test_parts {

class Unpacking : public ::testing::Test {
 protected:
  void SetUp() override;
  /// Everything outside of the tree is byte for byte as it was.
  void TearDown() override;

  /// Puts the package into the cache; its JSON for unpack().
  Json add(const DebText& text) const;
  /// Runs the unpack worker, in this process.
  Result<Json> unpack(const Json& packages,
                      const std::vector<std::string>& phases = {"create"},
                      const Json& contested = Json::array()) const;
  /// Of a file in the tree; "" when it is missing.
  std::string content(const std::string& path) const;
  void write(const std::string& path, const std::string& content) const;
  /// lstat in the tree.
  std::optional<struct stat> look(const std::string& path) const;
  std::filesystem::path root() const { return scratch_->path() / "root"; }
  std::filesystem::path cache() const { return scratch_->path() / "cache"; }
  std::string outside() const { return (scratch_->path() / "outside").string(); }

 private:
  std::optional<system::TemporaryDirectory> scratch_;
  std::string untouched_;
};

}  // namespace goldmill::guest::test_parts
