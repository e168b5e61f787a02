// Every kernel against plain loops written from the definition, bit for bit: each core's own chain, one multiply-add at a time.
#include "run/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/half.h"
#include "base/isa.h"
#include "base/parallel.h"

namespace wafer::run {
namespace {

using Random = std::mt19937;

int64_t pick(Random& random, int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); }

// All classes of fp16 values: ordinary, small enough to make subnormal sums, large enough to overflow fp16, and rarely infinite.
float any_value(Random& random, Numerics numerics, bool infinities) {
  const int64_t kind = pick(random, 0, 99);
  float v = static_cast<float>(pick(random, -4096, 4096)) / 1024;
  if (kind < 10) v *= 0x1p-14f;
  if (kind >= 10 && kind < 14) v *= 64;
  if (kind == 14) v = 0;
  if (kind == 15) v = -0.0f;
  if (kind == 16 && infinities) v = std::numeric_limits<float>::infinity();
  if (numerics == Numerics::fp32 && kind > 50) v *= 1.0001234f;
  return numerics == Numerics::fp32 ? v : round_f16(v);
}

std::vector<float> any_values(Random& random, int64_t count, Numerics numerics, bool infinities = false) {
  std::vector<float> values(count);
  for (float& v : values) v = any_value(random, numerics, infinities);
  return values;
}

// Equal bits, any NaN equal to any other.
::testing::AssertionResult same(const std::vector<float>& got, const std::vector<float>& want) {
  for (size_t i = 0; i < want.size(); i++) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    if (std::bit_cast<uint32_t>(got[i]) != std::bit_cast<uint32_t>(want[i])) {
      return ::testing::AssertionFailure() << "at " << i << ": " << got[i] << ", want " << want[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// The weights as the definition sees them: dense [k][n], with scale and integer apart.
struct Plain {
  int64_t k, n;
  bool quantised;
  std::vector<float> value, scale;  // value: the integer where quantised
};

Plain plain(const PanelMatrix& m) {
  Plain p{m.k, m.n, is_quantised(m.type), {}, {}};
  for (int64_t k = 0; k < m.k; k++) {
    for (int64_t n = 0; n < m.n; n++) {
      const std::byte* panel = panel_data(m, n / 128);
      const int64_t lane = n % 128;
      if (!p.quantised) {
        p.value.push_back(panel_value(m, k, n));
        continue;
      }
      const std::byte* block = panel + k / 32 * (m.type == PanelType::q8_0 ? 4352 : 2304);
      p.scale.push_back(f16_to_f32(reinterpret_cast<const uint16_t*>(block)[lane]));
      if (m.type == PanelType::q8_0) {
        p.value.push_back(reinterpret_cast<const int8_t*>(block + 256)[k % 32 * 128 + lane]);
      } else {
        const uint32_t word = reinterpret_cast<const uint32_t*>(block + 256)[k % 32 * 16 + lane % 16];
        p.value.push_back(static_cast<float>(static_cast<int>((word >> (4 * (lane / 16))) % 16) - 8));
      }
    }
  }
  return p;
}

// One core's chain over one range.
void chain(const Plain& w, const float* x, int64_t n, KRange range, Numerics numerics, float& acc) {
  if (!w.quantised) {
    for (int64_t k = range.begin; k < range.end; k++) {
      const float v = w.value[k * w.n + n];
      acc = numerics == Numerics::fp16 ? fma_f16(v, x[k], acc) : std::fma(v, x[k], acc);
    }
    return;
  }
  for (int64_t k = range.begin; k < range.end;) {
    float sum = 0;
    const float scale = w.scale[k * w.n + n];
    do {
      sum = std::fma(w.value[k * w.n + n], x[k], sum);
      k++;
    } while (k < range.end && k % 32 != 0);
    acc = std::fma(scale, sum, acc);
  }
}

PanelMatrix any_panels(Random& random, PanelType type, int64_t k, int64_t n, Numerics numerics, bool infinities) {
  PanelMatrix m = make_panels(type, k, n);
  if (!is_quantised(type)) {
    const std::vector<float> rows = any_values(random, k * n, type == PanelType::f16 ? Numerics::mixed : numerics, infinities);
    if (type == PanelType::f32) {
      pack_rows(m, 0, reinterpret_cast<const std::byte*>(rows.data()), SourceType::f32, n, 4 * k, numerics);
    } else {
      std::vector<uint16_t> half(rows.size());
      for (size_t i = 0; i < rows.size(); i++) half[i] = f32_to_f16(rows[i]);
      pack_rows(m, 0, reinterpret_cast<const std::byte*>(half.data()), SourceType::f16, n, 2 * k, numerics);
    }
    return m;
  }
  const int64_t block_bytes = type == PanelType::q8_0 ? 34 : 18;
  std::vector<uint8_t> rows(n * k / 32 * block_bytes);
  for (uint8_t& byte : rows) byte = static_cast<uint8_t>(pick(random, 0, 255));
  for (size_t at = 0; at < rows.size(); at += block_bytes) {
    const uint16_t scale = f32_to_f16(any_value(random, Numerics::mixed, infinities));
    std::memcpy(rows.data() + at, &scale, 2);
  }
  pack_rows(m, 0, reinterpret_cast<const std::byte*>(rows.data()), type == PanelType::q8_0 ? SourceType::q8_0 : SourceType::q4_0, n,
            k / 32 * block_bytes, numerics);
  return m;
}

// Cuts [0, k) at random places and deals the ranges to `parts` lists: several to one, none to another, in any order.
std::vector<std::vector<KRange>> any_parts(Random& random, int64_t k, int64_t parts, bool shuffled) {
  std::vector<int64_t> cuts{0, k};
  const int64_t ranges = parts + pick(random, 0, parts);
  for (int64_t i = 1; i < ranges; i++) cuts.push_back(pick(random, 0, k));
  std::sort(cuts.begin(), cuts.end());
  std::vector<KRange> all;
  for (size_t i = 0; i + 1 < cuts.size(); i++) all.push_back({cuts[i], cuts[i + 1]});
  if (shuffled) std::shuffle(all.begin(), all.end(), random);
  std::vector<std::vector<KRange>> result(parts);
  for (size_t i = 0; i < all.size(); i++) {
    const int64_t to =
        pick(random, 0, 3) == 0 ? pick(random, 0, parts - 1) : static_cast<int64_t>(i) * parts / static_cast<int64_t>(all.size());
    result[to].push_back(all[i]);
  }
  return result;
}

// Some positions are added in chains, level by level, until one is left.
ReduceTree any_tree(Random& random, int size) {
  ReduceTree tree{.size = size};
  std::vector<int> alive(size);
  for (int i = 0; i < size; i++) alive[i] = i;
  while (alive.size() > 1) {
    std::vector<int> next;
    tree.levels.emplace_back();
    if (pick(random, 0, 1) == 0) std::shuffle(alive.begin(), alive.end(), random);
    for (size_t i = 0; i < alive.size();) {
      const size_t length = std::min<size_t>(alive.size() - i, pick(random, 1, 5));
      tree.levels.back().emplace_back(alive.begin() + i, alive.begin() + i + length);
      next.push_back(alive[i + length - 1]);
      i += length;
    }
    alive = next;
  }
  tree.root = alive[0];
  return tree;
}

float reduced(std::vector<float> value, const ReduceTree& tree, Numerics numerics) {
  for (const auto& level : tree.levels) {
    for (const auto& chain : level) {
      float v = value[chain[0]];
      for (size_t i = 1; i < chain.size(); i++) v = numerics == Numerics::fp16 ? add_f16(value[chain[i]], v) : value[chain[i]] + v;
      value[chain.back()] = v;
    }
  }
  return value[tree.root];
}

struct Case {
  Numerics numerics;
  PanelType type;
};

std::vector<Case> cases() {
  return {{Numerics::fp32, PanelType::f32},   {Numerics::fp32, PanelType::f16},   {Numerics::fp32, PanelType::q8_0},
          {Numerics::fp32, PanelType::q4_0},  {Numerics::mixed, PanelType::f16},  {Numerics::mixed, PanelType::f32},
          {Numerics::mixed, PanelType::q8_0}, {Numerics::mixed, PanelType::q4_0}, {Numerics::fp16, PanelType::f16},
          {Numerics::fp16, PanelType::f32}};
}

// Runs fn with every instruction set of the machine, on one thread and on two.
template <class Fn>
void on_every_path(const Fn& fn) {
  const Isa before = current_isa();
  for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (!isa_available(isa)) continue;
    force_isa(isa);
    for (int threads : {1, 2}) {
      set_thread_count(threads);
      SCOPED_TRACE(std::string(isa_name(isa)) + ", threads " + std::to_string(threads));
      fn();
    }
  }
  set_thread_count(0);
  force_isa(before);
}

TEST(Gemv, EqualsPlainLoops) {
  Random random(1);
  for (int round = 0; round < 12; round++) {
    for (const Case& c : cases()) {
      const int64_t k = is_quantised(c.type) ? 32 * pick(random, 1, 6) : pick(random, 1, 150);
      const int64_t n = round == 0 ? 1 : pick(random, 1, 300);
      const int positions = static_cast<int>(pick(random, 1, round % 3 == 0 ? 40 : 7));
      const int batch = round < 8 ? round + 1 : 1;
      const bool infinities = round % 4 == 3;
      const PanelMatrix w = any_panels(random, c.type, k, n, c.numerics, infinities);
      const Lines lines{.parts = any_parts(random, k, positions, round % 2 == 1)};
      const ReduceTree tree = any_tree(random, positions);
      const int64_t x_stride = k + pick(random, 0, 5), y_stride = n + pick(random, 0, 5);
      const std::vector<float> x = any_values(random, batch * x_stride, c.numerics, infinities);
      const Plain dense = plain(w);
      std::vector<float> want(batch * y_stride, 7.0f);
      for (int b = 0; b < batch; b++) {
        for (int64_t o = 0; o < n; o++) {
          std::vector<float> partial(positions, 0.0f);
          for (int p = 0; p < positions; p++) {
            for (const KRange& range : lines.parts[p]) chain(dense, x.data() + b * x_stride, o, range, c.numerics, partial[p]);
          }
          want[b * y_stride + o] = reduced(partial, tree, c.numerics);
        }
      }
      const GemvOrder order = make_gemv_order(lines, tree);
      SCOPED_TRACE(::testing::Message() << "k " << k << " n " << n << " positions " << positions << " batch " << batch << " type "
                                        << static_cast<int>(c.type) << " numerics " << static_cast<int>(c.numerics));
      on_every_path([&] {
        std::vector<float> y(batch * y_stride, 7.0f);
        gemv(w, order, c.numerics, batch, x.data(), x_stride, y.data(), y_stride);
        EXPECT_TRUE(same(y, want));
      });
    }
  }
}

// Sums of a few hundred halves: rounding the sum twice (to fp32, then to fp16) must be told from a fused one.
TEST(Gemv, HalfSumsAreRoundedOnce) {
  Random random(3);
  const int64_t k = 300, n = 1024;
  const auto any_half = [&] {
    return f16_to_f32(static_cast<uint16_t>(pick(random, 0, 1) << 15 | pick(random, 11, 17) << 10 | pick(random, 0, 1023)));
  };
  std::vector<float> rows(n * k), x(k), fused(n), twice(n);
  for (float& v : rows) v = any_half();
  for (float& v : x) v = any_half();
  for (int64_t o = 0; o < n; o++) {
    for (int64_t i = 0; i < k; i++) {
      fused[o] = fma_f16(rows[o * k + i], x[i], fused[o]);
      twice[o] = round_f16(std::fma(rows[o * k + i], x[i], twice[o]));
    }
  }
  EXPECT_NE(fused, twice);
  PanelMatrix w = make_panels(PanelType::f16, k, n);
  EXPECT_EQ(pack_rows(w, 0, reinterpret_cast<const std::byte*>(rows.data()), SourceType::f32, n, 4 * k, Numerics::fp16), 0);
  const GemvOrder gemv_order = make_gemv_order({.parts = {{{0, k}}}}, {.size = 1});
  const GemmOrder gemm_order{.parts = {{{0, k}}}};
  const std::vector<int> row_part{0}, col_part(n, 0);
  on_every_path([&] {
    std::vector<float> y(n);
    gemv(w, gemv_order, Numerics::fp16, 1, x.data(), k, y.data(), n);
    EXPECT_TRUE(same(y, fused));
    gemm(x.data(), k, w, gemm_order, row_part, col_part, Numerics::fp16, y.data(), n);
    EXPECT_TRUE(same(y, fused));
  });
}

TEST(Gemv, AnEmptyLineGivesZero) {
  PanelMatrix w = make_panels(PanelType::f32, 0, 3);
  const GemvOrder order = make_gemv_order({.parts = {{}, {}}}, {.size = 2, .root = 1, .levels = {{{0, 1}}}});
  on_every_path([&] {
    std::vector<float> y(3, 7.0f);
    gemv(w, order, Numerics::fp32, 1, nullptr, 0, y.data(), 3);
    EXPECT_EQ(y, std::vector<float>(3, 0.0f));
  });
}

std::vector<int> any_assignment(Random& random, int64_t count, int64_t parts, int64_t kind) {
  std::vector<int> part(count);
  const int64_t heads = kind == 1 ? pick(random, 1, 4) : 1;
  for (int64_t i = 0; i < count; i++) {
    const int64_t size = std::max<int64_t>(1, count / heads);
    part[i] = static_cast<int>(kind == 2 ? pick(random, 0, parts - 1) : i % size * parts / size);
  }
  return part;
}

TEST(Gemm, EqualsPlainLoops) {
  Random random(2);
  for (int round = 0; round < 16; round++) {
    for (const Case& c : cases()) {
      const int64_t k = is_quantised(c.type) ? 32 * pick(random, 1, 4) : pick(random, 1, 97);
      const int64_t n = round == 0 ? 1 : pick(random, 1, 150);
      const int64_t t = round == 1 ? 1 : pick(random, 1, 40);
      const int64_t parts = round % 4 == 0 ? 1 : round % 4 == 1 ? pick(random, 2, 4) : round % 4 == 2 ? pick(random, 2, 20) : 101;
      const bool infinities = round % 5 == 3;
      const PanelMatrix b = any_panels(random, c.type, k, n, c.numerics, infinities);
      const GemmOrder order{.parts = any_parts(random, k, parts, round % 2 == 1)};
      const std::vector<int> row_part = any_assignment(random, t, parts, pick(random, 0, 2));
      const std::vector<int> col_part = any_assignment(random, n, parts, pick(random, 0, 2));
      const int64_t lda = k + pick(random, 0, 5), ldc = n + pick(random, 0, 5);
      const std::vector<float> a = any_values(random, t * lda, c.numerics, infinities);
      const Plain dense = plain(b);
      std::vector<float> want(t * ldc, 7.0f);
      for (int64_t row = 0; row < t; row++) {
        for (int64_t o = 0; o < n; o++) {
          float acc = 0;
          for (int64_t s = 0; s < parts; s++) {
            for (const KRange& range : order.parts[(row_part[row] + col_part[o] + s) % parts]) {
              chain(dense, a.data() + row * lda, o, range, c.numerics, acc);
            }
          }
          want[row * ldc + o] = acc;
        }
      }
      SCOPED_TRACE(::testing::Message() << "t " << t << " k " << k << " n " << n << " parts " << parts << " type "
                                        << static_cast<int>(c.type) << " numerics " << static_cast<int>(c.numerics));
      on_every_path([&] {
        std::vector<float> got(t * ldc, 7.0f);
        gemm(a.data(), lda, b, order, row_part, col_part, c.numerics, got.data(), ldc);
        EXPECT_TRUE(same(got, want));
      });
    }
  }
}

}  // namespace
}  // namespace wafer::run
