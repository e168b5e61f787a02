// Reductions along 512 cores against the vendor's simulator of the WSE-2 (measured_cycles of "Near-Optimal Wafer-Scale Reduce": fp32,
// cycles from the start task to the end stamp of core 0), and the loops in vectors against those without.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "kernel_bench/reduce_program.h"
#include "mesh/verify.h"
#include "time/reduce_steps.h"
#include "time/time.h"

namespace wafer::time {
namespace {

int64_t cycles(const Device& d, const std::string& algorithm, int size, int64_t words, std::vector<int> groups = {}) {
  const mesh::Program p =
      kernels::reduce_program({.size = size, .words = words, .algorithm = algorithm, .groups = std::move(groups)}, {750, 994});
  return time_entry(p, d, "reduce", {}).cycles + kernels::harness_cycles(algorithm);
}

TEST(ReduceRows, ChainIsExact) {
  const Device d = load_device("wse2");
  const int64_t rows[][2] = {{1, 3128},   {2, 3129},   {4, 3131},   {8, 3135},    {16, 3143},   {32, 3159},   {64, 3191},
                             {128, 3255}, {256, 3383}, {512, 3639}, {1024, 4151}, {2048, 5175}, {4096, 7223}, {8192, 11319}};
  for (const auto& row : rows) EXPECT_EQ(cycles(d, "chain", 512, row[0]), row[1]) << row[0];
}

TEST(ReduceRows, TwoPhaseIsExact) {
  const Device d = load_device("wse2");
  const int64_t rows[][2] = {{1, 819}, {16, 849}, {128, 1073}, {1024, 2865}, {8192, 17201}};
  for (const auto& row : rows) EXPECT_EQ(cycles(d, "two-phase", 512, row[0], {32}), row[1]) << row[0];
}

TEST(ReduceRows, BinaryTreeIsWithinTwoPercent) {
  const Device d = load_device("wse2");
  const int64_t rows[][2] = {{1, 742}, {64, 1155}, {1024, 9585}};
  for (const auto& row : rows)
    EXPECT_LE(std::abs(static_cast<double>(cycles(d, "tree", 512, row[0])) / static_cast<double>(row[1]) - 1), 0.02)
        << row[0] << " words: " << cycles(d, "tree", 512, row[0]);
  // From 512 words on nine whole vectors come in one after the other, and the line through the measurements is 9 words + 369.
  for (int64_t words : {512, 1024, 2048, 8192}) EXPECT_EQ(cycles(d, "tree", 512, words), 9 * words + 369);
}

// Another program (reduce_0_pe), whose constants nothing was fitted to.
TEST(ReduceRows, AnotherProgramIsWithinThreePercent) {
  const Device d = load_device("wse2");
  const int64_t rows[][2] = {{32, 8973}, {64, 9061}};
  for (const auto& row : rows)
    EXPECT_LE(
        std::abs(static_cast<double>(cycles(d, "two-phase", 512, 4096, {static_cast<int>(row[0])})) / static_cast<double>(row[1]) - 1),
        0.03);
  EXPECT_LE(std::abs(static_cast<double>(cycles(d, "chain", 512, 4096)) / 7218.0 - 1), 0.03);
}

TEST(ReduceRows, ProgramsOfAnySizeKeepTheRules) {
  for (int size : {1, 2, 3, 5, 8, 31, 64, 100, 512})
    for (const char* algorithm : {"chain", "two-phase", "tree", "ktree"}) {
      const mesh::Program p =
          kernels::reduce_program({.size = size,
                                   .words = 3,
                                   .algorithm = algorithm,
                                   .groups = algorithm[1] == 'w' ? std::vector<int>{(size + 2) / 3} : std::vector<int>{},
                                   .broadcast = true},
                                  {750, 994});
      for (const mesh::Diagnostic& x : mesh::verify(p, {.mesh = p.mesh, .sram_bytes = 1 << 16, .colours = 24}))
        ADD_FAILURE() << algorithm << " of " << size << ": " << x.where << ": " << x.text;
    }
}

// Three levels by hand: 27 cores in 9 groups of 3, those in 3 groups of 3: a side of one core everywhere.
TEST(ReduceRows, AThreeLevelTreeStoresAtTheRootsOfEachLevel) {
  const Device d = load_device("wse2");
  const int64_t n = 5, issue = stream_issue_cycles(d);
  int64_t expected = 0;
  // Each level: a core sends, its root takes that in, then the other side's: one vector after the other.
  for (int64_t hops : {1, 3, 9}) expected += issue + n + (hops + 5) - 1 + issue + n;
  EXPECT_EQ(cycles(d, "ktree", 27, n, {9, 3}), expected);
}

TEST(ReduceRows, VectorsEqualPlainLoops) {
  Rng rng(31);
  for (int run = 0; run < 60; run++) {
    const int size = 1 + static_cast<int>(next_below(rng, 40)), w = 1 + static_cast<int>(next_below(rng, 70));
    std::vector<uint32_t> t, words;
    for (int i = 0; i < size * w; i++) t.push_back(static_cast<uint32_t>(next_below(rng, 900)));
    for (int i = 0; i < w; i++) words.push_back(static_cast<uint32_t>(next_below(rng, 30)));
    std::vector<uint32_t> u = t;
    const mesh::Tree tree = run % 2 == 0 ? mesh::k_tree(size, mesh::even_groups(size, 1 + run % 3)) : kernels::binary_tree(size);
    ReduceSteps<uint32_t> a{
        .w = w, .t = t.data(), .words = words, .cast_words = words, .first_issue = 10, .later_issue = 16, .ramp = 2, .hop = 1},
        b = a;
    if (run % 4 == 0)
      for (uint32_t& n : a.cast_words) n = n / 2;  // of several parts some are broadcast
    b = a;
    b.t = u.data();
    const int casts = static_cast<int>(next_below(rng, 3));
    const ReduceCounts x = reduce_steps(a, tree, casts), y = reduce_steps_scalar(b, tree, casts);
    ASSERT_EQ(t, u);
    ASSERT_EQ(x.up.operations, y.up.operations);
    ASSERT_EQ(x.back.operations, y.back.operations);
    ASSERT_LE(x.cores, size);
  }
}

}  // namespace
}  // namespace wafer::time
