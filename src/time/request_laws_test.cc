// Laws of the cycles of a model's request: what may not change them, and which way what grows must move them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "lower/request_timer.h"
#include "plan/planner.h"
#include "plan/regions.h"
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

// By how much of the smaller of the two the cycles differ if decode has one more row of cores.
double difference(Case s, const Device& d) {
  const double same = transition(s, d);
  s.decode.h++;
  const double taller = transition(s, d);
  return std::fabs(taller - same) / std::min(same, taller);
}

// Decode on a mesh of one more row costs much the same: the layouts differ in both cases, and all weights of layers move.
TEST(TransitionLaw, OneRowMoreIsNotAnotherWorld) {
  const Device d = load_device("wse2");
  for (const Extent e : {Extent{32, 32}, Extent{40, 33}, Extent{33, 64}, Extent{97, 41}, Extent{64, 64}})
    for (const TensorType t : {TensorType::f16, TensorType::q8_0, TensorType::q4_0})
      for (const int64_t kv : {1, 4, 8}) {
        const Case s{.model = shape(3, kv), .weights = t, .prefill = e, .decode = e};
        EXPECT_LE(difference(s, d), 0.25) << e.w << "x" << e.h << " kv " << kv;
      }
}

// Likewise where layers are dealt to regions, which then lie on one grid and are as many in both phases. With a vocabulary that weighs more
// than many layers too: the head has a region of its own, which stays where it is.
TEST(TransitionLaw, OneRowMoreIsNotAnotherWorldBetweenRegions) {
  const Device wse2 = load_device("wse2"), wse3 = load_device("wse3");
  std::minstd_rand random(7);
  const auto draw = [&](int low, int high) { return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)); };
  const auto side = [&] { return draw(0, 2) == 0 ? draw(32, 200) : draw(32, 64); };
  const auto expect = [&](const Case& s, const Device& d) {
    EXPECT_LE(difference(s, d), 0.25) << s.model.name << " on " << d.name << ", " << s.prefill.w << "x" << s.prefill.h << ", "
                                      << name_of(s.weights);
  };
  constexpr TensorType kTypes[] = {TensorType::f16, TensorType::q8_0, TensorType::q4_0};
  int models = 0;
  for (const auto& file : std::filesystem::directory_iterator(WAFER_SOURCE_DIR "/models")) {
    if (file.path().extension() != ".toml") continue;
    const ModelConfig model = load_shape(file.path());
    if (has_experts(model)) continue;  // its steps are not there yet
    models++;
    for (const Extent e : {Extent{32, 32}, Extent{side(), 32}, Extent{side(), side()}})
      expect({.model = model, .weights = kTypes[draw(0, 2)], .prefill = e, .decode = e, .context = 64, .prompt = 32},
             draw(0, 1) == 0 ? wse2 : wse3);
  }
  EXPECT_GE(models, 7);
  int other_number = 0;
  for (int i = 0; i < 24; i++) {
    ModelConfig model = shape(draw(2, 40), 4, draw(1, 4) == 1 ? draw(100'000, 200'000) : draw(500, 40'000));
    model.dim = model.heads * model.head_dim * draw(1, 8);
    model.ffn = model.dim * draw(1, 4) + draw(0, 100);
    model.tied_embedding = draw(0, 1) == 0;
    model.name = fmt::format("{} layers of {}, ffn {}, vocabulary {}", model.layers, model.dim, model.ffn, model.vocab);
    const Extent e{side(), side()};
    Case s{.model = model, .weights = kTypes[draw(0, 2)], .prefill = e, .decode = e, .context = 64, .prompt = 32};
    // On one region the head moves with the layers. Where it weighs more than they do, so does its shift by up to a row: a limit of the
    // links, as what a row of cores is to hold comes in over its column's links.
    Case taller = s;
    taller.decode.h++;
    const Plan plan = lowered(s, wse2).placement.plan, of_taller = lowered(taller, wse2).placement.plan;
    if (!is_dealt(plan.decode)) s.model.vocab = std::min<int64_t>(s.model.vocab, 4 * s.model.layers * 300);
    // A row of cores may be what another layer needs. Then there are fewer regions, each of which moves more layers one after the other.
    if (plan.decode.regions.size() == of_taller.decode.regions.size())
      expect(s, wse2);
    else
      other_number++;
  }
  EXPECT_LE(other_number, 4);
}

// What keeps its place does not move: the head of a model that is dealt to regions, whatever it weighs and however the meshes differ.
TEST(TransitionLaw, TheHeadStaysWhereItIs) {
  const Device d = load_device("wse2");
  for (const Extent e : {Extent{40, 33}, Extent{41, 50}, Extent{36, 90}})
    for (const bool tied : {true, false}) {
      Case small{.model = shape(6, 4, 100'000), .prefill = {40, 33}, .decode = e}, large = small;
      large.model.vocab = 200'000;
      small.model.tied_embedding = large.model.tied_embedding = tied;
      EXPECT_EQ(transition(small, d), transition(large, d)) << e.w << "x" << e.h;
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
