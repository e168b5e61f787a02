// The schedule of the authors' measured kernels against the paper's tables 3 and 4 for LLaMA3-8B: the rows that five constants of wse2 are
// calibrated on.
#include "paper/published.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "mesh/verify.h"
#include "time/time.h"

namespace wafer {
namespace {

ModelConfig llama3_8b() {
  return {.name = "llama3-8b",
          .architecture = "llama",
          .layers = 32,
          .dim = 4096,
          .heads = 32,
          .kv_heads = 8,
          .head_dim = 128,
          .ffn = 14336,
          .vocab = 128256,
          .context = 8192,
          .norm_epsilon = 1e-5f,
          .rope_base = 5e5};
}

TEST(Published, DecodeIsWithinTwoPercentOfTheTable) {
  const Device d = load_device("wse2");
  const ModelConfig c = llama3_8b();
  for (const auto& [P, measured] : {std::pair{420, 2699.9}, {540, 2501.5}, {660, 2243.3}}) {
    const mesh::Program p = published_decode(c, P, published_groups(P), 4096, {750, 994});
    const double rate = d.clock_hz / static_cast<double>(c.layers * time::time_entry(p, d, "layer", {}).cycles);
    EXPECT_LE(std::abs(rate / measured - 1), 0.02) << P << ": " << rate << " tokens/s";
  }
}

TEST(Published, PrefillIsWithinThreePercentOfTheTable) {
  const Device d = load_device("wse2");
  const ModelConfig c = llama3_8b();
  for (const auto& [P, measured] : {std::pair{480, 20320.6}, {600, 25037.2}, {720, 27686.5}}) {
    const mesh::Program p = published_prefill(c, P, 4096, {750, 994});
    const int64_t rows = padded(4096, P);
    const double rate =
        4096 * d.clock_hz / static_cast<double>(c.layers * time::time_entry(p, d, "layer", {.rows = rows, .chunk = rows}).cycles);
    EXPECT_LE(std::abs(rate / measured - 1), 0.03) << P << ": " << rate << " tokens/s";
  }
}

TEST(Published, MixturesOfExpertsAreRefused) {
  ModelConfig c = llama3_8b();
  c.experts = 8;
  c.experts_used = 2;
  EXPECT_THROW(published_decode(c, 420, published_groups(420), 4096, {750, 994}), Error);
  EXPECT_THROW(published_prefill(c, 480, 4096, {750, 994}), Error);
}

TEST(Published, TreesReachEveryCoreOnce) {
  for (int P : {1, 2, 5, 24, 240, 241, 360, 420, 660}) {
    const mesh::Tree t = published_tree(P, published_groups(P));
    std::vector<int> sends(static_cast<size_t>(P), 0);
    for (const mesh::Level& level : t.levels)
      for (const mesh::Chain& chain : level)
        for (size_t q = 0; q + 1 < chain.size(); q++) sends[static_cast<size_t>(chain[q])]++;
    for (int p = 0; p < P; p++) EXPECT_EQ(sends[static_cast<size_t>(p)], p == t.root ? 0 : 1) << P << ", core " << p;
  }
}

TEST(Published, OfPaddedSizesOnAnyMesh) {
  const Device d = load_device("wse2");
  ModelConfig c = llama3_8b();
  c.dim = 100;
  c.ffn = 37;
  for (int P : {1, 2, 3, 7, 20}) {
    EXPECT_GT(time::time_entry(published_decode(c, P, published_groups(P), 50, {750, 994}), d, "layer", {}).cycles, 0);
    const int64_t rows = padded(50, P);
    EXPECT_GT(time::time_entry(published_prefill(c, P, 50, {750, 994}), d, "layer", {.rows = rows, .chunk = rows}).cycles, 0);
  }
}

}  // namespace
}  // namespace wafer
