#include "base/isa.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "base/error.h"

namespace wafer {
namespace {

Isa choose() {
  const char* wish = std::getenv("WAFER_ISA");
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::scalar}) {
    if (wish == nullptr || *wish == 0) {
      if (isa_available(isa)) return isa;
    } else if (std::string_view(wish) == isa_name(isa)) {
      if (isa_available(isa)) return isa;
      throw Error({.where = "WAFER_ISA", .found = wish, .expected = "instructions this machine has", .fix = "unset it"});
    }
  }
  throw Error({.where = "WAFER_ISA", .found = wish, .expected = "scalar, avx2 or avx512", .fix = "unset it"});
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa{choose()};
  return isa;
}

}  // namespace

bool isa_available(Isa isa) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2: return avx2;
    case Isa::avx512:
      return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
  }
  return false;
#else
  return isa == Isa::scalar;
#endif
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar: return "scalar";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "?";
}

Isa current_isa() { return current().load(std::memory_order_relaxed); }

void force_isa(Isa isa) {
  CHECK(isa_available(isa), "{}", isa_name(isa));
  current().store(isa, std::memory_order_relaxed);
}

}  // namespace wafer
