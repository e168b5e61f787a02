#include "paper/published_time.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "paper/published.h"

namespace wafer {
namespace {

ModelConfig small_model() {
  return {.name = "small",
          .architecture = "llama",
          .layers = 3,
          .dim = 64,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 16,
          .ffn = 96,
          .vocab = 80,
          .context = 32,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

bool same(const time::TimeReport& a, const time::TimeReport& b) {
  if (a.cycles != b.cycles || a.steps.size() != b.steps.size()) return false;
  for (size_t i = 0; i < a.steps.size(); i++)
    if (a.steps[i].name != b.steps[i].name || a.steps[i].cycles != b.steps[i].cycles) return false;
  return true;
}

// The request's positions pass the model's context: the paper's arithmetic does not care.
constexpr PublishedRequest kRequest{.prefill_side = 9, .decode_side = 7, .input = 19, .output = 40};

TEST(PublishedTime, TokensGroupedByPaddedPositionsAreThoseTimedOneByOne) {
  const Device d = load_device("wse2");
  const ModelConfig m = small_model();
  for (const auto& [side, input, output] : {std::array<int64_t, 3>{7, 19, 40}, {7, 20, 1}, {7, 21, 7}, {7, 1, 13}, {1, 5, 9}, {12, 3, 4}}) {
    int64_t each = 0;
    for (int64_t context = input + 1; context <= input + output; context++)
      each += m.layers * published_decode_layer(m, static_cast<int>(side), context, d).cycles;
    PublishedLayers layers{.device = d};
    const PublishedRequest r{.prefill_side = 3, .decode_side = static_cast<int>(side), .input = input, .output = output};
    EXPECT_EQ(published_decode_cycles(m, r, layers), each) << side << ", " << input << " + " << output;
  }
}

TEST(PublishedTime, ARequestIsItsParts) {
  const Device d = load_device("wse2");
  const ModelConfig m = small_model();
  PublishedLayers layers{.device = d};
  const PublishedRequestTime t = published_request(m, kRequest, layers);
  EXPECT_EQ(t.prefill, m.layers * published_prefill_layer(m, 9, 19, d).cycles);
  PublishedLayers others{.device = d};
  EXPECT_EQ(t.decode, published_decode_cycles(m, kRequest, others));
  EXPECT_GT(t.transition, 0);
  EXPECT_DOUBLE_EQ(tokens_per_second(kRequest, t, d), 40 * d.clock_hz / static_cast<double>(t.prefill + t.transition + t.decode));
}

TEST(PublishedTime, ALayerIsTimedOnceAndRemembered) {
  const Device d = load_device("wse2");
  ModelConfig m = small_model();
  PublishedLayers layers{.device = d};
  const time::TimeReport& decode = layers.decode(m, 7, 20);
  EXPECT_TRUE(same(decode, published_decode_layer(m, 7, 20, d)));
  EXPECT_EQ(&layers.decode(m, 7, 20), &decode);
  EXPECT_EQ(&layers.decode(m, 7, 21), &decode) << "both are padded to 21";
  EXPECT_NE(&layers.decode(m, 7, 22), &decode);
  EXPECT_NE(&layers.decode(m, 8, 20), &decode);
  const time::TimeReport& prefill = layers.prefill(m, 7, 20);
  EXPECT_TRUE(same(prefill, published_prefill_layer(m, 7, 20, d)));
  EXPECT_EQ(&layers.prefill(m, 7, 15), &prefill);
  m.layers = 5;
  EXPECT_EQ(&layers.decode(m, 7, 20), &decode) << "the number of layers is no matter of one";
  m.ffn = 97;
  EXPECT_NE(&layers.decode(m, 7, 20), &decode);
}

TEST(PublishedTime, GroupsAreThePublishedOnesUnlessGiven) {
  const Device d = load_device("wse2");
  const ModelConfig m = small_model();
  EXPECT_EQ(published_decode_layer(m, 36, 20, d).cycles, published_decode_layer(m, 36, 20, d, published_groups(36)).cycles);
  EXPECT_GT(published_decode_layer(m, 36, 20, d, 1).cycles, published_decode_layer(m, 36, 20, d, 6).cycles);
}

TEST(PublishedTime, OnWse3TheRoutesAreRewritten) {
  const auto route_changes = [](const char* name) {
    int64_t sum = 0;
    for (const time::StepTime& s : published_decode_layer(small_model(), 7, 20, load_device(name)).steps) sum += s.actions.route_changes;
    return sum;
  };
  EXPECT_EQ(route_changes("wse2"), 0);
  EXPECT_EQ(route_changes("wse3"), 6 * 5 * 7 * 7) << "five colours at six changes of axis on every core";
}

TEST(PublishedTime, ThreadsChangeNothing) {
  const Device d = load_device("wse2");
  const ModelConfig m = small_model();
  set_thread_count(1);
  const time::TimeReport decode = published_decode_layer(m, 50, 100, d), prefill = published_prefill_layer(m, 50, 100, d);
  for (int threads : {2, 3, 8}) {
    set_thread_count(threads);
    EXPECT_TRUE(same(published_decode_layer(m, 50, 100, d), decode)) << threads;
    EXPECT_TRUE(same(published_prefill_layer(m, 50, 100, d), prefill)) << threads;
  }
  set_thread_count(0);
}

}  // namespace
}  // namespace wafer
