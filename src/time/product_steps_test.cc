// The vectorised clocks of products against plain loops over cores, which follow docs/cost-model.md formula by formula.
#include "time/product_steps.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/isa.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "device/device.h"
#include "kernel_bench/gemm_program.h"
#include "time/time.h"

namespace wafer::time {
namespace {

using Clock = std::vector<uint64_t>;

int64_t at(const std::vector<int64_t>& v, int64_t m) { return v[static_cast<size_t>(m) % v.size()]; }

Clock plain_gemm_step(const ProductSteps& p, const Clock& t, int64_t s) {
  auto a_words = [&](int i, int j) {
    int64_t n = 0;
    for (int64_t l = p.own_rows[static_cast<size_t>(i)].begin; l < p.own_rows[static_cast<size_t>(i)].end; l++)
      n += at(p.rows, l) * at(p.k, l + p.own_cols[static_cast<size_t>(j)].begin + s);
    return p.w > 1 ? p.a.wavelets(n) : 0;
  };
  auto b_words = [&](int i, int j) {
    int64_t n = 0;
    for (int64_t c = p.own_cols[static_cast<size_t>(j)].begin; c < p.own_cols[static_cast<size_t>(j)].end; c++)
      n += at(p.n, c) * at(p.k, p.own_rows[static_cast<size_t>(i)].begin + c + s);
    return p.h > 1 ? p.b.wavelets(n) : 0;
  };
  Clock out(t.size());
  for (int i = 0; i < p.h; i++)
    for (int j = 0; j < p.w; j++) {
      const int below = (i + 1) % p.h, right = (j + 1) % p.w;
      auto start_of = [&](int y, int x) { return static_cast<int64_t>(t[static_cast<size_t>(y * p.w + x)]) + p.issue; };
      int64_t product = 0;
      for (int64_t l = p.own_rows[static_cast<size_t>(i)].begin; l < p.own_rows[static_cast<size_t>(i)].end; l++)
        for (int64_t c = p.own_cols[static_cast<size_t>(j)].begin; c < p.own_cols[static_cast<size_t>(j)].end; c++)
          product += at(p.k, l + c + s) * tile_cycles_per_k(p.rate[static_cast<size_t>(l)], at(p.n, c));
      const int64_t start = start_of(i, j), a_start = start_of(i, right), b_start = start_of(below, j);
      const int64_t a_in = a_start + a_words(i, right) + x_way(p, j);
      const int64_t b_in = b_start + a_words(below, j) + b_words(below, j) + y_way(p, i);
      const int64_t stolen = ((a_words(i, j) + b_words(i, j) + a_words(i, right) + b_words(below, j)) * p.steal) >> kStealShift;
      const int64_t ramp = std::min(a_start, b_start) + ramp_way(p) + a_words(i, right) + b_words(below, j);
      out[static_cast<size_t>(i * p.w + j)] =
          static_cast<uint64_t>(std::max({start + product + stolen, start + a_words(i, j) + b_words(i, j), a_in, b_in, ramp}) + p.finish);
    }
  return out;
}

Clock plain_gemm_t_step(const ProductSteps& p, const Clock& t, int64_t s) {
  Clock out(t.size());
  for (int i = 0; i < p.h; i++) {
    const int below = (i + 1) % p.h;
    const mesh::Range own = p.own_rows[static_cast<size_t>(i)];
    std::vector<int64_t> row(static_cast<size_t>(p.w));  // by physical column
    for (int j = 0; j < p.w; j++) {
      const int64_t dims = p.k[static_cast<size_t>(j)];
      int64_t product = 0;
      for (int64_t l = own.begin; l < own.end; l++) product += dims * tile_cycles_per_k(p.rate[static_cast<size_t>(l)], at(p.n, l + s));
      auto words = [&](int y) { return p.b.wavelets(at(p.n, p.own_rows[static_cast<size_t>(y)].begin + s) * dims); };
      const int64_t start = static_cast<int64_t>(t[static_cast<size_t>(i * p.w + j)]) + p.issue;
      const int64_t in = static_cast<int64_t>(t[static_cast<size_t>(below * p.w + j)]) + p.issue + words(below) + y_way(p, i);
      row[static_cast<size_t>(mesh::ring_to_position(j, p.w))] =
          std::max({start + product + (((words(i) + words(below)) * p.steal) >> kStealShift), start + words(i), in});
    }
    for (int64_t l = own.begin; l < own.end; l++) {
      const int64_t block = (l + s) % p.L, words = std::max<int64_t>(1, p.sum.wavelets(at(p.rows, l) * at(p.n, block)));
      int owner = 0;
      while (p.own_cols[static_cast<size_t>(owner)].end <= block) owner++;
      const int root = mesh::ring_to_position(owner, p.w);
      for (int sense : {1, -1}) {
        const int first = sense > 0 ? 0 : p.w - 1;
        if (first == root) continue;
        int64_t lead = row[static_cast<size_t>(first)] + p.reduce_issue + p.ramp, last = lead + words - 1;
        row[static_cast<size_t>(first)] += p.reduce_issue + words;
        for (int q = first + sense; q != root; q += sense) {
          const int64_t leave = std::max(lead + p.hop + p.ramp, row[static_cast<size_t>(q)] + p.reduce_issue) + 1 + p.ramp + p.forward;
          last = std::max(last + p.hop + 2 * p.ramp + p.forward + 1, leave + words - 1);
          lead = leave;
          row[static_cast<size_t>(q)] = last + 1 - p.ramp;
        }
        int64_t& end = row[static_cast<size_t>(root)];
        end = std::max(last + p.hop + p.ramp, std::max(lead + p.hop + p.ramp, end + p.reduce_issue) + words - 1) + 1;
      }
    }
    for (int j = 0; j < p.w; j++)
      out[static_cast<size_t>(i * p.w + j)] = static_cast<uint64_t>(row[static_cast<size_t>(mesh::ring_to_position(j, p.w))] + p.finish);
  }
  return out;
}

// A random product on a random rectangle: ragged tiles, empty ones, clocks that start far apart.
struct Case {
  Clocks<uint32_t> clocks;
  ProductSizes sizes;
  std::vector<uint32_t> start;
};
Case random_case(Rng& rng, bool transposed) {
  auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
  const int w = 1 + below(12), h = below(2) != 0 ? w : 1 + below(140), L = std::max(w, h);
  Case c{.clocks = {.w = w, .h = h, .t = {}}, .sizes = {}, .start = {}};
  auto parts = [&](int count) {
    const int64_t whole = below(3 * static_cast<uint64_t>(count) + 20);
    std::vector<int64_t> v;
    for (int64_t q = 0; q < count; q++) v.push_back(whole * (q + 1) / count - whole * q / count);
    return v;
  };
  c.sizes = {.columns = {0, w}, .rows = parts(L), .k = parts(transposed ? w : L), .n = parts(L), .heads = 1 + below(3)};
  for (int q = 0; q < w * h; q++) c.start.push_back(static_cast<uint32_t>(below(2000)));
  return c;
}

TEST(ProductSteps, MeshGemmEqualsPlainLoopsOverCores) {
  const Device d = load_device("wse2");
  Rng rng(11);
  for (int run = 0; run < 150; run++) {
    const Case c = random_case(rng, false);
    const ProductSteps p = gemm_setup({c.clocks.w, c.clocks.h}, d, Numerics::mixed, c.sizes);
    std::vector<uint32_t> fast = c.start, scalar = c.start;
    Clock wide(c.start.begin(), c.start.end()), plain = wide;
    const int64_t first = static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(p.L))),
                  steps = 1 + static_cast<int64_t>(next_below(rng, 9));
    gemm_steps(p, fast, first, steps);
    gemm_steps_scalar(p, scalar, first, steps);
    gemm_steps(p, wide, first, steps);
    for (int64_t s = first; s < first + steps; s++) plain = plain_gemm_step(p, plain, s);
    ASSERT_EQ(Clock(fast.begin(), fast.end()), plain) << p.w << "x" << p.h << ", run " << run;
    ASSERT_EQ(scalar, fast);
    ASSERT_EQ(wide, plain);
  }
}

