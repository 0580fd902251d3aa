// SPDX-License-Identifier: GPL-3.0-or-later
// libFuzzer on the recipe reader: no input may crash it, hang it or fill the memory.
// Built with clang++ and -DGOLDMILL_FUZZ=ON; run: build-fuzz/recipe_fuzz -max_total_time=60 DIR
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <goldmill/recipe/load.hpp>
#include <goldmill/system/file.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/dev/shm/goldmill-fuzz." + std::to_string(::getpid());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = goldmill::system::open_file(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (!file || !goldmill::system::write_all(file->get(), text)) {
    return 0;
  }
  const auto recipe = goldmill::recipe::load(path, {{{"java", "21"}}});
  if (recipe) {
    (void)goldmill::recipe::merged({*recipe});
  }
  return 0;
}
