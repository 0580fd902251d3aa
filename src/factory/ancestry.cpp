// SPDX-License-Identifier: GPL-3.0-or-later
#include "ancestry.hpp"

namespace goldmill::factory {

Result<std::optional<store::ImageRecord>> parent_of(Session& session,
                                                    const store::ImageRecord& image) {
  const auto digest = Digest::parse(find_string(image.details, "parent_digest").value_or(""));
  return digest ? session.catalogue.find_image_by_digest(*digest)
                : Result<std::optional<store::ImageRecord>>(std::nullopt);
}

Result<std::vector<store::ImageRecord>> line_of(Session& session, const store::ImageRecord& image) {
  std::vector<store::ImageRecord> line = {image};
  while (auto parent = TRY(parent_of(session, line.back()))) {
    line.push_back(*std::move(parent));
  }
  return line;
}

}  // namespace goldmill::factory