TEST(ProductSteps, GemmTEqualsPlainLoopsOverCores) {
  const Device d = load_device("wse2");
  Rng rng(12);
  for (int run = 0; run < 150; run++) {
    const Case c = random_case(rng, true);
    const ProductSteps p = gemm_t_setup({c.clocks.w, c.clocks.h}, d, Numerics::fp16, c.sizes);
    std::vector<uint32_t> fast = c.start, scalar = c.start;
    Clock wide(c.start.begin(), c.start.end()), plain = wide;
    const int64_t first = static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(p.L))),
                  steps = 1 + static_cast<int64_t>(next_below(rng, 9));
    gemm_t_steps(p, fast, first, steps);
    gemm_t_steps_scalar(p, scalar, first, steps);
    gemm_t_steps(p, wide, first, steps);
    for (int64_t s = first; s < first + steps; s++) plain = plain_gemm_t_step(p, plain, s);
    ASSERT_EQ(Clock(fast.begin(), fast.end()), plain) << p.w << "x" << p.h << ", run " << run;
    ASSERT_EQ(scalar, fast);
    ASSERT_EQ(wide, plain);
  }
}

// Clocks of 16 bits, for as many steps as they do: with every instruction set the same as of 32 and 64 bits, from starts so far apart that
// few steps or none fit, and past the end of 16 bits many times.
TEST(ProductSteps, ManyStepsEqualPlainLoopsOverCores) {
  const Isa before = current_isa();
  Rng rng(14);
  int64_t latest = 0;
  for (int run = 0; run < 60; run++) {
    const Device d = load_device(run % 2 == 0 ? "wse2" : "wse3");
    const bool transposed = run % 4 >= 2;
    Case c = random_case(rng, transposed);
    for (std::vector<int64_t>* sizes : {&c.sizes.rows, &c.sizes.k, &c.sizes.n})
      for (int64_t& n : *sizes) n *= 1 + run % 3;
    const uint32_t apart = run % 5 == 0 ? 70000 : run % 5 == 1 ? 62000 : 3000;
    for (uint32_t& t : c.start) t = 5'000'000 + static_cast<uint32_t>(next_below(rng, apart));
    const ProductSteps p = transposed ? gemm_t_setup({c.clocks.w, c.clocks.h}, d, Numerics::fp16, c.sizes)
                                      : gemm_setup({c.clocks.w, c.clocks.h}, d, Numerics::mixed, c.sizes);
    Clock plain(c.start.begin(), c.start.end());
    const int64_t steps = 60 + static_cast<int64_t>(next_below(rng, 60));
    for (int64_t s = 3; s < 3 + steps; s++) plain = transposed ? plain_gemm_t_step(p, plain, s) : plain_gemm_step(p, plain, s);
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
      if (!isa_available(isa)) continue;
      force_isa(isa);
      std::vector<uint32_t> t = c.start;
      Clock wide(c.start.begin(), c.start.end());
      (transposed ? gemm_t_steps<uint32_t> : gemm_steps<uint32_t>)(p, t, 3, steps);
      (transposed ? gemm_t_steps<uint64_t> : gemm_steps<uint64_t>)(p, wide, 3, steps);
      ASSERT_EQ(Clock(t.begin(), t.end()), plain) << p.w << "x" << p.h << ", run " << run << ", " << isa_name(isa);
      ASSERT_EQ(wide, plain);
    }
    latest = std::max(latest, static_cast<int64_t>(*std::max_element(plain.begin(), plain.end()) - 5'000'000));
  }
  force_isa(before);
  EXPECT_GT(latest, 3 * 65536);
}

