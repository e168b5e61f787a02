// Clocks of 32 and of 64 bits: the same cycles where both do, 64 where 32 do not, and an Error where neither does.
#include "time/clocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "kernel_bench/gemm_program.h"
#include "kernel_bench/gemv_program.h"
#include "kernel_bench/reduce_program.h"
#include "lower/lower.h"
#include "model/config.h"
#include "time/cast_steps.h"
#include "time/product_steps.h"
#include "time/reduce_steps.h"
#include "time/time.h"

namespace wafer::time {
namespace {

using namespace mesh;
using kernels::GemmAlgorithm;
__extension__ using Wide = __int128;

template <class T>
Clocks<T> clocks(int w, int h, std::vector<T> t) {
  return {.w = w, .h = h, .t = std::move(t)};
}

TEST(Clocks, SettlingRebasesAppliesTheFloorAndSaysWhereItCannot) {
  const uint32_t high = uint32_t{1} << 31;
  Clocks<uint32_t> c = clocks<uint32_t>(3, 1, {high - 5, high + 7, high});
  c.base = 100;
  settle(c, stats(c));
  EXPECT_EQ(c.t, (std::vector<uint32_t>{0, 12, 5}));
  EXPECT_EQ(c.base, 100u + high - 5);
  EXPECT_EQ(c.most, 12u);
  // A floor between the clocks, then one above them all.
  c.floor = c.base + 6;
  ClockStats known = stats(c);
  known.earliest = c.floor;
  settle(c, known);
  EXPECT_EQ(c.t, (std::vector<uint32_t>{6, 12, 6}));
  const uint64_t late = c.base + (uint64_t{1} << 40);
  c.floor = late;
  settle(c, {.earliest = late, .latest = late, .sum = 0});
  EXPECT_EQ(c.t, (std::vector<uint32_t>{0, 0, 0}));
  EXPECT_EQ(c.base, late);
  EXPECT_FALSE(c.too_wide);
  // Too far apart for 32 bits, not for 64.
  c.t = {0, high, 1};
  settle(c, stats(c));
  EXPECT_TRUE(c.too_wide);
  Clocks<uint64_t> w = clocks<uint64_t>(3, 1, {0, uint64_t{1} << 50, 1});
  settle(w, stats(w));
  EXPECT_EQ(w.most, uint64_t{1} << 50);
  EXPECT_EQ(stats(w).sum, std::ldexp(1.0, 50) + 1);
}

TEST(Clocks, ARiseThatDoesNotFitIsToldOrThrown) {
  Clocks<uint32_t> c = clocks<uint32_t>(1, 1, {10});
  EXPECT_TRUE(fits(c, room(c)));
  EXPECT_FALSE(c.too_wide);
  EXPECT_FALSE(fits(c, room(c) + 1));
  EXPECT_TRUE(c.too_wide);
  Clocks<uint64_t> w = clocks<uint64_t>(1, 1, {10});
  w.base = 1000;
  EXPECT_TRUE(fits(w, room(w)));
  EXPECT_THROW(fits(w, room(w) + 1), Error);
  EXPECT_THROW(fits(w, Bound::kMost), Error);
  EXPECT_EQ(time_after(5, 7), 12u);
  EXPECT_THROW(time_after(kLatest, 1), Error);
  EXPECT_THROW(time_after(5, Bound(uint64_t{1} << 40) * (uint64_t{1} << 40)), Error);
}

// From the same clocks: where 32 bits are enough by their own word, they give what 64 give.
struct Seen {
  int narrow = 0, wide = 0;
};
template <class Step>
void compare(Rng& rng, int w, int h, Seen& seen, const Step& step) {
  Clocks<uint32_t> a = clocks<uint32_t>(w, h, {});
  for (int q = 0; q < w * h; q++) a.t.push_back(static_cast<uint32_t>(next_below(rng, 1 + (uint64_t{1} << next_below(rng, 31)))));
  Clocks<uint64_t> b = clocks<uint64_t>(w, h, std::vector<uint64_t>(a.t.begin(), a.t.end()));
  Tally ta, tb;
  step(a, ta);
  step(b, tb);
  const uint64_t latest = *std::max_element(b.t.begin(), b.t.end());
  if (a.too_wide) {
    seen.wide++;
    return;
  }
  seen.narrow++;
  ASSERT_EQ(std::vector<uint64_t>(a.t.begin(), a.t.end()), b.t);
  ASSERT_LE(latest, uint64_t{UINT32_MAX});
  ASSERT_EQ(ta.wavelets, tb.wavelets);
  ASSERT_EQ(ta.communicate, tb.communicate);
  ASSERT_EQ(ta.multiply_adds, tb.multiply_adds);
}

TEST(Clocks, ProductsAreTheSameInBothWidths) {
  Device d = load_device("wse2");
  Rng rng(71);
  std::vector<Seen> seen(4);
  for (int run = 0; run < 600; run++) {
    const auto below = [&](uint64_t n) { return static_cast<int64_t>(next_below(rng, n)); };
    const int w = static_cast<int>(1 + below(7)), h = static_cast<int>(run % 3 == 0 ? w : 1 + below(9)), L = std::max(w, h);
    d.background_wavelet_cycles = run % 5 == 0 ? 3.3 : 0.5;
    const uint64_t most = uint64_t{2} << below(16);
    const auto parts = [&](int count) {
      const int64_t whole = below(most) * count / 2 + below(5);
      std::vector<int64_t> v;
      for (int64_t q = 0; q < count; q++) v.push_back(whole * (q + 1) / count - whole * q / count);
      return v;
    };
    ProductSizes z{.columns = {0, w}, .rows = parts(L), .k = parts(L), .n = parts(L), .heads = 1 + below(2)};
    z.align_a = below(2) != 0;
    z.align_b = below(2) != 0;
    z.together = below(3) == 0;
    z.overlap = below(3) != 0;
    compare(rng, w, h, seen[0], [&](auto& c, Tally& t) { time_gemm(c, d, Numerics::mixed, z, 0, t); });
    z.align_a = z.align_b = false;
    compare(rng, w, h, seen[1], [&](auto& c, Tally& t) { time_gemm_cast(c, d, Numerics::mixed, z, t); });
    compare(rng, w, h, seen[2], [&](auto& c, Tally& t) { time_gemm_gather(c, d, Numerics::mixed, z, t); });
    z.k = parts(w);
    compare(rng, w, h, seen[3], [&](auto& c, Tally& t) { time_gemm_t(c, d, Numerics::mixed, z, 0, t); });
  }
  for (const Seen& s : seen) {
    EXPECT_GT(s.narrow, 100);
    EXPECT_GT(s.wide, 100);
  }
}

TEST(Clocks, ReductionsAreTheSameInBothWidths) {
  const Device d = load_device("wse2");
  Rng rng(72);
  Seen trees, rings;
  for (int run = 0; run < 500; run++) {
    const auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
    const int w = 1 + below(5), h = 1 + below(40);
    const uint64_t most = uint64_t{1} << below(33);
    std::vector<int64_t> words;
    for (int x = 0; x < w; x++) words.push_back(below(6) == 0 ? 0 : static_cast<int64_t>(next_below(rng, most)));
    const Forest forest{.runs = {{0, h}}, .trees = {run % 3 == 0 ? kernels::binary_tree(h) : k_tree(h, even_groups(h, 1 + run % 3))}};
    const bool broadcast = below(2) != 0;
    const ReduceWords both{.all = {words}, .cast = {broadcast ? words : std::vector<int64_t>(words.size(), 0)}};
    compare(rng, w, h, trees, [&](auto& c, Tally& t) { time_reduce(c, d, forest, Issue{}, both, run % 2 == 0, t); });
    std::vector<std::vector<int64_t>> held;
    for (int64_t n : words) held.push_back({h * (n / 8)});
    const RingReduce ring{.axis = Axis::y, .parts = {{.buffer = BufferId{0}, .broadcast = broadcast}}, .runs = {{0, h}}};
    compare(rng, w, h, rings, [&](auto& c, Tally& t) { time_ring_reduce(c, d, ring, {Dtype::f16}, {held}, t); });
  }
  for (const Seen& s : {trees, rings}) {
    EXPECT_GT(s.narrow, 100);
    EXPECT_GT(s.wide, 10);
  }
}

// The bounds are bounds, and not far off: within 2 for equal tiles from equal clocks.
TEST(Clocks, BoundsOfProductsHold) {
  const Device d = load_device("wse2");
  Rng rng(73);
  for (int run = 0; run < 200; run++) {
    const auto below = [&](uint64_t n) { return static_cast<int64_t>(next_below(rng, n)); };
    const int w = static_cast<int>(1 + below(9)), h = static_cast<int>(1 + below(9)), L = std::max(w, h);
    const bool equal = run % 2 == 0;
    const auto sizes = [&](int count) {
      std::vector<int64_t> v(static_cast<size_t>(count), 1 + below(3000));
      for (int64_t& n : v) n = equal ? n : below(3000);
      return v;
    };
    const ProductSizes z{.columns = {0, w}, .rows = sizes(L), .k = sizes(L), .n = sizes(L)};
    ProductSizes zt = z;
    zt.k = sizes(w);
    const std::vector<uint64_t> start(static_cast<size_t>(w * h), 0);
    const auto check = [&](Bound bound, const std::vector<uint64_t>& t) {
      const uint64_t latest = *std::max_element(t.begin(), t.end());
      ASSERT_LE(latest, bound.n);
      if (equal) {
        ASSERT_GE(4 * latest, bound.n) << w << "x" << h;
      }
    };
    const ProductSteps p = gemm_setup({w, h}, d, Numerics::fp16, z), q = gemm_t_setup({w, h}, d, Numerics::fp16, zt);
    std::vector<uint64_t> t = start;
    for (int64_t s = 0; s < p.L; s++) {
      const uint64_t latest = *std::max_element(t.begin(), t.end());
      gemm_steps(p, t, s, 1);
      ASSERT_LE(*std::max_element(t.begin(), t.end()), latest + gemm_step_rise(p).step.n);
    }
    check(gemm_rise(p), t);
    EXPECT_LE(gemm_cycles_together(p), gemm_rise(p).n);
    t = start;
    for (int64_t s = 0; s < q.L; s++) {
      const uint64_t latest = *std::max_element(t.begin(), t.end());
      gemm_t_steps(q, t, s, 1);
      ASSERT_LE(*std::max_element(t.begin(), t.end()), latest + gemm_t_step_rise(q).step.n);
    }
    check(gemm_t_rise(q), t);
    const CastSteps c = cast_setup({w, h}, d, Numerics::fp16, z);
    t = start;
    for (int64_t turn = -1; turn < c.L; turn++) cast_turn(c, t, turn);
    check(cast_rise(c), t);
    const std::vector<int64_t> cycles = gather_cycles(c);
    check(gather_rise(c), std::vector<uint64_t>(cycles.begin(), cycles.end()));
  }
}

// ---- whole programs ----------------------------------------------------------------------------------------------------------------

const StepTime& step(const TimeReport& r, const std::string& name) {
  for (const StepTime& s : r.steps)
    if (s.name == name) return s;
  ADD_FAILURE() << "no step " << name;
  return r.steps.front();
}

int64_t largest_part(int64_t n, int64_t count) { return (n + count - 1) / count; }

// y = x W: every core's own product takes k (map + ceil(n / rate)) and clears its sums, at any size; the sums are far below.
TEST(WideClocks, AProductOfAVectorInClosedForm) {
  const Device d = load_device("wse2");
  for (const Extent mesh : {Extent{1, 1}, Extent{2, 2}, Extent{1, 7}, Extent{7, 1}, Extent{3, 5}})
    for (const auto& [k, n] : std::vector<std::pair<int64_t, int64_t>>{
             {1'000'000, 1'000'000}, {999'983, 1'000'003}, {3, 3'000'000'000}, {4'000'000'007, 5}, {70'000'000, 60'000'001}}) {
      const TimeReport r = time_entry(kernels::gemv_program({.k = k, .n = n, .mesh = mesh}, {750, 994}), d, "gemv", {});
      const Wide rows = largest_part(k, mesh.h), columns = largest_part(n, mesh.w);
      const Wide product = stream_issue_cycles(d) + (columns + d.move_32_elements_per_cycle - 1) / d.move_32_elements_per_cycle +
                           rows * (d.map_iteration_cycles + (columns + d.fmac_f16_elements_per_cycle - 1) / d.fmac_f16_elements_per_cycle);
      EXPECT_EQ(Wide{step(r, "gemv.product").cycles}, product) << mesh.w << "x" << mesh.h << ", " << k << " x " << n;
      EXPECT_GE(Wide{r.cycles}, product);
      EXPECT_EQ(step(r, "gemv.product").multiply_adds, k * n + mesh.h * n) << "with the clearing of the sums";
    }
}

// Columns of two elements and of one: their clocks are 2^33 cycles apart.
TEST(WideClocks, CoresFarApart) {
  Device d = load_device("wse2");
  d.fmac_f16_elements_per_cycle = 1;
  const int64_t k = int64_t{1} << 33;
  std::vector<uint64_t> end;
  const TimeOptions watched{.watch = [&](const StepClocks& s) { end = s.end; }};
  const Program p = kernels::gemv_program({.k = k, .n = 3, .mesh = {2, 1}}, {750, 994});
  const TimeReport r = time_entry(p, d, "gemv", {}), w = time_entry(p, d, "gemv", {}, watched);
  ASSERT_EQ(end.size(), 2u);
  EXPECT_EQ(std::max(end[0], end[1]) - std::min(end[0], end[1]), static_cast<uint64_t>(k));
  EXPECT_EQ(r.cycles, stream_issue_cycles(d) + 1 + k * (d.map_iteration_cycles + 2));
  EXPECT_EQ(w.cycles, r.cycles);
}

// On one core a product has no exchange, and its steps' actions: issue and finish, or the product alone.
TEST(WideClocks, AProductOfMatricesOnOneCoreInClosedForm) {
  const Device d = load_device("wse2");
  for (const auto algorithm : {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather})
    for (const auto& [m, k, n] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
             {5, 6, 7}, {20'000, 20'000, 20'000}, {100'003, 99'991, 1'000'003}, {1, 3'000'000'000, 11}}) {
      const Program p = kernels::gemm_program({.m = m, .k = k, .n = n, .mesh = {1, 1}, .algorithm = algorithm}, {750, 994});
      const TileRate rate = tile_rate(d, Numerics::fp16, m);
      const Wide product = Wide{k} * (Wide{rate.per_k} + Wide{n} * rate.per_kn);
      const int64_t cycles = time_entry(p, d, "gemm", {.rows = m}).cycles;
      EXPECT_GE(Wide{cycles}, product) << kernels::name(algorithm);
      EXPECT_LE(Wide{cycles}, product + 1000) << kernels::name(algorithm);
    }
}

// Steps of a prefill of llama3-8b whose cycles are more than 32 bits hold.
TEST(WideClocks, VectorsOfAModelOnOneCore) {
  const Device d = load_device("wse2");
  ModelConfig c = load_shape(WAFER_SOURCE_DIR "/models/llama3-8b.toml");
  c.layers = 1;
  const int64_t tokens = 16384;
  Plan plan{.numerics = Numerics::mixed, .context = tokens, .chunk = tokens, .max_prompt = tokens};
  plan.prefill.regions = plan.decode.regions = {{.rect = {0, 0, 1, 1}, .first_layer = 0, .layers = 1, .head = true}};
  const Lowered l = lower(c, uniform_types(TensorType::f16), plan, {750, 994});
  const TimeReport r = time_entry(l.program(), d, "prefill", {.cached = 0, .rows = tokens, .chunk = tokens});
  const Wide issue = stream_issue_cycles(d), elements = Wide{tokens} * c.ffn, vectors = Wide{tokens} * c.heads;
  EXPECT_EQ(Wide{step(r, "silu").cycles}, 30 * issue + elements * 24);
  EXPECT_EQ(Wide{step(r, "softmax.exp").cycles},
            c.heads / c.kv_heads * (14 * issue) + vectors * (2 * issue + tokens) + vectors * tokens * 11);
  EXPECT_GT(step(r, "silu").cycles, int64_t{1} << 32);
  const Wide up = Wide{c.dim} * (6 * 2 + c.ffn * (d.map_iteration_cycles + tokens / 2));
  EXPECT_NEAR(static_cast<double>(step(r, "up").cycles), static_cast<double>(up), 1000);
  int64_t sum = 0;
  for (const StepTime& s : r.steps) sum += s.cycles;
  EXPECT_EQ(sum, r.cycles);
}

// Regions that wait for each other, of which one gives up in the middle.
TEST(WideClocks, RegionsThatWaitForEachOther) {
  const Device d = load_device("wse2");
  ModelConfig c = load_shape(WAFER_SOURCE_DIR "/models/llama3-8b.toml");
  c.layers = 2;
  const int64_t tokens = 8192;
  Plan plan{.numerics = Numerics::mixed, .context = tokens, .chunk = tokens, .max_prompt = tokens};
  for (int x = 0; x < 3; x++)
    plan.prefill.regions.push_back({.rect = {2 * x, 0, 2, 2}, .first_layer = std::min(x, 2), .layers = x < 2 ? 1 : 0, .head = x == 2});
  plan.decode.regions = plan.prefill.regions;
  const Lowered l = lower(c, uniform_types(TensorType::f16), plan, {750, 994});
  const auto cycles = [&](const TimeOptions& o) {
    return time_entry(l.program(), d, "prefill", {.cached = 0, .rows = tokens, .chunk = tokens}, o).cycles;
  };
  const int64_t both = cycles({});
  EXPECT_EQ(both, cycles({.wide = true}));
  const double adds = 2.0 * static_cast<double>(tokens) * static_cast<double>(c.dim) *
                      static_cast<double>(2 * c.dim + 2 * c.kv_heads * c.head_dim + 3 * c.ffn);
  EXPECT_GT(static_cast<double>(both), adds / (4 * multiply_adds_per_cycle(d, Numerics::mixed)));
}

TEST(WideClocks, BeyondAllMeasureIsBadInput) {
  const Device d = load_device("wse2");
  const int64_t huge = int64_t{1} << 31;
  EXPECT_THROW(time_entry(kernels::gemv_program({.k = 2 * huge, .n = huge, .mesh = {1, 1}}, {750, 994}), d, "gemv", {}), Error);
  for (const auto algorithm : {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather})
    for (const Extent mesh : {Extent{1, 1}, Extent{3, 2}, Extent{1, 5}, Extent{16, 16}})
      for (const int64_t n : {int64_t{1} << 22, huge}) {
        const kernels::GemmShape shape{.m = n, .k = n, .n = n, .mesh = mesh, .algorithm = algorithm};
        EXPECT_THROW(time_entry(kernels::gemm_program(shape, {750, 994}), d, "gemm", {.rows = n}), Error) << mesh.w << " " << n;
      }
}

}  // namespace
}  // namespace wafer::time
