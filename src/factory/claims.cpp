// SPDX-License-Identifier: GPL-3.0-or-later
#include "claims.hpp"

#include <goldmill/system/locked_directory.hpp>

namespace goldmill::factory {

Claims::~Claims() {
  if (owner_) {
    (void)session_.catalogue.remove_claims(owner_->path().filename());  // or gc does it later
  }
}

Result<void> Claims::add(const std::vector<std::string>& objects) {
  if (!owner_) {
    owner_.emplace(TRY(build::WorkDirectory::make(session_.home.root())));
  }
  return session_.catalogue.claim(owner_->path().filename(), objects);
}

Result<std::set<std::string>> living_claims(Session& session) {
  std::set<std::string> objects;
  for (const auto& [owner, object] : TRY(session.catalogue.claims())) {
    if (system::is_owned(session.home.work() / owner)) {
      objects.insert(object);
    }
  }
  return objects;
}

}  // namespace goldmill::factory
