// SPDX-License-Identifier: GPL-3.0-or-later
// Step: one unit of work as data, with the key that decides whether it ever runs again.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>

namespace goldmill::plan {

/// What a step leaves behind.
enum class Produces : std::uint8_t {
  layer,  ///< file changes on top of the parent's
  /// Files beside the tree, never in it: what a boot loader needs, a report. Written by the
  /// step into the directory mounted at /run/goldmill/output.
  assets,
  /// A tree that stands on nothing: programs which later steps use from outside, in no image.
  tools,
};

struct Step {
  std::string name;  ///< for people: "packages", "shell: setup.sh"
  std::string kind;  ///< "debian.packages"; finds the StepKind that runs it
  int kind_version = 1;
  Json options = Json::object();
  /// Name -> digest, version or other text; each is part of the key and shown by `explain`.
  std::map<std::string, std::string> inputs = {};
  /// Of inputs that are files or directories: what people know each file as -> its digest, so that
  /// a plan can name the file that changed. In no key.
  std::map<std::string, Json> contents = {};
  Produces produces = Produces::layer;
  /// Files of this machine that the run needs; their content is in `inputs`, their paths are in
  /// no key.
  std::map<std::string, std::filesystem::path> sources = {};
  /// Packages whose programs the run uses from outside the image -> where the recipe asks for
  /// them. Their versions are in `inputs`.
  std::map<std::string, std::string> tools = {};
  /// Names of the recipe's secrets shown to it.
  std::vector<std::string> secrets = {};
  bool network = false;
  /// It runs programs in the booted tree: StepContext::booted.
  bool boots = false;
  /// "file:line:column" of the recipe's entry that it comes from, for messages; in no key.
  std::string asked_at = {};
  /// Where there are several ways to run it, the one that it will take, in words; "" of one that
  /// is done. In no key.
  std::string manner = {};
};

/// SHA-256 over the canonical form of kind, version, options, inputs and the parents' diff_ids.
Digest key_of(const Step& step, const std::vector<Digest>& parent_layers);

}  // namespace goldmill::plan
