// The vectorised clocks of products against plain loops over cores, which follow docs/cost-model.md formula by formula.
#include "sim/product_steps.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "base/rng.h"
#include "device/device.h"

namespace wafer::sim {
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
      const int64_t a_in = a_start + a_words(i, right) + p.latency + at(p.x_hops, j);
      const int64_t b_in = b_start + a_words(below, j) + b_words(below, j) + p.latency + at(p.y_hops, i);
      const int64_t stolen = ((a_words(i, j) + b_words(i, j) + a_words(i, right) + b_words(below, j)) * p.steal) >> kStealShift;
      const int64_t ramp = std::min(a_start, b_start) + p.latency + 1 + a_words(i, right) + b_words(below, j);
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
    int64_t sum = 0;
    for (int64_t l = own.begin; l < own.end; l++) sum += at(p.rows, l) * at(p.n, l + s);
    for (int j = 0; j < p.w; j++) {
      const int64_t dims = p.k[static_cast<size_t>(j)];
      int64_t product = 0;
      for (int64_t l = own.begin; l < own.end; l++) product += dims * tile_cycles_per_k(p.rate[static_cast<size_t>(l)], at(p.n, l + s));
      auto words = [&](int y) { return p.b.wavelets(at(p.n, p.own_rows[static_cast<size_t>(y)].begin + s) * dims); };
      const int64_t start = static_cast<int64_t>(t[static_cast<size_t>(i * p.w + j)]) + p.issue;
      const int64_t in =
          static_cast<int64_t>(t[static_cast<size_t>(below * p.w + j)]) + p.issue + words(below) + p.latency + at(p.y_hops, i);
      row[static_cast<size_t>(mesh::ring_to_position(j, p.w))] =
          std::max({start + product + (((words(i) + words(below)) * p.steal) >> kStealShift), start + words(i), in});
    }
    const int64_t block = (own.begin + s) % p.L, words = std::max<int64_t>(1, p.sum.wavelets(sum));
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
    for (int j = 0; j < p.w; j++)
      out[static_cast<size_t>(i * p.w + j)] = static_cast<uint64_t>(row[static_cast<size_t>(mesh::ring_to_position(j, p.w))] + p.finish);
  }
  return out;
}

// A random product on a random rectangle: ragged tiles, empty ones, clocks that start far apart.
struct Case {
  Clocks clocks;
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
    const ProductSteps p = gemm_setup(c.clocks, d, Numerics::mixed, c.sizes);
    std::vector<uint32_t> fast = c.start, scalar = c.start;
    Clock wide(c.start.begin(), c.start.end()), plain = wide;
    const int64_t first = static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(p.L))),
                  steps = 1 + static_cast<int64_t>(next_below(rng, 9));
    gemm_steps(p, fast, first, steps);
    gemm_steps_scalar(p, scalar, first, steps);
    gemm_steps_64(p, wide, first, steps);
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
    const ProductSteps p = gemm_t_setup(c.clocks, d, Numerics::fp16, c.sizes);
    std::vector<uint32_t> fast = c.start, scalar = c.start;
    Clock wide(c.start.begin(), c.start.end()), plain = wide;
    const int64_t first = static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(p.L))),
                  steps = 1 + static_cast<int64_t>(next_below(rng, 9));
    gemm_t_steps(p, fast, first, steps);
    gemm_t_steps_scalar(p, scalar, first, steps);
    gemm_t_steps_64(p, wide, first, steps);
    for (int64_t s = first; s < first + steps; s++) plain = plain_gemm_t_step(p, plain, s);
    ASSERT_EQ(Clock(fast.begin(), fast.end()), plain) << p.w << "x" << p.h << ", run " << run;
    ASSERT_EQ(scalar, fast);
    ASSERT_EQ(wide, plain);
  }
}

TEST(ProductSteps, OneThreadGivesTheSameClocks) {
  const Device d = load_device("wse2");
  Rng rng(13);
  const Case c = random_case(rng, false);
  const ProductSteps p = gemm_setup(c.clocks, d, Numerics::mixed, c.sizes);
  std::vector<uint32_t> all = c.start, one = c.start;
  gemm_steps(p, all, 0, p.L);
  set_thread_count(1);
  gemm_steps(p, one, 0, p.L);
  set_thread_count(0);
  EXPECT_EQ(all, one);
}

// Nothing but the exchange of both axes: 2 w wavelets leave over one ramp and come in over one, two ramps and two hops later. (With one
// cycle for both ramps together, as in a prototype of the fabric, that would be 2 w + 3; the measured chain says two cycles a ramp.)
TEST(ProductSteps, AnExchangeOfBothAxesIsBoundByTheRamp) {
  Device d = load_device("wse2");
  d.stream_op_overhead_cycles = d.descriptor_load_cycles = d.descriptor_edit_cycles = d.task_activation_cycles = d.exchange_step_cycles = 0;
  for (int64_t ramp : {1, 2, 7})
    for (uint32_t words : {3, 18, 40}) {
      d.ramp_cycles = ramp;
      const std::vector<int64_t> one(9, 1), k(9, 2 * words);
      ProductSteps p = gemm_setup({.w = 9, .h = 9, .t = {}}, d, Numerics::fp16, {.columns = {0, 9}, .rows = one, .k = k, .n = one});
      for (TileRate& rate : p.rate) rate = {};
      std::vector<uint32_t> t(81, 0);
      gemm_steps(p, t, 0, 1);
      EXPECT_EQ(*std::max_element(t.begin(), t.end()), 2 * words + 2 + 2 * static_cast<uint32_t>(ramp));
      // Nine steps go once round both rings, over 2 * 9 - 2 links: the two ends of a ring are one hop from their neighbours.
      gemm_steps(p, t, 1, 8);
      EXPECT_EQ(*std::max_element(t.begin(), t.end()), 9 * (2 * words + 2 * static_cast<uint32_t>(ramp)) + 16);
    }
}

}  // namespace
}  // namespace wafer::sim
