// The paper's arithmetic of table 5, by hand and beside its own numbers.
#include "paper/capacity.h"

#include <gtest/gtest.h>

namespace wafer {
namespace {

ModelConfig shape() {
  return {.name = "shape",
          .architecture = "llama",
          .layers = 2,
          .dim = 32,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 8,
          .ffn = 64,
          .vocab = 64,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}
constexpr int64_t kPosition = 2 * 16 * 2 * 2;  // K and V of 16 numbers in two layers, in f16

TEST(PaperCapacity, ByHandOnTheCoresOfTheChip) {
  Device d = load_device("tiny");
  const int64_t weights = 2 * (2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32) + 2 * 64 * 32 + 32);
  for (const int64_t cores : {12, 192, 5000}) {
    d.chip_cores = cores;  // and not those that programs may use
    const PaperCapacity p = paper_capacity(shape(), d, kPosition, 3);
    EXPECT_EQ(p.cores, cores);
    EXPECT_EQ(p.shift, std::max<int64_t>(0, (cores * (49152 - 8528) - weights) / kPosition - 4096));
    EXPECT_EQ(p.concat, p.shift / 3);
  }
}

TEST(PaperCapacity, AllExpertsTakeRoom) {
  const Device d = load_device("tiny");
  ModelConfig c = shape();
  const PaperCapacity dense = paper_capacity(c, d, kPosition, 12);
  c.experts = 4;
  c.experts_used = 1;
  // Three experts more and a router in each of 2 layers, in f16.
  EXPECT_EQ((dense.shift - paper_capacity(c, d, kPosition, 12).shift) * kPosition, 2 * 2 * (3 * 3 * 32 * 64 + 32 * 4));
}

// The paper's own numbers (table 5, LLaMA3-8B): 137,548 by shift and 382 by concat; its arithmetic gives them within half a percent.
TEST(PaperCapacity, IsThePapers) {
  const ModelConfig c = load_shape(WAFER_SOURCE_DIR "/models/llama3-8b.toml");
  const PaperCapacity p = paper_capacity(c, load_device("wse2"), 2 * kv_width(c) * c.layers * 2, 360);
  EXPECT_NEAR(static_cast<double>(p.shift), 137548, 0.006 * 137548);
  EXPECT_NEAR(static_cast<double>(p.concat), 382, 0.006 * 382);
}

}  // namespace
}  // namespace wafer
