// SPDX-License-Identifier: GPL-3.0-or-later
// Inside of compare_layers(): two canonical tars, read side by side.
#pragma once

#include <goldmill/build/layer_difference.hpp>
#include <goldmill/store/tar.hpp>

namespace goldmill::build {

Result<LayerComparison> compare_archives(store::Source first, store::Source second);

}  // namespace goldmill::build
