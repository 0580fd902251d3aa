// SPDX-License-Identifier: GPL-3.0-or-later
// What libstdc++ calls when it would throw: the agent ends. With these here the linker leaves
// the library's own versions out, and with them the unwinder, locales and the demangler.
#include <cstdlib>
#include <new>

// The names are the library's.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl58-cpp)
namespace std {
[[noreturn]] void __throw_length_error(const char*) {
  abort();
}
[[noreturn]] void __throw_logic_error(const char*) {
  abort();
}
[[noreturn]] void __throw_out_of_range(const char*) {
  abort();
}
[[noreturn]] void __throw_out_of_range_fmt(const char*, ...) {
  abort();
}
[[noreturn]] void __throw_bad_alloc() {
  abort();
}
[[noreturn]] void __throw_bad_array_new_length() {
  abort();
}
[[noreturn]] void __throw_bad_function_call() {
  abort();
}
[[noreturn]] void __throw_bad_optional_access() {
  abort();
}
}  // namespace std

void* operator new(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) {
    std::abort();
  }
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl58-cpp)
