// How fast time() advances the clocks of products: core-steps a second (all clocks of one core through one compute-shift step), beside the
// same loops without vectors on one thread, which must give the same clocks.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"
#include "device/device.h"
#include "sim/clocks.h"
#include "sim/product_steps.h"

using namespace wafer;
using namespace wafer::sim;

namespace {

double seconds(auto&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

ProductSizes sizes(mesh::Range columns, int h, int64_t rows, int64_t k, int64_t n, bool transposed) {
  const int L = std::max(static_cast<int>(columns.size()), h);
  auto parts = [](int64_t whole, int count) {
    std::vector<int64_t> v;
    for (int64_t p = 0; p < count; p++) v.push_back(whole * (p + 1) / count - whole * p / count);
    return v;
  };
  return {.columns = columns,
          .rows = parts(rows, L),
          .k = transposed ? parts(k, static_cast<int>(columns.size())) : parts(k, L),
          .n = parts(n, L)};
}

using Product = void (*)(const ProductSteps&, std::vector<uint32_t>&, int64_t, int64_t);

void measure(const char* what, const ProductSteps& p, Product fast, Product scalar) {
  constexpr int kRuns = 5;
  const std::vector<uint32_t> start(static_cast<size_t>(p.w) * static_cast<size_t>(p.h), 0);
  const double core_steps = static_cast<double>(start.size()) * p.L;
  double all = 1e9, one = 1e9, plain = 1e9, all_sum = 0;
  for (int run = 0; run < kRuns; run++) {
    std::vector<uint32_t> a = start, b = start, c = start;
    set_thread_count(0);
    const double t = seconds([&] { fast(p, a, 0, p.L); });
    all = std::min(all, t);
    all_sum += t;
    set_thread_count(1);
    one = std::min(one, seconds([&] { fast(p, b, 0, p.L); }));
    plain = std::min(plain, seconds([&] { scalar(p, c, 0, p.L); }));
    CHECK(a == b && a == c, "the loops disagree");
  }
  set_thread_count(0);
  fmt::print(
      "{:<28} {:>4}x{:<4} {:>4} steps  {:6.3f} s  {:5.2f} G core-steps/s (mean {:5.2f})   one thread {:5.2f}, without vectors {:5.2f}: "
      "{:4.1f}x\n",
      what, p.w, p.h, p.L, all, core_steps / all / 1e9, core_steps * kRuns / all_sum / 1e9, core_steps / one / 1e9,
      core_steps / plain / 1e9, plain / one);
}

}  // namespace

int main() {
  const Device d = load_device("wse2");
  auto gemm = [&](const char* what, int w, int h, int64_t rows, int64_t k, int64_t n) {
    measure(what, gemm_setup({.w = w, .h = h, .t = {}}, d, Numerics::fp16, sizes({0, w}, h, rows, k, n, false)), gemm_steps,
            gemm_steps_scalar);
  };
  auto gemm_t = [&](const char* what, int w, int h, int64_t rows, int64_t k, int64_t n) {
    measure(what, gemm_t_setup({.w = w, .h = h, .t = {}}, d, Numerics::fp16, sizes({0, w}, h, rows, k, n, true)), gemm_t_steps,
            gemm_t_steps_scalar);
  };
  gemm("MeshGEMM 4320^3", 720, 720, 4320, 4320, 4320);
  gemm("MeshGEMM, ragged tiles", 720, 720, 4096, 4096, 14336);
  gemm("MeshGEMM, a head's columns", 82, 660, 2048, 2048, 128);
  gemm("MeshGEMM, wide", 750, 400, 2048, 4096, 4096);
  gemm_t("GEMM-T, row sums", 660, 660, 2048, 4096, 2048);
  gemm_t("GEMM-T, a head's columns", 82, 660, 2048, 128, 2048);
}
