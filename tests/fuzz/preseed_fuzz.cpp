// SPDX-License-Identifier: GPL-3.0-or-later
// Text -> preseed file -> recipe's text, which must load or be refused with a place.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include <goldmill/preseed/preseed.hpp>
#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/system/file.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path =
      "/dev/shm/goldmill-fuzz." + std::to_string(::getpid()) + ".preseed";
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = goldmill::system::open_file(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (!file || !goldmill::system::write_all(file->get(), text)) {
    return 0;
  }
  const auto reading = goldmill::preseed::read_preseed(text);
  for (const auto& problem : reading.problems) {
    if (problem.line < 1 || problem.message.empty()) {
      std::abort();
    }
  }
  const auto recipe = goldmill::recipe::recipe_of_profile(path, "debian/12");
  if (recipe && !reading.problems.empty()) {
    std::abort();
  }
  if (recipe && recipe->rows.size() < reading.answers.size()) {
    std::abort();  // an answer of which nothing is said
  }
  const auto loaded = goldmill::recipe::load(path, {.set = {}, .os = "debian/12", .settings = {}});
  if (recipe && !loaded && loaded.error().message.empty()) {
    std::abort();
  }
  return 0;
}
