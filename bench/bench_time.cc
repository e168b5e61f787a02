// How fast time() advances clocks: core-steps a second (all clocks of one core through one compute-shift step of a product or one stage of
// a reduction), beside the same loops without vectors on one thread, which must give the same clocks; and how long whole reports take.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"
#include "device/device.h"
#include "lower/lower.h"
#include "mesh/locality.h"
#include "model/config.h"
#include "paper/published_time.h"
#include "plan/planner.h"
#include "time/clocks.h"
#include "time/product_steps.h"
#include "time/reduce_steps.h"
#include "time/time.h"

using namespace wafer;
using namespace wafer::time;

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

// Trees of K levels on w lines of as many cores, with the broadcast: each core is a stage of the reduction and one of the broadcast.
void measure_reduction(int side, int levels) {
  constexpr int kRuns = 5, kTimes = 20;
  const mesh::Tree tree = mesh::k_tree(side, mesh::even_groups(side, levels));
  double fast = 1e9, plain = 1e9;
  for (int run = 0; run < kRuns; run++) {
    std::vector<uint32_t> a(static_cast<size_t>(side) * static_cast<size_t>(side), 0), b = a;
    ReduceSteps<uint32_t> s{.w = side,
                            .t = a.data(),
                            .words = std::vector<uint32_t>(static_cast<size_t>(side), 12),
                            .cast_words = std::vector<uint32_t>(static_cast<size_t>(side), 12),
                            .first_issue = 10,
                            .later_issue = 10,
                            .ramp = 2,
                            .hop = 1};
    fast = std::min(fast, seconds([&] {
                      for (int i = 0; i < kTimes; i++) reduce_steps(s, tree, 1);
                    }));
    s.t = b.data();
    plain = std::min(plain, seconds([&] {
                       for (int i = 0; i < kTimes; i++) reduce_steps_scalar(s, tree, 1);
                     }));
    CHECK(a == b, "the loops disagree");
  }
  const double stages = 2.0 * kTimes * side * side;
  fmt::print(
      "K = {} tree and broadcast        {:>4}x{:<4}              {:6.4f} s  {:5.2f} G core-stages/s on one thread, without vectors "
      "{:5.2f}: {:4.1f}x\n",
      levels, side, side, fast / kTimes, stages / fast / 1e9, stages / plain / 1e9, plain / fast);
}

void measure_reports(const Device& d) {
  const ModelConfig c = load_shape("models/llama3-8b.toml");
  const WeightTypes types = uniform_types(c.weights);
  auto lowered = [&](int prefill, int decode) {
    PlanRequest r{.context = 4096, .prefill_mesh = mesh::Extent{prefill, prefill}, .decode_mesh = mesh::Extent{decode, decode}};
    return lower(c, types, make_plan(c, types, d, r).plan, limits_of(d).mesh);
  };
  const Lowered l = lowered(660, 360);
  auto best = [&](auto&& work) {
    double s = 1e9;
    for (int run = 0; run < 5; run++) s = std::min(s, seconds(work));
    return s;
  };
  for (const auto& [p, q] : {std::pair{660, 360}, std::pair{718, 718}}) {
    const Lowered whole = lowered(p, q);
    size_t faults = 0;
    const double proof = best([&] { faults = mesh::check_locality(whole.program()).size(); });
    fmt::print("check_locality() of LLaMA3-8B, {0}x{0} and {1}x{1}:  {2} faults in {3:.3f} s\n", p, q, faults, proof);
  }
  int64_t cycles = 0;
  const double decode = best([&] { cycles = time_entry(l.program(), d, "decode", {.cached = 4095}).cycles; });
  fmt::print("decode step of LLaMA3-8B, 360x360, at 4095:  {} cycles in {:.4f} s\n", cycles, decode);
  const double prefill = best([&] { cycles = time_entry(l.program(), d, "prefill", {.rows = 4096, .chunk = 4096}).cycles; });
  fmt::print("prefill of LLaMA3-8B, 660x660, 4096 tokens:  {} cycles in {:.3f} s\n", cycles, prefill);
  // Rows of the paper's tables 3 and 4.
  for (int side : {420, 540, 660}) {
    const double row = best([&] { cycles = published_decode_layer(c, side, 4096, d).cycles; });
    fmt::print("a decode layer as published, {0}x{0}:          {1} cycles in {2:.1f} ms\n", side, cycles, 1e3 * row);
  }
  for (int side : {480, 600, 720}) {
    const double row = best([&] { cycles = published_prefill_layer(c, side, 4096, d).cycles; });
    fmt::print("a prefill layer as published, {0}x{0}:       {1} cycles in {2:.0f} ms\n", side, cycles, 1e3 * row);
  }
}

}  // namespace

int main() {
  const Device d = load_device("wse2");
  auto gemm = [&](const char* what, int w, int h, int64_t rows, int64_t k, int64_t n) {
    measure(what, gemm_setup({w, h}, d, Numerics::fp16, sizes({0, w}, h, rows, k, n, false)), gemm_steps, gemm_steps_scalar);
  };
  auto gemm_t = [&](const char* what, int w, int h, int64_t rows, int64_t k, int64_t n) {
    measure(what, gemm_t_setup({w, h}, d, Numerics::fp16, sizes({0, w}, h, rows, k, n, true)), gemm_t_steps, gemm_t_steps_scalar);
  };
  gemm("MeshGEMM 4320^3", 720, 720, 4320, 4320, 4320);
  gemm("MeshGEMM, ragged tiles", 720, 720, 4096, 4096, 14336);
  gemm("MeshGEMM, a head's columns", 82, 660, 2048, 2048, 128);
  gemm("MeshGEMM, wide", 750, 400, 2048, 4096, 4096);
  gemm_t("GEMM-T, row sums", 660, 660, 2048, 4096, 2048);
  gemm_t("GEMM-T, a head's columns", 82, 660, 2048, 128, 2048);
  measure_reduction(720, 2);
  measure_reduction(360, 3);
  measure_reports(d);
}
