// Laws of the cycles of products on random shapes and meshes: never less than the multiply-adds at the cores' rate, and never less for more
// work on the same mesh.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/rng.h"
#include "kernel_bench/gemm_program.h"
#include "kernel_bench/gemv_program.h"
#include "lower/lower.h"
#include "model/config.h"
#include "time/cost.h"
#include "time/time.h"

namespace wafer::time {
namespace {

using namespace mesh;
using kernels::GemmAlgorithm;
using kernels::GemmShape;
using kernels::GemvShape;

constexpr GemmAlgorithm kAlgorithms[] = {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather};
constexpr Numerics kNumerics[] = {Numerics::fp16, Numerics::mixed, Numerics::fp32};
constexpr const char* kAllreduces[] = {"ktree", "pipeline", "two-phase", "ring"};

int64_t gemm_cycles(const GemmShape& s, const Device& d, StepStart start = StepStart::as_written) {
  return time_entry(kernels::gemm_program(s, {750, 994}), d, "gemm", {.rows = s.m}, {.step_start = start}).cycles;
}
int64_t gemv_cycles(const GemvShape& s, const Device& d) { return time_entry(kernels::gemv_program(s, {750, 994}), d, "gemv", {}).cycles; }

struct Draw {
  Rng& rng;
  int64_t below(uint64_t n) { return static_cast<int64_t>(next_below(rng, n)); }
  // Small and large, with all that is ragged between.
  int64_t size() { return 1 + below(uint64_t{1} << (1 + below(11))); }
  Extent mesh() {
    const int w = static_cast<int>(1 + below(12)), h = static_cast<int>(1 + below(12));
    return {below(3) == 0 ? h : w, below(4) == 0 ? 1 : h};
  }
  GemmShape gemm() {
    return {.m = size(),
            .k = size(),
            .n = size(),
            .mesh = mesh(),
            .numerics = kNumerics[below(3)],
            .algorithm = kAlgorithms[below(4)],
            .overlap = below(4) != 0};
  }
};
std::string text(const GemmShape& s) {
  return fmt::format("{} {}x{}x{} on {}x{}, overlap {}", kernels::name(s.algorithm), s.m, s.k, s.n, s.mesh.w, s.mesh.h, s.overlap);
}

TEST(ProductLaws, NeverLessThanTheMultiplyAddsAtTheCoresRate) {
  Rng rng(81);
  Draw draw{rng};
  for (int run = 0; run < 1500; run++) {
    Device d = load_device(run % 3 == 0 ? "wse3" : "wse2");
    if (run % 4 == 0) d.sram_read_bytes_per_cycle = 1 + draw.below(16);
    const GemmShape s = draw.gemm();
    const double cores = static_cast<double>(s.mesh.w) * s.mesh.h, least = static_cast<double>(s.m) * static_cast<double>(s.k) *
                                                                           static_cast<double>(s.n) / cores /
                                                                           multiply_adds_per_cycle(d, s.numerics);
    ASSERT_GE(static_cast<double>(gemm_cycles(s, d)), least) << text(s);
    const GemvShape v{.k = draw.size(), .n = draw.size(), .mesh = s.mesh, .numerics = s.numerics, .allreduce = kAllreduces[draw.below(4)]};
    ASSERT_GE(static_cast<double>(gemv_cycles(v, d)),
              static_cast<double>(v.k) * static_cast<double>(v.n) / cores / multiply_adds_per_cycle(d, v.numerics))
        << v.allreduce << " " << v.k << " x " << v.n << " on " << v.mesh.w << "x" << v.mesh.h;
  }
}

// Each product of a model's prefill and decode by its own line, and all of them.
TEST(ProductLaws, NorDoTheProductsOfAModel) {
  Rng rng(82);
  Draw draw{rng};
  const Device d = load_device("wse2");
  for (int run = 0; run < 60; run++) {
    const int64_t kv = 1 + draw.below(3), group = 1 + draw.below(3), head_dim = 2 * (1 + draw.below(16));
    const ModelConfig c{.name = "random",
                        .architecture = "llama",
                        .layers = 1 + draw.below(3),
                        .dim = kv * group * head_dim,
                        .heads = kv * group,
                        .kv_heads = kv,
                        .head_dim = head_dim,
                        .ffn = 1 + draw.below(200),
                        .vocab = 10 + draw.below(300),
                        .context = 400,
                        .norm_epsilon = 1e-5f,
                        .rope_base = 1e4};
    const int64_t tokens = 1 + draw.below(120);
    Plan plan{.numerics = kNumerics[draw.below(3)], .context = 200, .chunk = tokens, .max_prompt = tokens};
    const Extent a = draw.mesh(), b = draw.mesh();
    plan.prefill.regions = {{.rect = {0, 0, a.w, a.h}, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
    plan.decode.regions = {{.rect = {20, 0, b.w, b.h}, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
    const Lowered l = lower(c, uniform_types(TensorType::f16), plan, {750, 994});
    const double rate = multiply_adds_per_cycle(d, plan.numerics);
    const int64_t q = c.heads * head_dim, kv_dim = kv * head_dim;
    const int64_t position = draw.below(190), keys = position + 1;
    const auto check = [&](const TimeReport& r, double cores, int64_t rows, int64_t scores, bool prefill) {
      std::map<std::string, int64_t> adds = {{"out", c.dim * q}, {"down", c.dim * c.ffn}, {"scores", q * scores}, {"values", q * scores}};
      if (prefill)
        adds.insert({{"q", c.dim * q}, {"k", c.dim * kv_dim}, {"v", c.dim * kv_dim}, {"up", c.dim * c.ffn}, {"gate", c.dim * c.ffn}});
      else
        adds.insert({{"qkv", c.dim * (q + 2 * kv_dim)}, {"gate_up", 2 * c.dim * c.ffn}});
      double all = 0;
      for (const auto& [name, n] : adds) {
        const double least = static_cast<double>(n) * static_cast<double>(rows) * static_cast<double>(c.layers) / cores / rate;
        all += least;
        int64_t cycles = 0;
        for (const StepTime& s : r.steps) cycles += s.name == name || s.name.starts_with(name + ".") ? s.cycles : 0;
        EXPECT_GE(static_cast<double>(cycles), std::floor(least)) << name << ", run " << run;
      }
      EXPECT_GE(static_cast<double>(r.cycles), all) << run;
    };
    check(time_entry(l.program(), d, "prefill", {.cached = 0, .rows = tokens, .chunk = tokens}), static_cast<double>(a.w) * a.h, tokens,
          tokens, true);
    check(time_entry(l.program(), d, "decode", {.cached = position, .rows = 1, .chunk = tokens}), static_cast<double>(b.w) * b.h, 1, keys,
          false);
  }
}

// Tiles are cut by the part rule, which deals what does not go evenly to other positions for another size: one element more may make a
// tile smaller. A round more, an element for every position, makes none smaller, and then no core is ever done earlier.
TEST(ProductLaws, ARoundMoreWorkIsNeverLessCycles) {
  Rng rng(83);
  Draw draw{rng};
  for (int run = 0; run < 1500; run++) {
    const Device d = load_device(run % 2 == 0 ? "wse3" : "wse2");
    const GemmShape s = draw.gemm();
    GemmShape more = s;
    (run % 3 == 0 ? more.m : run % 3 == 1 ? more.k : more.n) += (1 + draw.below(5)) * std::max(s.mesh.w, s.mesh.h);
    ASSERT_LE(gemm_cycles(s, d), gemm_cycles(more, d)) << text(s) << ", then " << text(more);
    const GemvShape v{.k = draw.size(), .n = draw.size(), .mesh = s.mesh, .numerics = s.numerics, .allreduce = kAllreduces[draw.below(4)]};
    GemvShape w = v;
    if (run % 2 == 0)
      w.k += (1 + draw.below(5)) * v.mesh.h;
    else
      w.n += (1 + draw.below(5)) * v.mesh.w;
    ASSERT_LE(gemv_cycles(v, d), gemv_cycles(w, d))
        << v.allreduce << " " << v.k << " x " << v.n << " on " << v.mesh.w << "x" << v.mesh.h << ", then " << w.k << " x " << w.n;
  }
}

// Anything more is never less than a tenth below: what the part rule moves about is an element of one line of tiles.
TEST(ProductLaws, AnyMoreWorkIsHardlyLess) {
  Rng rng(84);
  Draw draw{rng};
  const Device d = load_device("wse2");
  int less = 0;
  for (int run = 0; run < 4000; run++) {
    const GemmShape s = draw.gemm();
    GemmShape more = s;
    (run % 3 == 0 ? more.m : run % 3 == 1 ? more.k : more.n) += 1 + draw.below(run % 2 == 0 ? 40 : 3);
    const int64_t a = gemm_cycles(s, d), b = gemm_cycles(more, d);
    less += b < a ? 1 : 0;
    ASSERT_GE(1.1 * static_cast<double>(b), static_cast<double>(a)) << text(s) << ", then " << text(more);
  }
  EXPECT_LE(less, 80);
}

}  // namespace
}  // namespace wafer::time
