// Steps that start together, and tiles that are multicast, against plain loops over cores and against what can be counted by hand.
#include "time/cast_steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/rng.h"
#include "kernel_bench/gemm_program.h"
#include "time/time.h"

namespace wafer::time {
namespace {

using kernels::GemmAlgorithm;
using kernels::GemmShape;
using Clock = std::vector<int64_t>;

int64_t at(const std::vector<int64_t>& v, int i) { return v[static_cast<size_t>(i)]; }

// One turn of SUMMA, core by core.
Clock plain_turn(const CastSteps& p, const Clock& t, int64_t turn) {
  Clock out(t.size());
  const bool casts = turn + 1 < p.L;
  const int block = static_cast<int>(turn) + 1, root_x = casts ? p.column_of[static_cast<size_t>(block)] : -1,
            root_y = casts ? p.row_of[static_cast<size_t>(block)] : -1;
  auto clock = [&](int y, int x) { return t[static_cast<size_t>(y * p.w + x)] + (casts ? p.issue : 0); };
  auto a_words = [&](int y) { return casts ? p.a.wavelets(at(p.rows, y) * at(p.k, block)) : 0; };
  auto b_words = [&](int x) { return casts ? p.b.wavelets(at(p.n, x) * at(p.k, block)) : 0; };
  for (int y = 0; y < p.h; y++)
    for (int x = 0; x < p.w; x++) {
      int64_t product = 0;
      if (turn >= 0) product = at(p.k, static_cast<int>(turn)) * tile_cycles_per_k(p.rate[static_cast<size_t>(y)], at(p.n, x));
      const int64_t a = a_words(y), b = b_words(x), start = clock(y, x);
      int64_t end = start + product + (((a + b) * p.steal) >> kStealShift), sent = 0;
      if (casts) {
        const int64_t a_lead = clock(y, root_x) + p.latency + std::abs(x - root_x) * p.hop;
        const int64_t b_lead = clock(root_y, x) + (x == root_x ? a_words(root_y) : 0) + p.latency + std::abs(y - root_y) * p.hop;
        if (x == root_x) sent += a;
        if (y == root_y) sent += b;
        if (x != root_x) end = std::max(end, a_lead + a);
        if (y != root_y) end = std::max(end, b_lead + b);
        if (x != root_x && y != root_y) end = std::max(end, std::min(a_lead, b_lead) + a + b);
      }
      out[static_cast<size_t>(y * p.w + x)] = std::max(end, start + sent) + (casts ? p.finish : 0) + (turn < 0 ? 0 : p.turn);
    }
  return out;
}

struct Case {
  Clocks<uint32_t> clocks;
  ProductSizes sizes;
};
Case random_case(Rng& rng) {
  auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
  const int w = 1 + below(12), h = below(2) != 0 ? w : 1 + below(30), L = std::max(w, h);
  auto parts = [&] {
    const int64_t whole = below(3 * static_cast<uint64_t>(L) + 20);
    std::vector<int64_t> v;
    for (int64_t q = 0; q < L; q++) v.push_back(whole * (q + 1) / L - whole * q / L);
    return v;
  };
  Case c{.clocks = {.w = w, .h = h, .t = {}}, .sizes = {.columns = {0, w}, .rows = parts(), .k = parts(), .n = parts()}};
  c.sizes.order = mesh::LineOrder::natural;
  c.clocks.t.assign(static_cast<size_t>(w * h), 0);
  return c;
}

TEST(CastSteps, TurnsEqualPlainLoopsOverCores) {
  const Device d = load_device("wse2");
  Rng rng(41);
  for (int run = 0; run < 150; run++) {
    const Case c = random_case(rng);
    const CastSteps p = cast_setup({c.clocks.w, c.clocks.h}, d, Numerics::mixed, c.sizes);
    Clock plain;
    for (size_t q = 0; q < c.clocks.t.size(); q++) plain.push_back(static_cast<int64_t>(next_below(rng, 2000)));
    std::vector<uint32_t> narrow(plain.begin(), plain.end());
    std::vector<uint64_t> wide(plain.begin(), plain.end());
    for (int64_t turn = -1; turn < p.L; turn++) {
      plain = plain_turn(p, plain, turn);
      cast_turn(p, narrow, turn);
      cast_turn(p, wide, turn);
      ASSERT_EQ(Clock(narrow.begin(), narrow.end()), plain) << p.w << "x" << p.h << ", run " << run << ", turn " << turn;
      ASSERT_EQ(Clock(wide.begin(), wide.end()), plain);
    }
  }
}

TEST(CastSteps, TogetherOnlyTheSlowestCoreOfATurnCounts) {
  const Device d = load_device("wse2");
  Rng rng(42);
  for (int run = 0; run < 150; run++) {
    const Case c = random_case(rng);
    const CastSteps p = cast_setup({c.clocks.w, c.clocks.h}, d, Numerics::fp16, c.sizes);
    int64_t now = 0;
    for (int64_t turn = p.w * p.h > 1 ? -1 : 0; turn < p.L; turn++) {
      const Clock end = plain_turn(p, Clock(c.clocks.t.size(), now), turn);
      now = *std::max_element(end.begin(), end.end());
    }
    ASSERT_EQ(cast_cycles_together(p), static_cast<uint64_t>(now)) << p.w << "x" << p.h << ", run " << run;
  }
}

TEST(ProductTogether, OnlyTheSlowestCoreOfAStepCounts) {
  const Device d = load_device("wse2");
  Rng rng(43);
  for (int run = 0; run < 150; run++) {
    Case c = random_case(rng);
    c.sizes.order = next_below(rng, 2) != 0 ? mesh::LineOrder::natural : mesh::LineOrder::interleaved;
    const ProductSteps p = gemm_setup({c.clocks.w, c.clocks.h}, d, Numerics::mixed, c.sizes);
    uint64_t now = 0;
    for (int64_t s = 0; s < p.L; s++) {
      std::vector<uint64_t> t(c.clocks.t.size(), now);
      gemm_steps(p, t, s, 1);
      now = *std::max_element(t.begin(), t.end());
    }
    ASSERT_EQ(gemm_cycles_together(p), now) << p.w << "x" << p.h << ", run " << run;
  }
}

// A device whose actions cost nothing but the fabric: what is left can be counted.
Device fabric_only() {
  Device d = load_device("wse2");
  d.stream_op_overhead_cycles = d.descriptor_load_cycles = d.descriptor_edit_cycles = d.task_activation_cycles = d.exchange_step_cycles = 0;
  d.background_wavelet_cycles = 0;
  d.map_iteration_cycles = 0;
  d.fmac_f16_elements_per_cycle = 1 << 20;
  d.sram_read_bytes_per_cycle = 1 << 23;
  return d;
}

int64_t cycles(const GemmShape& s, const Device& d, StepStart start = StepStart::as_written) {
  return time_entry(kernels::gemm_program(s, {750, 994}), d, "gemm", {.rows = s.m}, {.step_start = start}).cycles;
}

TEST(GemmTimes, CountedByHand) {
  const Device d = fabric_only();
  // Tiles of 6 x 4 and 4 x 1 fp16: 12 wavelets of A, 2 of B; a product takes a cycle for each k, 4.
  GemmShape s{.m = 30, .k = 20, .n = 5, .mesh = {5, 5}};
  // Cannon, two ramps of two cycles and four hops from end to end. The row that goes farthest to align, twice: 12 + 4 + 1 from a neighbour,
  // 3 more for the last core, then on from there. A step: B arrives behind A.
  s.algorithm = GemmAlgorithm::cannon;
  EXPECT_EQ(cycles(s, d), (20 + 17) + 5 * (12 + 2 + 4 + 4));
  // MeshGEMM: at most two hops.
  s.algorithm = GemmAlgorithm::meshgemm;
  EXPECT_EQ(cycles(s, d, StepStart::together), 2 * (12 + 4 + 2) + 5 * (12 + 2 + 4 + 2));

  // Five cores in a row, the same tiles of A.
  s = {.m = 6, .k = 20, .n = 5, .mesh = {5, 1}, .algorithm = GemmAlgorithm::summa};
  // Block b comes from core b, whose farthest core is max(b, 4 - b) away; then the last block is multiplied, 4 k of one column.
  EXPECT_EQ(cycles(s, d), (4 + 3 + 2 + 3 + 4) + 5 * (4 + 12) + 4);
  // Allgather: four tiles come in over one ramp, the first from the neighbour; then all products.
  s.algorithm = GemmAlgorithm::allgather;
  EXPECT_EQ(cycles(s, d), 4 + 1 + 4 * 12 + 5 * 4);
}

// The long way of Cannon's ring, where cores do not wait for each other: once from the left and once from the right, not once a step.
TEST(GemmTimes, ALongWayIsHiddenWhereCoresGoOnByThemselves) {
  const Device d = load_device("wse2");
  for (int side : {9, 30, 61}) {
    GemmShape s{.m = 5 * side, .k = 4 * side, .n = 3 * side, .mesh = {side, side}};
    const int64_t near = cycles(s, d, StepStart::apart);
    s.algorithm = GemmAlgorithm::cannon;
    const int64_t far = cycles(s, d, StepStart::apart);
    EXPECT_GE(far, near);
    EXPECT_LE(far, near + 2 * side);
  }
}

TEST(GemmTimes, OneCoreHasNothingToSend) {
  const Device d = load_device("wse2");
  const int64_t product = 8 * (12 + 8 * (d.map_iteration_cycles + 4));
  GemmShape s{.m = 8, .k = 8, .n = 8, .mesh = {1, 1}, .algorithm = GemmAlgorithm::allgather};
  EXPECT_EQ(cycles(s, d), product);
  s.algorithm = GemmAlgorithm::summa;
  EXPECT_EQ(cycles(s, d), product + 2 * d.task_activation_cycles + d.exchange_step_cycles);
  s.algorithm = GemmAlgorithm::meshgemm;
  EXPECT_EQ(cycles(s, d), product + 2 * d.task_activation_cycles + d.exchange_step_cycles);
}

TEST(GemmTimes, StepsTogetherAreNeverFaster) {
  const Device d = load_device("wse2");
  Rng rng(44);
  auto below = [&](uint64_t n) { return 1 + static_cast<int>(next_below(rng, n)); };
  for (int run = 0; run < 40; run++) {
    GemmShape s{.m = below(60), .k = below(60), .n = below(60), .mesh = {below(14), below(14)}};
    for (const GemmAlgorithm a : {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather}) {
      s.algorithm = a;
      EXPECT_LE(cycles(s, d, StepStart::apart), cycles(s, d, StepStart::together)) << kernels::name(a) << run;
    }
  }
}

// Issue 4's figure 9: what the paper says of 2K on 720 x 720 cores, 2 to 3 times.
TEST(GemmTimes, MeshGemmIsFasterThanCannonAndSumma) {
  const Device d = load_device("wse2");
  GemmShape s{.m = 2048, .k = 2048, .n = 2048, .mesh = {720, 720}};
  const double mesh_gemm = static_cast<double>(cycles(s, d));
  s.algorithm = GemmAlgorithm::cannon;
  const double cannon = static_cast<double>(cycles(s, d)) / mesh_gemm;
  s.algorithm = GemmAlgorithm::summa;
  const double summa = static_cast<double>(cycles(s, d)) / mesh_gemm;
  EXPECT_GT(cannon, 1.8);
  EXPECT_LT(cannon, 3.5);
  EXPECT_GT(summa, 2.0);
  EXPECT_LT(summa, 5.0);
  s = {.m = 2048, .k = 2048, .n = 2048, .mesh = {360, 360}};
  EXPECT_LE(mesh_gemm, 1.5 * static_cast<double>(cycles(s, d)));
}

}  // namespace
}  // namespace wafer::time
