// Parts of a request are what time_entry() says of their entries; a search is never worse than the rule, and always the same.
#include "search/search.h"

#include <gtest/gtest.h>

#include <set>

#include "base/parallel.h"
#include "lower/request_timer.h"
#include "mesh/verify.h"
#include "search/estimate.h"
#include "support/planned_model.h"

namespace wafer {
namespace {

using namespace mesh;

// The formulas only rank; but they should not be far off.
TEST(Estimate, IsNearTheTimedCycles) {
  const Device d = load_device("wse2");
  for (const Extent e : {Extent{16, 16}, Extent{40, 40}, Extent{48, 24}, Extent{20, 40}}) {
    const ModelConfig c = small_shape(256, 2);
    const Lowered l = planned(c, d, {.context = 200, .prefill_mesh = e, .decode_mesh = e});
    const time::RequestTimer timer = request_timer(l, d);
    const Plan& plan = l.placement.plan;
    const double token = layer_part(timer.decode(199, 1), c.layers).cycles;
    EXPECT_NEAR(decode_estimate(c, d, plan, e, 199).layer, token, 0.1 * token) << e.w << "x" << e.h;
    const double prompt = layer_part(timer.prefill(200), c.layers).cycles;
    EXPECT_NEAR(prefill_estimate(c, d, plan, e, 200, plan.chunk).layer, prompt, 0.4 * prompt) << e.w << "x" << e.h;
  }
}

struct Case {
  const char* device;
  ModelConfig config;
  PlanRequest request;
};

std::vector<Case> cases() {
  return {{"tiny", small_shape(64, 2), {.context = 64}},
          {"wse2", small_shape(256, 4), {.context = 200, .max_prompt = 150}},
          {"wse2", small_shape(128, 6), {.numerics = Numerics::fp16, .context = 32}},
          {"tiny", small_shape(64, 3), {.numerics = Numerics::fp32, .context = 1}}};
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
      const time::RequestTimer timer = request_timer(l, d);
      const double request = timer.prefill(r.prompt).cycles + timer.transition(r.prompt).cycles +
                             static_cast<double>(r.generated) * timer.decode(r.prompt + r.generated / 2, 1).cycles;
      EXPECT_NEAR(request, static_cast<double>(r.request_cycles), 1e-3 * request);
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
  ModelConfig c = small_shape(512, 40);
  c.vocab = 100000;
  const SearchResult r = search_plan(c, uniform_types(TensorType::f16), load_device("tiny"), {.context = 64}, Goal::latency);
  EXPECT_FALSE(r.plan.fits);
  EXPECT_NE(r.plan.reason.find("too much"), std::string::npos) << r.plan.reason;
}

}  // namespace
}  // namespace wafer
