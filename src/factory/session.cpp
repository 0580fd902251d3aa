// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/build/work.hpp>
#include <goldmill/factory/session.hpp>

namespace goldmill::factory {

Result<Session> Session::open(Observer& observer) {
  store::Home home = TRY(store::Home::open());
  TRY(build::reclaim(home.root()));
  store::Catalogue catalogue = TRY(store::Catalogue::open(home.catalogue()));
  return Session{std::move(home), std::move(catalogue), observer};
}

}  // namespace goldmill::factory
