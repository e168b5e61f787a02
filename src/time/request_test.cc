#include "time/request.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "lower/request_timer.h"
#include "support/planned_model.h"

namespace wafer::time {

using namespace mesh;

namespace {

double sum_of(const PartTime& part) {
  double sum = 0;
  for (const StepCycles& s : part.steps) sum += s.cycles;
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
  const Lowered l = planned(small_shape(64, 3), d,
                            {.context = 60, .max_prompt = 40, .chunk = 15, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const auto cycles = [&](const char* entry, const Params& p) { return time_entry(l.program(), d, entry, p).cycles; };
  const RequestTimer timer = request_timer(l, d);
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
  for (const PartTime& part : {timer.decode(40, 17), timer.prefill(33), timer.transition(9)}) EXPECT_EQ(sum_of(part), part.cycles);
  // Whole cycles add up too, also where lines were drawn between positions.
  const PartTime long_decode = timer.decode(1, 59 - 1 + 12);
  EXPECT_LT(long_decode.starts_timed, long_decode.starts);
  const std::vector<int64_t> whole = whole_cycles(long_decode);
  EXPECT_EQ(std::accumulate(whole.begin(), whole.end(), int64_t{0}), cycles_of(long_decode));
}

TEST(RequestTimer, ALayerIsAShareOfTheWhole) {
  const Device d = load_device("wse2");
  const Lowered l = planned(small_shape(64, 3), d, {.context = 60, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const PartTime whole = request_timer(l, d).decode(59, 1), layer = layer_part(whole, 3);
  EXPECT_EQ(sum_of(layer), layer.cycles);
  std::set<std::string> in_layer;
  for (const StepCycles& s : layer.steps) in_layer.insert(s.name);
  double others = 0;
  for (const StepCycles& s : whole.steps) others += s.cycles - s.layer_cycles;
  EXPECT_DOUBLE_EQ((whole.cycles - others) / 3, layer.cycles);
  EXPECT_GT(others, 0);
  EXPECT_TRUE(in_layer.contains("silu") && in_layer.contains("qkv.reduce"));
  EXPECT_FALSE(in_layer.contains("logits.reduce"));
}

// Where each row's logits are asked for, each goes through the head.
TEST(RequestTimer, EveryRowOfTheHeadCounts) {
  const Device d = load_device("wse2");
  const Lowered l = planned(small_shape(64, 3), d, {.context = 60, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const RequestTimer timer = request_timer(l, d);
  const double none = timer.prefill(60, 0).cycles, one = timer.prefill(60, 1).cycles;
  EXPECT_GT(one, none);
  EXPECT_DOUBLE_EQ(timer.prefill(60, 60).cycles, none + 60 * (one - none));
}

// Of each core every cycle of a part is told: computing, communicating, or waiting.
TEST(RequestTimer, TheCyclesOfCoresAddUp) {
  const Device d = load_device("wse2");
  const Lowered l = planned(small_shape(64, 3), d, {.context = 60, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const RequestTimer timer = request_timer(l, d);
  const PartTime prefill = timer.prefill(60), decode = timer.decode(40, 5);
  EXPECT_NEAR(prefill.cores.total(), 9 * 7 * prefill.cycles, 1e-9 * prefill.cores.total());
  EXPECT_NEAR(decode.cores.total(), 6 * 8 * decode.cycles, 1e-9 * decode.cores.total());
}

// A layer tells its share of what was taken as alike.
TEST(RequestTimer, ALayerTellsWhatWasTakenAsAlike) {
  const Device d = load_device("wse2");
  const Lowered l = planned(small_shape(64, 3), d, {.context = 60, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  RequestTimer timer = request_timer(l, d);
  timer.options.one_layer_core_steps = 0;
  const PartTime whole = timer.prefill(60), layer = layer_part(whole, 3);
  EXPECT_GT(whole.extrapolated_cycles, 0);
  EXPECT_DOUBLE_EQ(layer.extrapolated_cycles, std::min(layer.cycles, whole.extrapolated_cycles / 3));
}

TEST(RequestTimer, GroupsChangeTheCycles) {
  const Device d = load_device("wse2");
  const ModelConfig c = small_shape(128, 2);
  const auto cycles = [&](std::vector<int> groups) {
    const Lowered l =
        planned(c, d, {.context = 60, .prefill_mesh = Extent{64, 64}, .decode_mesh = Extent{64, 64}, .groups = std::move(groups)});
    return request_timer(l, d).decode(59, 1).cycles;
  };
  EXPECT_EQ(cycles({}), cycles({8}));  // round(sqrt(64))
  EXPECT_GT(cycles({1}), cycles({8}));
  EXPECT_NE(cycles({16}), cycles({8}));
}

// Routes are rewritten inside a layer of prefill (between rows and attention), and that is a part of the layer.
TEST(RequestTimer, ALayerHasItsRouteChanges) {
  Device d = load_device("wse2");
  const Lowered l = planned(small_shape(64, 3), d, {.context = 60, .prefill_mesh = Extent{9, 7}, .decode_mesh = Extent{6, 8}});
  const auto layer = [&] { return layer_part(request_timer(l, d).prefill(60), 3); };
  const PartTime before = layer();
  const auto routes = std::find_if(before.steps.begin(), before.steps.end(), [](const StepCycles& s) { return s.name == kRouteChange; });
  ASSERT_NE(routes, before.steps.end());
  EXPECT_EQ(routes->kind, StepKind::routes);
  EXPECT_GT(routes->cycles, 0);
  d.route_change_cycles += 100;
  EXPECT_GT(layer().cycles, before.cycles);
}

}  // namespace
}  // namespace wafer::time
