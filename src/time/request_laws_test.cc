// Laws of the cycles of a model's request: what may not change them, and which way what grows must move them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lower/request_timer.h"
#include "plan/planner.h"
#include "time/request.h"

namespace wafer::time {

using namespace mesh;

namespace {

ModelConfig shape(int64_t layers, int64_t kv_heads = 4, int64_t vocab = 700) {
  return {.name = "shape",
          .architecture = "llama",
          .layers = layers,
          .dim = 320,
          .heads = 8,
          .kv_heads = kv_heads,
          .head_dim = 40,
          .ffn = 900,
          .vocab = vocab,
          .context = 1024,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

struct Case {
  ModelConfig model = shape(3);
  TensorType weights = TensorType::f16;
  Extent prefill{40, 33}, decode{40, 33};
  int64_t context = 300, prompt = 200, chunk = 0;
  Numerics numerics = Numerics::mixed;
};

Lowered lowered(const Case& s, const Device& d) {
  const PlanRequest request{.numerics = s.numerics,
                            .context = s.context,
                            .max_prompt = s.prompt,
                            .chunk = s.chunk,
                            .prefill_mesh = s.prefill,
                            .decode_mesh = s.decode};
  const WeightTypes types = uniform_types(s.weights);
  return lower(s.model, types, make_plan(s.model, types, d, request).plan, limits_of(d).mesh);
}

double transition(const Case& s, const Device& d) {
  const Lowered l = lowered(s, d);
  return request_timer(l, d).transition(s.prompt).cycles;
}

// Decode on a mesh of one more row costs much the same: the layouts differ in both cases, and all weights move.
TEST(TransitionLaw, OneRowMoreIsNotAnotherWorld) {
  const Device d = load_device("wse2");
  for (const Extent e : {Extent{32, 32}, Extent{40, 33}, Extent{33, 64}, Extent{97, 41}, Extent{64, 64}})
    for (const TensorType t : {TensorType::f16, TensorType::q8_0, TensorType::q4_0})
      for (const int64_t kv : {1, 4, 8}) {
        Case s{.model = shape(3, kv), .weights = t, .prefill = e, .decode = e};
        const double same = transition(s, d);
        s.decode.h++;
        const double taller = transition(s, d);
        EXPECT_LE(std::fabs(taller - same), 0.25 * std::max(same, taller))
            << e.w << "x" << e.h << " kv " << kv << ": " << same << ", " << taller;
      }
}

// Likewise where the phases deal the layers to different regions, so that layers wait for the links of one region one after another.
TEST(TransitionLaw, OneRowMoreIsNotAnotherWorldBetweenRegions) {
  const Device d = load_device("wse2");
  const ModelConfig model = load_shape(WAFER_SOURCE_DIR "/models/tinyllama-1.1b.toml");
  for (const Extent e : {Extent{101, 211}, Extent{211, 101}, Extent{150, 120}, Extent{180, 90}}) {
    Case s{.model = model, .prefill = e, .decode = e, .context = 16, .prompt = 8, .chunk = 8};
    const double same = transition(s, d);
    s.decode.h++;
    const double taller = transition(s, d);
    EXPECT_LE(std::fabs(taller - same), 0.25 * std::max(same, taller)) << e.w << "x" << e.h << ": " << same << ", " << taller;
  }
}

// The scales of a quantised tensor move too, and more bytes never move faster.
TEST(TransitionLaw, MoreBytesTakeLonger) {
  const Device d = load_device("wse2");
  const auto of = [&](TensorType t, Numerics n) { return transition({.weights = t, .numerics = n}, d); };
  EXPECT_GT(of(TensorType::f16, Numerics::mixed), of(TensorType::q8_0, Numerics::mixed));
  EXPECT_GT(of(TensorType::q8_0, Numerics::mixed), of(TensorType::q4_0, Numerics::mixed));
  EXPECT_GT(of(TensorType::f16, Numerics::fp32), of(TensorType::f16, Numerics::mixed));
}

TEST(RequestLaw, MoreWorkNeverTakesLess) {
  const Device d = load_device("wse2");
  for (const Extent e : {Extent{1, 1}, Extent{7, 5}, Extent{40, 33}, Extent{13, 50}}) {
    const Case s{.prefill = e, .decode = e};
    const Lowered l = lowered(s, d);
    const RequestTimer timer = request_timer(l, d);
    // Fewer tokens than core rows lie on other rows when one is added, and so wait for others: the same work for the busiest core may end
    // a little earlier.
    double before = 0;
    for (int64_t tokens : {1, 2, 3, 10, 11, 64, 65, 130, 199, 200}) {
      const double cycles = timer.prefill(tokens).cycles;
      EXPECT_GE(cycles, 0.995 * before) << tokens << " tokens on " << e.w << "x" << e.h;
      before = std::max(before, cycles);
    }
    // A core row that has one key more than the others waits for no one else, so more keys may end a row's skew: by at most a row's key.
    before = 0;
    for (int64_t cached : {0, 1, 2, 10, 40, 41, 100, 200, 299}) {
      const double cycles = timer.decode(cached, 1).cycles;
      EXPECT_GE(cycles, 0.995 * before) << "position " << cached << " on " << e.w << "x" << e.h;
      before = std::max(before, cycles);
    }
    double layers_before = 0, prompt_before = 0;
    for (int64_t layers : {1, 2, 3, 8}) {
      Case more = s;
      more.model = shape(layers);
      const Lowered m = lowered(more, d);
      const double token = request_timer(m, d).decode(100, 1).cycles, prompt = request_timer(m, d).prefill(200).cycles;
      EXPECT_GT(token, layers_before);
      EXPECT_GT(prompt, prompt_before);
      layers_before = token;
      prompt_before = prompt;
    }
  }
}

// A draw by the host needs the logits there and the token back; the way to the wafer's edge is timed.
TEST(RequestLaw, ADrawByTheHostCostsTheWayToTheEdge) {
  Device d = load_device("wse2");
  const Case s;
  PlanRequest request{
      .context = s.context, .max_prompt = s.prompt, .prefill_mesh = s.prefill, .decode_mesh = s.decode, .host_choice = true};
  const WeightTypes types = uniform_types(s.weights);
  const Lowered drawn = lower(s.model, types, make_plan(s.model, types, d, request).plan, limits_of(d).mesh), greedy = lowered(s, d);
  const auto host = [&](const Lowered& l) {
    double cycles = 0;
    for (const StepCycles& step : request_timer(l, d).decode(100, 1).steps)
      if (step.kind == StepKind::host) cycles += step.cycles;
    return cycles;
  };
  EXPECT_GE(host(drawn), s.decode.w + s.decode.h) << "the token comes over the mesh";
  EXPECT_GT(host(greedy), 0);
  EXPECT_LT(host(greedy), 40);
}

}  // namespace
}  // namespace wafer::time
