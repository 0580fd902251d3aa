// SPDX-License-Identifier: GPL-3.0-or-later
// Text -> profile -> recipe's text, which must load or be refused with a reason.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <goldmill/kickstart/profile.hpp>
#include <goldmill/recipe/profile.hpp>
#include <goldmill/system/file.hpp>

namespace {
/// A file in memory, under a name that import_profile() can open.
std::string write(std::string_view text) {
  static const int kFile = ::memfd_create("profile", MFD_CLOEXEC);
  if (::ftruncate(kFile, 0) != 0 ||
      ::pwrite(kFile, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    std::abort();
  }
  return "/proc/self/fd/" + std::to_string(kFile);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto judgement = goldmill::kickstart::read_profile(text);
  for (const auto& problem : judgement.problems) {
    if (problem.line < 1 || problem.message.empty()) {
      std::abort();
    }
  }
  const auto recipe = goldmill::recipe::recipe_of_profile(write(text), "debian/12");
  if (recipe && !judgement.problems.empty()) {
    std::abort();
  }
  return 0;
}