TEST(ProductSteps, OneThreadGivesTheSameClocks) {
  const Device d = load_device("wse2");
  Rng rng(13);
  const Case c = random_case(rng, false);
  const ProductSteps p = gemm_setup({c.clocks.w, c.clocks.h}, d, Numerics::mixed, c.sizes);
  std::vector<uint32_t> all = c.start, one = c.start;
  gemm_steps(p, all, 0, p.L);
  set_thread_count(1);
  gemm_steps(p, one, 0, p.L);
  set_thread_count(0);
  EXPECT_EQ(all, one);
}

// Cores of 9x9 that do nothing but exchange tiles of `words` wavelets with both neighbours, `steps` steps from step `first` on.
// both_ramps: cycles of a ramp out and a ramp in together, else the device's.
void exchange(std::vector<uint32_t>& t, const Device& d, uint32_t words, std::optional<int64_t> both_ramps, int64_t first, int64_t steps) {
  const std::vector<int64_t> one(9, 1), k(9, 2 * static_cast<int64_t>(words));
  ProductSteps p = gemm_setup({9, 9}, d, Numerics::fp16, {.columns = {0, 9}, .rows = one, .k = k, .n = one});
  for (TileRate& rate : p.rate) rate = {};
  p.latency = both_ramps.value_or(p.latency);
  gemm_steps(p, t, first, steps);
}

