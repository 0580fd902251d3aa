// SPDX-License-Identifier: GPL-3.0-or-later
// The OCI configuration of an image, whose digest is the image's name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>
#include <goldmill/image/layout.hpp>

namespace goldmill::image {

struct ImageFacts {
  std::string name;
  std::int64_t epoch = 0;  ///< "created": never the time of the build
  std::vector<Digest> diff_ids;
  std::vector<std::string> history;  ///< one line a layer: the step's name; or empty
  Layout layout;
  Digest lock;
  std::optional<Digest> parent;  ///< the image that it was built on
  std::map<std::string, std::string> labels;
};

/// Source: OCI image specification 1.1, config.md. Labels begin with "org.goldmill.".
Json oci_config(const ImageFacts& facts);

/// SHA-256 of the canonical form: what is stored as the config blob.
Digest image_digest(const Json& config);

}  // namespace goldmill::image
