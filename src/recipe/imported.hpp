// SPDX-License-Identifier: GPL-3.0-or-later
// What an importer made of an answer file, as the document that a recipe's text becomes.
#pragma once

#include <filesystem>

#include <goldmill/base/result.hpp>
#include <goldmill/kickstart/import.hpp>

#include "document.hpp"

namespace goldmill::recipe {

/// Its values stand where the lines stand that said them, so that what is wrong with one is told of
/// the file that somebody wrote. They have no column; what no line said has no line either.
/// Errors: invalid_input for what parse_document() refuses too: control characters, too much of it.
Result<Document> document_of(const kickstart::Import& imported, const std::filesystem::path& file);

}  // namespace goldmill::recipe
