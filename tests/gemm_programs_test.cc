// The products of `bench gemm`, by every algorithm on meshes of any shape: run(), the naive executor and a plain product in the stated
// order of sums give the same bits; and what each of them breaks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/half.h"
#include "base/rng.h"
#include "kernel_bench/gemm_program.h"
#include "mesh/compliance.h"
#include "mesh/print.h"
#include "mesh/verify.h"
#include "run/machine.h"
#include "support/naive_executor.h"

namespace wafer {
namespace {

using kernels::GemmAlgorithm;
using kernels::GemmShape;
using namespace mesh;

constexpr GemmAlgorithm kAll[] = {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather};
constexpr Limits kLimits{.mesh = {750, 994}, .sram_bytes = 49152, .code_bytes = 8528, .colours = 21};

std::string describe(const GemmShape& s) {
  return fmt::format("{} {}x{}x{} on {}x{} {}", kernels::name(s.algorithm), s.m, s.k, s.n, s.mesh.w, s.mesh.h,
                     static_cast<int>(s.numerics));
}

struct Matrices {
  std::vector<float> a, b;
};
Matrices random_matrices(const GemmShape& s, Rng& rng) {
  auto fill = [&](int64_t n) {
    std::vector<float> v;
    for (int64_t i = 0; i < n; i++) {
      const int exponent = static_cast<int>(next_below(rng, 9)) - 5;  // of different sizes: another order is another sum
      v.push_back(round_f16(std::ldexp(static_cast<float>(2 * next_double(rng) - 1), exponent)));
    }
    return v;
  };
  return {.a = fill(s.m * s.k), .b = fill(s.k * s.n)};
}

float multiply_add(Numerics numerics, float a, float b, float acc) {
  return numerics == Numerics::fp16 ? fma_f16(a, b, acc) : std::fma(a, b, acc);
}

// Travelling tiles: element (t, n) in row tile i and column tile j starts with block i + j. Casts: with block 0. `later`: so many blocks
// later than that.
std::vector<float> plain(const GemmShape& s, const Matrices& x, int64_t later = 0) {
  const int64_t L = std::max(s.mesh.w, s.mesh.h);
  const bool travels = s.algorithm == GemmAlgorithm::meshgemm || s.algorithm == GemmAlgorithm::cannon;
  auto tile = [&](int64_t size, int64_t index) {
    int64_t l = 0;
    while (part(size, l, L).end <= index) l++;
    return l;
  };
  std::vector<float> c;
  for (int64_t t = 0; t < s.m; t++)
    for (int64_t n = 0; n < s.n; n++) {
      const int64_t first = later + (travels ? tile(s.m, t) + tile(s.n, n) : 0);
      float sum = 0;
      for (int64_t q = 0; q < L; q++) {
        const Range block = part(s.k, (first + q) % L, L);
        for (int64_t k = block.begin; k < block.end; k++)
          sum = multiply_add(s.numerics, x.b[static_cast<size_t>(k * s.n + n)], x.a[static_cast<size_t>(t * s.k + k)], sum);
      }
      c.push_back(sum);
    }
  return c;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](float x, float y) { return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y); });
}

Lowered program_alone(const GemmShape& s) {
  Lowered l;
  l.placement.program = kernels::gemm_program(s, kLimits.mesh);
  l.placement.plan.context = s.m;
  return l;
}

std::vector<float> by_run(const GemmShape& s, const Lowered& l, const Matrices& x) {
  auto weights = std::make_shared<run::PackedModel>();
  weights->numerics = s.numerics;
  run::PanelMatrix panels = run::make_panels(run::PanelType::f32, s.k, s.n);
  run::pack_columns(panels, x.b.data(), s.n);
  weights->matrices["b"].push_back(std::move(panels));
  const auto machine = run::make_machine(l, weights);
  machine->values.front()[0] = x.a;
  run::run(*machine, "gemm", {.rows = s.m}, {});
  return run::tensor_values(*machine, "c", 0, {.rows = s.m});
}

std::vector<float> by_naive(const GemmShape& s, const Lowered& l, const Matrices& x) {
  const Model none;
  NaiveExecutor naive(l, none);
  naive.put("a", x.a, {.rows = s.m});
  naive.put("b", x.b, {.rows = s.m});
  naive.run("gemm", {.rows = s.m}, {});
  return naive.gather("c", 0, {.rows = s.m});
}

void check(const GemmShape& s, Rng& rng) {
  SCOPED_TRACE(describe(s));
  const Matrices x = random_matrices(s, rng);
  const Lowered l = program_alone(s);
  const std::vector<float> expected = plain(s, x);
  EXPECT_TRUE(same_bits(by_run(s, l, x), expected));
  EXPECT_TRUE(same_bits(by_naive(s, l, x), expected));
  for (const Diagnostic& d : verify(l.program(), {.mesh = kLimits.mesh, .sram_bytes = 1 << 24, .colours = 1000}))
    ADD_FAILURE() << d.where << ": " << d.text;
}

TEST(GemmPrograms, RunNaiveAndAPlainProductAgree) {
  Rng rng(31);
  auto below = [&](uint64_t n) { return 1 + static_cast<int>(next_below(rng, n)); };
  for (int run = 0; run < 25; run++) {
    const Numerics numerics = static_cast<Numerics>(run % 3);
    GemmShape s{.m = below(24), .k = below(24), .n = below(24), .mesh = {below(7), below(7)}, .numerics = numerics};
    for (s.algorithm = GemmAlgorithm::meshgemm;; s.algorithm = static_cast<GemmAlgorithm>(static_cast<int>(s.algorithm) + 1)) {
      check(s, rng);
      if (s.algorithm == GemmAlgorithm::allgather) break;
    }
  }
}

