#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace wafer {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "waferllm: our own fault at %s:%d: CHECK(%s) %s\n", file, line, condition, message.c_str());
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace wafer
