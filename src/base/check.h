// CHECK: our own bug. Always on; prints the condition and the values, and ends the process with exit status 1.
// Never used on user input (that is an Error). DCHECK is for inner loops, debug builds only.
#pragma once
#include <fmt/format.h>

#include <string>

namespace wafer {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}

#define CHECK(condition, ...)                                                               \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::wafer::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

#ifdef NDEBUG
#define DCHECK(condition, ...) \
  do {                         \
  } while (false)
#else
#define DCHECK(condition, ...) CHECK(condition, __VA_ARGS__)
#endif