// The order of sums is that of the expansion, which the naive executor follows, on products of any size; and values are such that another
// order shows: the same blocks from the next one on are other bits nearly everywhere that there are two blocks.
TEST(GemmPrograms, TheOrderOfSumsIsThatOfTheExpansion) {
  Rng rng(33);
  const auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
  int64_t elements = 0, others = 0;
  for (int run = 0; run < 120; run++) {
    const int w = 1 + below(10), h = below(3) == 0 ? w : 1 + below(10);
    GemmShape s{.m = 1 + below(30),
                .k = below(8) == 0 ? 1 : 1 + below(70),
                .n = 1 + below(30),
                .mesh = {w, h},
                .numerics = static_cast<Numerics>(below(3)),
                .algorithm = kAll[below(4)],
                .overlap = below(3) != 0};
    check(s, rng);
    if (s.k < 8 || std::max(w, h) < 2) continue;
    const Matrices x = random_matrices(s, rng);
    const std::vector<float> as_written = plain(s, x), other = plain(s, x, 1);
    for (size_t i = 0; i < as_written.size(); i++) others += std::bit_cast<uint32_t>(as_written[i]) != std::bit_cast<uint32_t>(other[i]);
    elements += static_cast<int64_t>(as_written.size());
  }
  EXPECT_GT(elements, 10'000);
  EXPECT_GT(2 * others, elements) << "of " << elements;
}

TEST(GemmPrograms, OneCoreLinesPrimesAndMoreCoresThanElements) {
  Rng rng(32);
  for (const Extent e : {Extent{1, 1}, {1, 2}, {2, 1}, {2, 2}, {1, 7}, {7, 1}, {11, 3}, {3, 11}, {13, 13}})
    for (const GemmAlgorithm a : kAll) {
      check({.m = 5, .k = 9, .n = 7, .mesh = e, .algorithm = a}, rng);
      check({.m = 2, .k = 1, .n = 3, .mesh = e, .numerics = Numerics::mixed, .algorithm = a}, rng);
    }
}

std::vector<std::string> broken(const GemmShape& s) {
  return compliance(program_alone(s).program(), "gemm", {.rows = s.m}, kLimits).breaks;
}

TEST(GemmPrograms, WhatEachAlgorithmBreaks) {
  using Letters = std::vector<std::string>;
  GemmShape s{.m = 2048, .k = 2048, .n = 2048, .mesh = {360, 360}};
  EXPECT_EQ(broken(s), Letters{});
  s.algorithm = GemmAlgorithm::cannon;
  EXPECT_EQ(broken(s), Letters{"L"});
  s.algorithm = GemmAlgorithm::summa;
  EXPECT_EQ(broken(s), (Letters{"L", "R"}));
  s.algorithm = GemmAlgorithm::allgather;
  EXPECT_EQ(broken(s), (Letters{"L", "M", "R"}));
  // More cores than rows: a row of cores without work.
  EXPECT_EQ(broken({.m = 4, .k = 9, .n = 9, .mesh = {5, 5}}), Letters{"P"});
  // On three cores the ends of a line are two hops apart, as far as any ring's neighbours.
  EXPECT_EQ(broken({.m = 9, .k = 9, .n = 9, .mesh = {3, 3}, .algorithm = GemmAlgorithm::cannon}), Letters{});
}

TEST(GemmPrograms, ComplianceIsCounted) {
  GemmShape s{.m = 60, .k = 90, .n = 120, .mesh = {30, 30}};
  auto of = [&](GemmAlgorithm a) {
    s.algorithm = a;
    return compliance(program_alone(s).program(), "gemm", {.rows = s.m}, kLimits);
  };
  // Tiles of fp16: A 2 x 3, B 3 x 4, C 2 x 4.
  const Compliance mesh_gemm = of(GemmAlgorithm::meshgemm), cannon = of(GemmAlgorithm::cannon), summa = of(GemmAlgorithm::summa),
                   allgather = of(GemmAlgorithm::allgather);
  EXPECT_EQ(mesh_gemm.longest_hops, 2);
  EXPECT_EQ(mesh_gemm.colours, 9);
  EXPECT_EQ(mesh_gemm.bytes, 2 * (2 * 6 + 2 * 12 + 8));
  EXPECT_EQ(cannon.longest_hops, 29);
  EXPECT_EQ(cannon.colours, 9);
  EXPECT_EQ(cannon.bytes, mesh_gemm.bytes);
  EXPECT_EQ(summa.longest_hops, 29);
  EXPECT_EQ(summa.colours, 60);
  EXPECT_EQ(summa.bytes, 2 * (3 * 6 + 3 * 12 + 8));
  EXPECT_EQ(allgather.colours, 60);
  EXPECT_EQ(allgather.bytes, 2 * (31 * 6 + 31 * 12 + 8));
  EXPECT_EQ(allgather.cores, 900);
  EXPECT_EQ(allgather.idle_cores, 0);
}

TEST(GemmPrograms, PrintSaysWhatMoves) {
  GemmShape s{.m = 8, .k = 8, .n = 8, .mesh = {4, 4}, .algorithm = GemmAlgorithm::summa};
  const std::string summa = print(program_alone(s).program());
  EXPECT_NE(summa.find("gemm: summa"), std::string::npos) << summa;
  EXPECT_NE(summa.find("cast block +1 along x"), std::string::npos) << summa;
  EXPECT_NE(summa.find("all cores together"), std::string::npos) << summa;
  s.algorithm = GemmAlgorithm::cannon;
  const std::string cannon = print(program_alone(s).program());
  EXPECT_NE(cannon.find("ring in the order of the line"), std::string::npos) << cannon;
  EXPECT_NE(cannon.find("at most 3 hops"), std::string::npos) << cannon;
}

}  // namespace
}  // namespace wafer
