// Parts of a request are what time_entry() says of their entries; a search is never worse than the rule, and always the same.
#include "search/search.h"

#include <gtest/gtest.h>

#include <set>

#include "base/parallel.h"
#include "mesh/verify.h"
#include "search/estimate.h"
#include "search/request_time.h"

namespace wafer {
namespace {

using namespace mesh;

ModelConfig shape(int64_t dim, int64_t layers) {
  return {.name = "shape",
          .architecture = "llama",
          .layers = layers,
          .dim = dim,
          .heads = 8,
          .kv_heads = 4,
          .head_dim = dim / 8,
          .ffn = 3 * dim,
          .vocab = 512,
          .context = 256,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Lowered planned(const ModelConfig& c, const Device& d, PlanRequest request) {
  const PlanResult r = make_plan(c, uniform_types(TensorType::f16), d, request);
  return lower(c, uniform_types(TensorType::f16), r.plan, limits_of(d).mesh);
}

int64_t sum_of(const TimedPart& part) {
  int64_t sum = 0;
  for (const TimedStep& s : part.steps) sum += s.cycles;
  return sum;
}

TEST(SamplePositions, StandForTheSumOfLines) {
  for (int64_t count : {0, 1, 2, 3, 32, 33, 34, 35, 100, 4095}) {
    const auto list = sample_positions(7, count, 33);
    EXPECT_EQ(list.size(), static_cast<size_t>(std::min<int64_t>(count, 33)));
    double ones = 0, line = 0;
    for (const WeightedPosition& w : list) {
      ones += w.weight;
      line += w.weight * static_cast<double>(3 * w.position + 1);
      EXPECT_GT(w.weight, 0);
    }
    EXPECT_NEAR(ones, static_cast<double>(count), 1e-9 * static_cast<double>(count + 1));
    int64_t exact = 0;
    for (int64_t p = 7; p < 7 + count; p++) exact += 3 * p + 1;
    EXPECT_NEAR(line, static_cast<double>(exact), 1e-9 * static_cast<double>(exact + 1)) << count;
    if (count > 0) {
      EXPECT_EQ(list.front().position, 7);
      EXPECT_EQ(list.back().position, 7 + count - 1);
    }
  }
}

TEST(RequestTimer, SaysWhatTimeEntrySays) {
  const Device d = load_device("wse2");
  const Lowered l =
      planned(shape(64, 3), d, {.context = 60, .max_prompt = 40, .chunk = 15, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const auto cycles = [&](const char* entry, const Params& p) { return time::time_entry(l.program(), d, entry, p).cycles; };
  const RequestTimer timer{l, d};
  EXPECT_EQ(timer.decode(44, 1).cycles, cycles("decode", {.cached = 44, .rows = 1, .chunk = 15}));
  EXPECT_EQ(timer.decode(40, 3).cycles, cycles("decode", {.cached = 40, .rows = 1, .chunk = 15}) +
                                            cycles("decode", {.cached = 41, .rows = 1, .chunk = 15}) +
                                            cycles("decode", {.cached = 42, .rows = 1, .chunk = 15}));
  EXPECT_EQ(timer.decode(40, 0).cycles, 0);
  EXPECT_EQ(timer.prefill(40).cycles, cycles("prefill", {.cached = 0, .rows = 15, .chunk = 15}) +
                                          cycles("prefill", {.cached = 15, .rows = 15, .chunk = 15}) +
                                          cycles("prefill", {.cached = 30, .rows = 10, .chunk = 15}) +
                                          cycles("row", {.cached = 30, .rows = 10, .row = 9, .chunk = 15}));
  EXPECT_EQ(timer.transition(40).cycles, cycles("transition", {.cached = 40, .rows = 0, .chunk = 15}));
  for (const TimedPart& part : {timer.decode(40, 17), timer.prefill(33), timer.transition(9)}) EXPECT_EQ(sum_of(part), part.cycles);
}

TEST(RequestTimer, ALayerIsAShareOfTheWhole) {
  const Device d = load_device("wse2");
  const Lowered l = planned(shape(64, 3), d, {.context = 60, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const TimedPart whole = RequestTimer{l, d}.decode(59, 1), layer = layer_part(l, "decode", whole);
  EXPECT_EQ(sum_of(layer), layer.cycles);
  std::set<std::string> in_layer;
  for (const TimedStep& s : layer.steps) in_layer.insert(s.name);
  int64_t others = 0;
  for (const TimedStep& s : whole.steps)
    if (!in_layer.contains(s.name)) others += s.cycles;
  EXPECT_EQ((whole.cycles - others) / 3, layer.cycles);
  EXPECT_TRUE(in_layer.contains("silu") && in_layer.contains("qkv.reduce"));
  EXPECT_FALSE(in_layer.contains("logits.reduce"));
}

TEST(RequestTimer, GroupsChangeTheCycles) {
  const Device d = load_device("wse2");
  const ModelConfig c = shape(128, 2);
  const auto cycles = [&](std::vector<int> groups) {
    return RequestTimer{planned(c, d, {.context = 60, .prefill_mesh = Extent{64, 64}, .decode_mesh = Extent{64, 64}, .groups = groups}), d}
        .decode(59, 1)
        .cycles;
  };
  EXPECT_EQ(cycles({}), cycles({8}));  // round(sqrt(64))
  EXPECT_GT(cycles({1}), cycles({8}));
  EXPECT_NE(cycles({16}), cycles({8}));
}

// The formulas only rank; but they should not be far off.
TEST(Estimate, IsNearTheTimedCycles) {
  const Device d = load_device("wse2");
  for (const Extent e : {Extent{16, 16}, Extent{40, 40}, Extent{48, 24}, Extent{20, 40}}) {
    const ModelConfig c = shape(256, 2);
    const Lowered l = planned(c, d, {.context = 200, .prefill_mesh = e, .decode_mesh = e});
    const RequestTimer timer{l, d};
    const Plan& plan = l.placement.plan;
    const double token = static_cast<double>(layer_part(l, "decode", timer.decode(199, 1)).cycles);
    EXPECT_NEAR(decode_estimate(c, d, plan, e, 199).layer, token, 0.1 * token) << e.w << "x" << e.h;
    const double prompt = static_cast<double>(layer_part(l, "prefill", timer.prefill(200)).cycles);
    EXPECT_NEAR(prefill_estimate(c, d, plan, e, 200, plan.chunk).layer, prompt, 0.4 * prompt) << e.w << "x" << e.h;
  }
}

struct Case {
  const char* device;
  ModelConfig config;
  PlanRequest request;
};

std::vector<Case> cases() {
  return {{"tiny", shape(64, 2), {.context = 64}},
          {"wse2", shape(256, 4), {.context = 200, .max_prompt = 150}},
          {"wse2", shape(128, 6), {.numerics = Numerics::fp16, .context = 32}},
          {"tiny", shape(64, 3), {.numerics = Numerics::fp32, .context = 1}}};
}

TEST(Search, IsNeverWorseThanTheRuleAndFits) {
  for (const Case& c : cases())
    for (const Goal goal : {Goal::latency, Goal::throughput}) {
      const Device d = load_device(c.device);
      const WeightTypes types = uniform_types(TensorType::f16);
      const SearchResult r = search_plan(c.config, types, d, c.request, goal);
      EXPECT_LE(r.request_cycles, r.default_cycles);
      EXPECT_TRUE(r.plan.fits) << r.plan.reason;
      const Lowered l = lower(c.config, types, r.plan.plan, limits_of(d).mesh);
      EXPECT_TRUE(verify(l.program(), limits_of(d)).empty());
      EXPECT_GT(r.candidates, 0);
      EXPECT_EQ(r.prompt + r.generated, c.request.context);
      // What it promises is what time_entry() says of the plan.
      if (goal == Goal::throughput) continue;
      const RequestTimer timer{l, d};
      const int64_t request = timer.prefill(r.prompt).cycles + timer.transition(r.prompt).cycles +
                              r.generated * timer.decode(r.prompt + r.generated / 2, 1).cycles;
      EXPECT_NEAR(static_cast<double>(request), static_cast<double>(r.request_cycles), 1e-3 * static_cast<double>(request));
    }
}

TEST(Search, IsTheSameForAnyNumberOfThreads) {
  const Case c = cases()[1];
  const Device d = load_device(c.device);
  const auto run = [&](int threads) {
    set_thread_count(threads);
    return search_plan(c.config, uniform_types(TensorType::f16), d, c.request, Goal::latency);
  };
  const SearchResult a = run(1), b = run(3), e = run(0);
  for (const SearchResult* o : {&b, &e}) {
    EXPECT_EQ(a.request_cycles, o->request_cycles);
    EXPECT_EQ(a.candidates, o->candidates);
    EXPECT_EQ(a.plan.plan.groups, o->plan.plan.groups);
    EXPECT_EQ(a.plan.plan.decode.regions.front().rect, o->plan.plan.decode.regions.front().rect);
    EXPECT_EQ(a.plan.plan.prefill.regions.front().rect, o->plan.plan.prefill.regions.front().rect);
    EXPECT_EQ(a.plan.plan.chunk, o->plan.plan.chunk);
  }
}

TEST(Search, TooLargeAModelIsAnAnswer) {
  ModelConfig c = shape(512, 40);
  c.vocab = 100000;
  const SearchResult r = search_plan(c, uniform_types(TensorType::f16), load_device("tiny"), {.context = 64}, Goal::latency);
  EXPECT_FALSE(r.plan.fits);
  EXPECT_NE(r.plan.reason.find("too much"), std::string::npos) << r.plan.reason;
}

}  // namespace
}  // namespace wafer
