#include "paper/baselines.h"

#include <gtest/gtest.h>

#include "paper/paper_models.h"

namespace wafer {
namespace {

ModelConfig model(int64_t dim, int64_t ffn) {
  return {.name = "small",
          .architecture = "llama",
          .layers = 2,
          .dim = dim,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = dim / 2,
          .ffn = ffn,
          .vocab = 80,
          .context = 1024,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

constexpr BaselineSystem kBoth[] = {BaselineSystem::t10, BaselineSystem::ladder};

// On 2 x 2 cores: 2 elements of dim, 2 positions and 3 of ffn each. Words carry two fp16 elements.
struct Tiny : testing::Test {
  Device device = load_device("wse2");
  PublishedLayers layers{.device = device};
  ModelConfig m = model(4, 6);
};

TEST_F(Tiny, T10sSumsCrossTheLineInOneChain) {
  double local = 0;
  for (const time::StepTime& s : published_decode_layer(m, 2, 4, device).steps)
    if (!s.name.ends_with(".sum") && s.name != "max") local += static_cast<double>(s.cycles);
  const BaselineTime t = baseline_decode_layer(BaselineSystem::t10, m, 2, 4, layers);
  EXPECT_EQ(t.stages, 10) << "ten sums, one link each";
  EXPECT_EQ(t.relays, 0);
  // In and back: 1, 6, 2, 2, 1, 2, 2, 1, 6 and 2 elements; and the multicast over two hops, ten times.
  EXPECT_DOUBLE_EQ(t.base, local + 2 * (1 + 3 + 1 + 1 + 1 + 1 + 1 + 1 + 3 + 1) + 10 * 2);
}

TEST_F(Tiny, LadderFetchesTheMatricesOfEveryGemv) {
  const BaselineTime t = baseline_decode_layer(BaselineSystem::ladder, m, 2, 4, layers);
  EXPECT_EQ(t.stages, 0);
  EXPECT_EQ(t.relays, 2 * 9) << "nine matrices past two cores";
  // q, k, v, keys, values and out of 4 elements; up, gate and down of 6.
  EXPECT_DOUBLE_EQ(t.base, static_cast<double>(published_decode_layer(m, 2, 4, device).cycles) + 2 * kRelayWordCycles * (6 * 2 + 3 * 3));
}

TEST_F(Tiny, PrefillRelaysBothTilesOfEveryStep) {
  const BaselineTime t = baseline_prefill_layer(m, 2, 4, layers);
  EXPECT_EQ(t.stages, 0);
  EXPECT_EQ(t.relays, 2 * 2 * 2 * 9) << "two steps past two cores, two tiles, nine products";
  // q, k, v; scores, whose left tile stays; values; out; up and gate; down.
  EXPECT_DOUBLE_EQ(t.base, static_cast<double>(published_prefill_layer(m, 2, 4, device).cycles) +
                               4 * kRelayWordCycles * (3 * 4 + 2 + 4 + 4 + 2 * 5 + 6));
}

TEST(Baselines, LinearInTheirConstants) {
  const BaselineTime t{.base = 1000, .relays = 7, .stages = 11};
  const BaselineConstants none{.t10_relay_cycles = 0, .t10_stage_cycles = 0, .ladder_fetch_cycles = 0};
  for (BaselineSystem s : kBoth) EXPECT_EQ(cycles(s, t, none), 1000);
  for (double c : {1.0, 2.0, 50.0}) {
    EXPECT_EQ(cycles(BaselineSystem::t10, t, {.t10_relay_cycles = c, .t10_stage_cycles = 0, .ladder_fetch_cycles = 9}), 1000 + 7 * c);
    EXPECT_EQ(cycles(BaselineSystem::t10, t, {.t10_relay_cycles = 0, .t10_stage_cycles = c, .ladder_fetch_cycles = 9}), 1000 + 11 * c);
    EXPECT_EQ(cycles(BaselineSystem::ladder, t, {.t10_relay_cycles = 9, .t10_stage_cycles = 0, .ladder_fetch_cycles = c}), 1000 + 7 * c);
  }
  EXPECT_GT(cycles(BaselineSystem::t10, t), 1000);
  EXPECT_GT(cycles(BaselineSystem::ladder, t), 1000);
}

TEST(Baselines, LongerLinesAndLargerModelsTakeLonger) {
  const Device d = load_device("wse2");
  PublishedLayers layers{.device = d};
  const auto both = [&](const ModelConfig& m, int side, int64_t positions) {
    std::vector<double> c;
    for (BaselineSystem s : kBoth) {
      c.push_back(cycles(s, baseline_decode_layer(s, m, side, positions, layers)));
      c.push_back(cycles(s, baseline_prefill_layer(m, side, positions, layers)));
    }
    return c;
  };
  const auto less = [](const std::vector<double>& a, const std::vector<double>& b) {
    for (size_t i = 0; i < a.size(); i++) EXPECT_LT(a[i], b[i]) << i;
  };
  // The same work for each core on longer lines.
  for (int side : {4, 8, 16, 32})
    less(both(model(4 * side, 6 * side), side, 4 * side), both(model(8 * side, 12 * side), 2 * side, 8 * side));
  less(both(model(64, 96), 8, 64), both(model(128, 96), 8, 64));
  less(both(model(64, 96), 8, 64), both(model(64, 192), 8, 64));
  less(both(model(64, 96), 8, 64), both(model(64, 96), 8, 128));
}

TEST(Baselines, BothAreSlowerThanThePublishedKernels) {
  const Device d = load_device("wse2");
  PublishedLayers layers{.device = d};
  const ModelConfig m = model(512, 1024);
  for (BaselineSystem s : kBoth) {
    EXPECT_GT(cycles(s, baseline_decode_layer(s, m, 64, 512, layers)), static_cast<double>(layers.decode(m, 64, 512).cycles)) << name(s);
    EXPECT_GT(cycles(s, baseline_prefill_layer(m, 64, 512, layers)), static_cast<double>(layers.prefill(m, 64, 512).cycles)) << name(s);
  }
}

TEST(Gpu, RoofsAndCollectives) {
  // A matrix of 16384 x 16384 in fp16 is read once.
  EXPECT_DOUBLE_EQ(gpu_gemv_seconds(16384, {.gpus = 1}), 2.0 * 16384 * 16384 / 2.039e12);
  const ModelConfig m = model(4096, 14336);
  EXPECT_LT(gpu_decode_seconds(m, 4096, {.gpus = 8}), gpu_decode_seconds(m, 4096, {.gpus = 1}));
  EXPECT_LT(gpu_decode_seconds(m, 4096, {.gpus = 8}), gpu_decode_seconds(m, 4096, {.gpus = 16})) << "the second node is far away";
  EXPECT_LT(gpu_prefill_seconds(m, 1024, {.gpus = 1}), gpu_prefill_seconds(m, 2048, {.gpus = 1}));
  EXPECT_LT(gpu_decode_seconds(m, 1024, {.gpus = 1}), gpu_decode_seconds(m, 2048, {.gpus = 1}));
}

TEST(Gpu, HoldsWhatItsMemoryHolds) {
  EXPECT_TRUE(gpu_holds(paper_model("LLaMA3-8B"), {.gpus = 1}));
  EXPECT_FALSE(gpu_holds(paper_model("QWen2-72B"), {.gpus = 1})) << "145 GB";
  EXPECT_TRUE(gpu_holds(paper_model("QWen2-72B"), {.gpus = 8}));
}

}  // namespace
}  // namespace wafer
