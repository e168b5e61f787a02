// What time() takes as alike, against timing all of it: turns of loops, chunks of a prompt, positions of a decode.
#include "report/extrapolation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "lower/request_timer.h"
#include "plan/planner.h"
#include "time/request.h"

namespace wafer::time {

using namespace mesh;

namespace {

int64_t draw(Rng& rng, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(most - least + 1)));
}

struct Drawn {
  Lowered lowered;
  int64_t prompt = 0;
};

Drawn draw_model(Rng& rng, const Device& d) {
  const int64_t kv = draw(rng, 1, 4), group = draw(rng, 1, 4), head_dim = 2 * draw(rng, 4, 16);
  const ModelConfig c{.name = "drawn",
                      .architecture = "llama",
                      .layers = draw(rng, 3, 24),
                      .dim = 8 * draw(rng, 4, 40),
                      .heads = kv * group,
                      .kv_heads = kv,
                      .head_dim = head_dim,
                      .ffn = draw(rng, 20, 400),
                      .vocab = draw(rng, 50, 500),
                      .context = 1024,
                      .norm_epsilon = 1e-5f,
                      .rope_base = 1e4};
  const Extent prefill{static_cast<int>(draw(rng, 1, 40)), static_cast<int>(draw(rng, 1, 40))},
      decode{static_cast<int>(draw(rng, 1, 40)), static_cast<int>(draw(rng, 1, 40))};
  const int64_t prompt = draw(rng, 10, 300);
  const PlanRequest request{.numerics = static_cast<Numerics>(draw(rng, 0, 2)),
                            .context = prompt + 100,
                            .max_prompt = prompt,
                            .chunk = std::max<int64_t>(1, prompt / draw(rng, 1, 9)),
                            .prefill_mesh = prefill,
                            .decode_mesh = decode};
  const WeightTypes types = uniform_types(TensorType::f16);
  return {.lowered = lower(c, types, make_plan(c, types, d, request).plan, limits_of(d).mesh), .prompt = prompt};
}

void expect_near(double taken, double exact, const std::string& what) {
  EXPECT_LE(std::fabs(taken - exact), kExtrapolationError * exact) << what << ": " << taken << " for " << exact;
}

TEST(Extrapolation, OfTurnsIsWithinItsBound) {
  Rng rng(41);
  double taken_share = 0;
  for (int i = 0; i < 25; i++) {
    const Device d = load_device(i % 2 == 0 ? "wse2" : "wse3");
    const Drawn m = draw_model(rng, d);
    const int64_t chunk = m.lowered.placement.plan.chunk, before = (m.prompt - 1) / chunk * chunk;
    const struct {
      const char* entry;
      Params params;
    } starts[] = {{"prefill", {.cached = before, .rows = m.prompt - before, .chunk = chunk}},
                  {"prefill", {.cached = 0, .rows = std::min(chunk, m.prompt), .chunk = chunk}},
                  {"decode", {.cached = m.prompt, .rows = 1, .chunk = chunk}}};
    for (const auto& s : starts) {
      const TimeReport all = time_entry(m.lowered.program(), d, s.entry, s.params, {.turns = 0}),
                       few = time_entry(m.lowered.program(), d, s.entry, s.params),
                       one_layer = time_entry(m.lowered.program(), d, s.entry, s.params, {.one_layer_core_steps = 0});
      EXPECT_EQ(all.extrapolated_cycles, 0);
      for (const TimeReport* r : {&few, &one_layer}) {
        expect_near(static_cast<double>(r->cycles), static_cast<double>(all.cycles), std::string(s.entry) + " " + std::to_string(i));
        if (r->cycles != all.cycles) {
          EXPECT_GT(r->extrapolated_cycles, 0) << "a figure that is not exact says so";
        }
        EXPECT_LE(r->extrapolated_cycles, r->cycles);
        int64_t sum = 0;
        for (const StepTime& line : r->steps) sum += line.cycles;
        EXPECT_EQ(sum, r->cycles);
      }
      taken_share = std::max(taken_share, static_cast<double>(one_layer.extrapolated_cycles) / static_cast<double>(one_layer.cycles));
    }
  }
  EXPECT_GT(taken_share, 0.5) << "nothing was extrapolated";
}

TEST(Extrapolation, OfChunksAndPositionsIsWithinItsBound) {
  Rng rng(42);
  for (int i = 0; i < 12; i++) {
    const Device d = load_device("wse2");
    const Drawn m = draw_model(rng, d);
    const RequestTimer few = request_timer(m.lowered, d);
    RequestTimer all = few;
    all.chunks = m.prompt;
    expect_near(few.prefill(m.prompt).cycles, all.prefill(m.prompt).cycles, "chunks " + std::to_string(i));
    double exact = 0;
    for (int64_t n = m.prompt; n < m.prompt + 99; n++) exact += all.decode(n, 1).cycles;
    const PartTime decode = few.decode(m.prompt, 99);
    EXPECT_LT(decode.starts_timed, decode.starts);
    expect_near(decode.cycles, exact, "positions " + std::to_string(i));
  }
}

}  // namespace
}  // namespace wafer::time