// The hand count of the wavelet simulator's prototype, where the two ramps of a way take one cycle together: w of A leave over the ramp,
// then w of B; the first is two hops and a cycle later at the other core, and its ramp takes one in each cycle: ready at 2 w + 3, no cycle
// before. At the two ends of a ring the neighbour is one hop away, which saves that cycle where the line of B has such an end.
TEST(ProductSteps, ATwoHopExchangeOfBothAxesTakesTwiceTheWordsAndThree) {
  Device d = load_device("wse2");
  d.stream_op_overhead_cycles = d.descriptor_load_cycles = d.descriptor_edit_cycles = d.task_activation_cycles = d.exchange_step_cycles = 0;
  for (uint32_t words : {1, 2, 18, 40}) {
    std::vector<uint32_t> t(81, 0);
    exchange(t, d, words, 1, 0, 1);
    for (size_t i = 0; i < 9; i++) {
      const auto at = [&](size_t c) { return mesh::ring_to_position(static_cast<int>(c % 9), 9); };
      const uint32_t hops = static_cast<uint32_t>(std::abs(at(i + 1) - at(i)));
      for (size_t j = 0; j < 9; j++) EXPECT_EQ(t[9 * i + j], 2 * words + 1 + hops) << i << "," << j;
    }
    EXPECT_EQ(*std::max_element(t.begin(), t.end()), 2 * words + 3);
  }
}

// The same with the two cycles for each ramp that the measured chain says, and with others.
TEST(ProductSteps, AnExchangeOfBothAxesIsBoundByTheRamp) {
  Device d = load_device("wse2");
  d.stream_op_overhead_cycles = d.descriptor_load_cycles = d.descriptor_edit_cycles = d.task_activation_cycles = d.exchange_step_cycles = 0;
  for (int64_t ramp : {1, 2, 7})
    for (uint32_t words : {3, 18, 40}) {
      d.ramp_cycles = ramp;
      std::vector<uint32_t> t(81, 0);
      exchange(t, d, words, {}, 0, 1);
      EXPECT_EQ(*std::max_element(t.begin(), t.end()), 2 * words + 2 + 2 * static_cast<uint32_t>(ramp));
      // Nine steps go once round both rings, over 2 * 9 - 2 links: the two ends of a ring are one hop from their neighbours.
      exchange(t, d, words, {}, 1, 8);
      EXPECT_EQ(*std::max_element(t.begin(), t.end()), 9 * (2 * words + 2 * static_cast<uint32_t>(ramp)) + 16);
    }
}

// On 2x2 cores all is alike on all of them, so a step can be counted out: issue, then product and exchange, then the tasks.
TEST(ProductSteps, AProductWithAndWithoutOverlap) {
  const Device d = load_device("wse2");
  ProductSizes z{.columns = {0, 2}, .rows = {4, 4}, .k = {6, 6}, .n = {2, 2}, .sum = mesh::Dtype::f16};
  const auto cycles = [&] {
    Clocks<uint32_t> c{.w = 2, .h = 2, .t = std::vector<uint32_t>(4, 0)};
    Tally tally;
    time_gemm(c, d, Numerics::fp16, z, 0, tally);
    EXPECT_EQ(tally.wavelets, 4 * 2 * (12 + 6)) << "4x6 fp16 of A and 6x2 of B, from 4 cores in 2 steps";
    EXPECT_EQ(tally.wavelets, tally.received);
    for (uint32_t t : c.t) EXPECT_EQ(t, c.t.front());
    return c.t.front();
  };
  const uint32_t issue = 4 * (6 + 2 + 2), tasks = 4 * 10 + static_cast<uint32_t>(d.exchange_step_cycles);
  const uint32_t product = 6 * (3 * 2 + 3 * 2 + 2 * (2 + 4 / 2));  // k (3 edits, 3 loads, n (map turn and 4 rows at 2 a cycle))
  const uint32_t stolen = (12 + 6 + 12 + 6) / 2;                   // half a cycle for each wavelet out and in
  const uint32_t exchange = 2 * 2 + 1 + 12 + 6;                    // two ramps, one hop, A and B over the ramp
  z.overlap = true;
  EXPECT_EQ(cycles(), 2 * (issue + product + stolen + tasks));
  z.overlap = false;
  EXPECT_EQ(cycles(), 2 * (product + issue + exchange + tasks));
  // Where the exchange is the longer of the two, it alone counts.
  z.rows = {2, 2};
  z.k = {2, 2};
  z.n = {1, 1};
  const auto time = [&] {
    Clocks<uint32_t> c{.w = 2, .h = 2, .t = std::vector<uint32_t>(4, 0)};
    Device light = d;
    light.descriptor_edit_cycles = light.descriptor_load_cycles = light.map_iteration_cycles = 0;
    light.ramp_cycles = 50;
    Tally tally;
    time_gemm(c, light, Numerics::fp16, z, 0, tally);
    return c.t.front();
  };
  z.overlap = true;
  EXPECT_EQ(time(), 2u * (4 * 6 + 2 * 50 + 1 + 2 + 1 + tasks)) << "2x2 of A, 2x1 of B";
  z.overlap = false;
  EXPECT_EQ(time(), 2u * (2 * 1 + 4 * 6 + 2 * 50 + 1 + 2 + 1 + tasks)) << "two multiply-adds of two rows more";
}

