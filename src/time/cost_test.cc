// Costs of local steps in closed form, at any size: nothing wraps, what 63 bits do not hold is refused; and how SRAM slows vectors down.
#include "time/cost.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"

namespace wafer::time {
namespace {

using mesh::LocalOp;
__extension__ using Wide = __int128;

Wide up(Wide a, Wide b) { return (a + b - 1) / b; }

// The vector functions as docs/cost-model.md states them, but for the issue of each operation.
Wide exp2_cycles(const Device& d, Wide n) {
  return 3 * up(n, d.fmac_f32_elements_per_cycle) + 5 * up(n, d.add_f32_elements_per_cycle) + 3 * up(n, d.mul_f32_elements_per_cycle) +
         up(n, d.max_f32_elements_per_cycle) + up(n, d.scale_f32_elements_per_cycle);
}
Wide reciprocal_cycles(const Device& d, Wide n) {
  return 3 * up(n, d.add_f32_elements_per_cycle) + 6 * up(n, d.mul_f32_elements_per_cycle) + up(n, d.integer_16_elements_per_cycle) +
         up(n, d.move_16_elements_per_cycle);
}
Wide silu_cycles(const Device& d, Wide n) {
  return 6 * up(n, d.fmac_f32_elements_per_cycle) + 8 * up(n, d.add_f32_elements_per_cycle) + 10 * up(n, d.mul_f32_elements_per_cycle) +
         2 * up(n, d.max_f32_elements_per_cycle) + up(n, d.scale_f32_elements_per_cycle) + up(n, d.integer_16_elements_per_cycle) +
         up(n, d.move_16_elements_per_cycle);
}

// docs/cost-model.md, with SIMD widths alone: on the devices here SRAM limits nothing.
Wide closed(const Device& d, LocalOp op, const LocalSize& s) {
  const Wide i = stream_issue_cycles(d), map = d.map_iteration_cycles, fmac = d.fmac_mixed_elements_per_cycle,
             mul = d.mul_f32_elements_per_cycle, add = d.add_f32_elements_per_cycle, max = d.max_f32_elements_per_cycle, rows = s.rows,
             heads = s.heads, keys = s.keys, dims = s.dims, elements = s.elements;
  switch (op) {
    case LocalOp::mat_vec: return i + up(s.n, d.move_32_elements_per_cycle) + Wide{s.k} * (map + up(s.n, fmac));
    case LocalOp::row_dots: return heads * dims * (map + up(keys, fmac));
    case LocalOp::weigh_rows: return heads * keys * (map + up(dims, fmac));
    case LocalOp::row_max: return rows * heads * (i + up(keys, max));
    case LocalOp::exp_sum:
      return 14 * i + up(rows * heads * keys, mul) + exp2_cycles(d, rows * heads * keys) + rows * heads * 2 * (i + up(keys, add));
    case LocalOp::divide: return 11 * i + reciprocal_cycles(d, rows * heads) + rows * heads * (i + up(dims, mul));
    case LocalOp::gate_mul: return 30 * i + silu_cycles(d, elements) + up(elements, mul);
    case LocalOp::add: return i + up(elements, add);
    case LocalOp::local_best: return i + up(elements, max);
    case LocalOp::square_sum: return rows * (i + up(up(elements, rows), d.fmac_f32_elements_per_cycle));
    default: return -1;
  }
}

TEST(Cost, LocalStepsOfAnySizeInClosedForm) {
  const Device d = load_device("wse2");
  Rng rng(61);
  int refused = 0, large = 0;
  for (int run = 0; run < 2000; run++) {
    const uint64_t most = uint64_t{1} << (2 + run % 30);
    auto size = [&] { return 1 + static_cast<int64_t>(next_below(rng, most)); };
    const LocalSize s{.rows = size(),
                      .elements = size() * size(),
                      .k = size(),
                      .n = size(),
                      .heads = 1 + static_cast<int64_t>(next_below(rng, 64)),
                      .keys = size(),
                      .dims = size()};
    for (const LocalOp op : {LocalOp::mat_vec, LocalOp::row_dots, LocalOp::weigh_rows, LocalOp::row_max, LocalOp::exp_sum, LocalOp::divide,
                             LocalOp::gate_mul, LocalOp::add, LocalOp::local_best, LocalOp::square_sum}) {
      const Wide expected = closed(d, op, s);
      try {
        const int64_t cycles = local_cost(d, Numerics::mixed, op, s).cycles;
        ASSERT_EQ(Wide{cycles}, expected) << static_cast<int>(op) << ", run " << run;
        large += cycles > int64_t{1} << 32 ? 1 : 0;
      } catch (const Error&) {
        // What is refused is near 2^63 itself, or one of its counts is: none is more than its cycles.
        ASSERT_GT(expected, Wide{1} << 61) << static_cast<int>(op);
        refused++;
      }
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_GT(large, 1000);
}

TEST(Cost, SumsAndCountsBeyond63BitsAreRefused) {
  const Device d = load_device("wse2");
  const int64_t huge = int64_t{1} << 62;
  EXPECT_THROW(wavelets(d, mesh::Dtype::f32, huge), Error);
  const Actions a{.stream_ops = huge}, b{.scalar_calls = huge};
  EXPECT_EQ((a + b).stream_ops, huge);
  EXPECT_THROW(a + a, Error);
  EXPECT_THROW(2 * b, Error);
  mesh::Work work;
  work.vectors = {{.count = huge, .elements = 4}};
  EXPECT_THROW(work_cost(d, work), Error);
  work = {};
  work.tasks = huge;
  EXPECT_THROW(work_cost(d, work), Error);
}

TEST(Cost, TheSlowerOfSimdAndSramSetsTheRate) {
  Device d = load_device("wse2");
  const VectorRate two_f32{.simd = 2, .bytes = 8};
  d.sram_read_bytes_per_cycle = 16;
  EXPECT_EQ(vector_cycles(d, two_f32, 101), 51);
  d.sram_read_bytes_per_cycle = 8;  // one element a cycle
  EXPECT_EQ(vector_cycles(d, two_f32, 101), 101);
  d.sram_read_bytes_per_cycle = 3;
  EXPECT_EQ(vector_cycles(d, two_f32, 101), (101 * 8 + 2) / 3);
  EXPECT_EQ(vector_cycles(d, two_f32, int64_t{1} << 60), ((int64_t{1} << 60) / 3 * 8) + 3) << "of 2^63 bytes, 8 of one element over";
  EXPECT_EQ(vector_cycles(d, two_f32, 0), 0);
  EXPECT_EQ(vector_cycles(d, {.simd = 2, .bytes = 0}, 101), 51);  // reads nothing

  // A multiply-add reads its operand and its sum: 4, 6 and 8 bytes.
  d.sram_read_bytes_per_cycle = 1;
  EXPECT_EQ(tile_rate(d, Numerics::fp16, 10).per_kn, d.map_iteration_cycles + 40);
  EXPECT_EQ(tile_rate(d, Numerics::mixed, 10).per_kn, d.map_iteration_cycles + 60);
  EXPECT_EQ(tile_rate(d, Numerics::fp32, 10).per_kn, d.map_iteration_cycles + 80);
  EXPECT_DOUBLE_EQ(multiply_adds_per_cycle(d, Numerics::mixed), 1.0 / 6);
}

// Of the devices here SIMD widths are the limit of every operation, so that half of the SRAM's rate slows down some, and twice of it none.
TEST(Cost, SramLimitsNoDefaultDevice) {
  for (const char* name : {"wse2", "wse3", "tiny"}) {
    const Device d = load_device(name);
    Device fast = d, slow = d;
    fast.sram_read_bytes_per_cycle *= 2;
    slow.sram_read_bytes_per_cycle = 1;
    const LocalSize s{.rows = 3, .elements = 3000, .k = 50, .n = 700, .heads = 2, .keys = 90, .dims = 64};
    for (const Numerics n : {Numerics::fp16, Numerics::mixed, Numerics::fp32}) {
      for (int op = 0; op < static_cast<int>(LocalOp::tile_fma); op++) {
        const LocalOp o = static_cast<LocalOp>(op);
        if (o == LocalOp::tile_fma || o == LocalOp::tile_fma_t) continue;
        EXPECT_EQ(local_cost(fast, n, o, s).cycles, local_cost(d, n, o, s).cycles) << name << ", operation " << op;
        if (o == LocalOp::clear || o == LocalOp::angles)
          EXPECT_EQ(local_cost(slow, n, o, s).cycles, local_cost(d, n, o, s).cycles);
        else
          EXPECT_GT(local_cost(slow, n, o, s).cycles, local_cost(d, n, o, s).cycles) << name << ", operation " << op;
      }
      EXPECT_EQ(tile_rate(fast, n, 97).per_kn, tile_rate(d, n, 97).per_kn) << name;
    }
  }
}

// Where a byte comes a cycle, each vector operation takes the bytes that it reads: of two vectors, of one, of none.
TEST(Cost, EachOperationReadsItsOperands) {
  Device d = load_device("wse2");
  d.sram_read_bytes_per_cycle = 1;
  const int64_t issue = stream_issue_cycles(d), n = 96, rows = 3, heads = 2;
  const auto cycles = [&](LocalOp op, const LocalSize& size, Numerics numerics = Numerics::mixed) {
    return local_cost(d, numerics, op, size).cycles;
  };
  const LocalSize vectors{.rows = rows, .heads = heads, .keys = n, .dims = n}, flat{.rows = rows, .elements = rows * n};
  const int64_t all = rows * heads;
  EXPECT_EQ(cycles(LocalOp::square_sum, flat), rows * (issue + 8 * n));
  EXPECT_EQ(cycles(LocalOp::normalise, flat), rows * (d.rsqrt_cycles + 2 * (issue + 8 * n)));
  EXPECT_EQ(cycles(LocalOp::row_max, vectors), all * (issue + 4 * n));
  // Of a function: additions, products and multiply-adds of one vector or two, the larger of a vector and a number, a vector scaled by half
  // words, half words alone; clearing half words reads nothing.
  const auto cleared = [&](int64_t m) { return (m + d.move_16_elements_per_cycle - 1) / d.move_16_elements_per_cycle; };
  EXPECT_EQ(cycles(LocalOp::exp_sum, vectors),
            all * 2 * (issue + 4 * n) + issue + 4 * all * n + 13 * issue + all * n * ((3 * 4) + (3 * 8 + 2 * 4) + (3 * 8) + 4 + 6));
  EXPECT_EQ(cycles(LocalOp::divide, vectors), all * (issue + 4 * n) + 11 * issue + all * (3 * 4 + 6 * 8 + 2) + cleared(all));
  EXPECT_EQ(cycles(LocalOp::add, flat), issue + 8 * rows * n);
  EXPECT_EQ(cycles(LocalOp::add, flat, Numerics::fp16), issue + 4 * rows * n);
  EXPECT_EQ(cycles(LocalOp::gate_mul, flat),
            30 * issue + 8 * rows * n + rows * n * ((4 * 4 + 2 * 8) + (2 * 8 + 6 * 4) + 10 * 8 + 2 * 4 + 6 + 2) + cleared(rows * n));
  EXPECT_EQ(cycles(LocalOp::store_rows, flat), issue + 2 * rows * n);
  EXPECT_EQ(cycles(LocalOp::local_best, flat), issue + 4 * rows * n);
  EXPECT_EQ(cycles(LocalOp::clear, flat), issue + (rows * n + d.move_32_elements_per_cycle - 1) / d.move_32_elements_per_cycle);
  EXPECT_EQ(cycles(LocalOp::angles, {.elements = rows * n}), rows * n / 2 * d.sincos_cycles);
  EXPECT_EQ(cycles(LocalOp::rotate, {.rows = rows, .elements = rows * n}), 6 * (issue + 8 * rows * n / 2));
}

}  // namespace
}  // namespace wafer::time