// A program says by its overlap group whether they overlap.
TEST(ProductSteps, AProgramSaysWhatOverlaps) {
  const Device d = load_device("wse2");
  Rng rng(14);
  for (int run = 0; run < 20; run++) {
    const auto size = [&](uint64_t most) { return 1 + static_cast<int64_t>(next_below(rng, most)); };
    kernels::GemmShape shape{.m = size(90), .k = size(90), .n = size(90), .mesh = {static_cast<int>(size(9)), static_cast<int>(size(9))}};
    const mesh::Program together = kernels::gemm_program(shape, {750, 994});
    shape.overlap = false;
    const mesh::Program apart = kernels::gemm_program(shape, {750, 994});
    const TimeReport a = time_entry(together, d, "gemm", {.rows = shape.m}), b = time_entry(apart, d, "gemm", {.rows = shape.m});
    EXPECT_EQ(a.wavelets_sent, b.wavelets_sent);
    EXPECT_EQ(a.steps.front().multiply_adds, b.steps.front().multiply_adds);
    Device free = d;  // where wavelets take nothing from a product, overlap is never slower
    free.background_wavelet_cycles = 0;
    EXPECT_LE(time_entry(together, free, "gemm", {.rows = shape.m}).cycles, time_entry(apart, free, "gemm", {.rows = shape.m}).cycles);
  }
}

// Equal tiles: time_gemm stops where the steps repeat, on any rectangle and from any clocks.
TEST(ProductSteps, StepsThatRepeatAreAllThere) {
  const Device d = load_device("wse2");
  Rng rng(23);
  for (int run = 0; run < 24; run++) {
    const auto draw = [&](uint64_t most) { return static_cast<int64_t>(next_below(rng, most)); };
    const int w = static_cast<int>(1 + draw(70)), h = static_cast<int>(1 + draw(70)), L = std::max(w, h);
    const auto equal = [&] { return std::vector<int64_t>(static_cast<size_t>(L), draw(8)); };
    const ProductSizes z{.columns = {0, w}, .rows = equal(), .k = equal(), .n = equal(), .sum = mesh::Dtype::f16};
    Clocks<uint32_t> c{.w = w, .h = h, .t = {}};
    const uint64_t skew = run % 3 == 0 ? 1 : 3000;
    for (int q = 0; q < w * h; q++) c.t.push_back(static_cast<uint32_t>(draw(skew)));
    const ProductSteps p = gemm_setup({c.w, c.h}, d, Numerics::fp16, z);
    Clock t;
    for (int i = 0; i < h; i++)
      for (int j = 0; j < w; j++) t.push_back(c.t[static_cast<size_t>(mesh::ring_to_position(i, h) * w + mesh::ring_to_position(j, w))]);
    for (int64_t step = 0; step < L; step++) t = plain_gemm_step(p, t, step);
    Tally tally;
    time_gemm(c, d, Numerics::fp16, z, 0, tally);
    for (int i = 0; i < h; i++)
      for (int j = 0; j < w; j++)
        ASSERT_EQ(c.base + c.t[static_cast<size_t>(mesh::ring_to_position(i, h) * w + mesh::ring_to_position(j, w))],
                  t[static_cast<size_t>(i * w + j)])
            << w << "x" << h << ", core " << j << ", " << i;
  }
}

}  // namespace
}  // namespace wafer::time
