// Loops whose turns are not all timed, and regions that wait: against each turn and each region by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernel_bench/gemm_program.h"
#include "mesh/builder.h"
#include "time/time.h"

namespace wafer::time {

using namespace mesh;

namespace {

// Regions of 4 x 3 cores side by side, each with the same two phases of one colour a region.
struct LoopsTest : ::testing::Test {
  Device d = load_device("wse2");
  Program p;
  PhaseId a, b;
  std::vector<RegionId> regions;
  std::vector<RouteId> routes_a, routes_b;  // [regions]

  void setup(int count) {
    p = {};
    p.mesh = {64, 64};
    for (int r = 0; r < count; r++) regions.push_back(add_region(p, {.name = "r", .rect = {4 * r, 0, 4, 3}}));
    a = add_phase(p, "a");
    b = add_phase(p, "b");
    for (const RegionId r : regions) {
      routes_a.push_back(add_route(p, "a", a, r, Axis::x, {straight(0, 1)}));
      routes_b.push_back(add_route(p, "b", b, r, Axis::x, {straight(1, 0)}));
    }
  }
  // A step of so many cycles on all cores.
  static Step work(int64_t cycles, PhaseId phase, std::vector<RouteId> routes = {}) {
    Work w;
    w.vectors = {{.count = cycles, .elements = 0, .unit = VectorUnit::add, .map = true}};
    return {.name = "work", .phase = phase, .what = Opaque{w}, .routes = std::move(routes)};
  }
  static Step layers(int64_t turns, Steps body) {
    return {.name = "layers", .what = Loop{.var = LoopVar::layer, .count = CountKind::fixed, .fixed = turns, .body = std::move(body)}};
  }
  MoveId move(RegionId from, RegionId to, int64_t words) {
    const TensorId t = add_tensor(p, {.name = "t", .dtype = Dtype::f32, .dims = {dim("n", words)}});
    const auto buffer = [&](RegionId r) { return add_buffer(p, {.name = "t", .tensor = t, .region = r, .phases = {a}}); };
    const BufferId source = buffer(from), destination = buffer(to);
    return add_move(p, {.name = "m", .source = source, .destination = destination});
  }
  TimeReport time(std::vector<RegionSteps> lists, const TimeOptions& options = {}) {
    p.entries = {{.name = "e", .lists = std::move(lists)}};
    return time_entry(p, d, "e", {}, options);
  }
  // The same with every region and every turn by itself: who is watched does not remember.
  TimeReport each(std::vector<RegionSteps> lists) {
    return time(std::move(lists), {.turns = 0, .watch = [](const StepClocks&) {}});
  }
  static int64_t sum_of(const TimeReport& r) {
    return std::accumulate(r.steps.begin(), r.steps.end(), int64_t{0}, [](int64_t n, const StepTime& s) { return n + s.cycles; });
  }
  static int64_t route_changes(const TimeReport& r) {
    return std::accumulate(r.steps.begin(), r.steps.end(), int64_t{0},
                           [](int64_t n, const StepTime& s) { return n + s.actions.route_changes; });
  }
};

// Its cycles while it overtakes another region are its own only from there on; they still add up.
TEST_F(LoopsTest, ARegionThatCatchesUp) {
  setup(2);
  const TimeReport r = time({{regions[0], {work(1000, a)}}, {regions[1], {layers(10, {work(300, a)})}}});
  const int64_t turn = time({{regions[1], {work(300, a)}}}).cycles;
  EXPECT_EQ(r.cycles, 10 * turn);
  EXPECT_EQ(sum_of(r), r.cycles);
}

// The routes that a loop leaves are those of its end, also where another region has done its turns.
TEST_F(LoopsTest, RoutesAfterTurnsOfAnotherRegion) {
  setup(2);
  std::vector<RegionSteps> lists;
  for (size_t r = 0; r < 2; r++)
    lists.push_back({regions[r],
                     {layers(3, {work(50, a, {routes_a[r]}), work(70, b, {routes_b[r]})}), work(20, a, {routes_a[r]}),
                      layers(3, {work(50, a, {routes_a[r]}), work(70, b, {routes_b[r]})})}});
  const TimeReport taken = time(lists), exact = each(lists);
  EXPECT_EQ(taken.cycles, exact.cycles);
  EXPECT_EQ(route_changes(taken), route_changes(exact));
  EXPECT_GT(route_changes(exact), 0);
}

// A region that starts its loop earlier than the one that has done the turns waits for what comes later all the same.
TEST_F(LoopsTest, AnEarlierStartThanTheTurnsKnown) {
  setup(3);
  const MoveId m = move(regions[2], regions[1], 8);
  const std::vector<RegionSteps> lists = {
      {regions[0], {work(1000, a), layers(3, {work(300, a)})}},
      {regions[1], {work(50, a), layers(3, {work(300, a)}), {.name = "r", .what = Receive{m}}, work(10, a)}},
      {regions[2], {work(100'000, a), {.name = "s", .what = Send{m}}}}};
  const TimeReport taken = time(lists), exact = each(lists);
  EXPECT_GT(exact.cycles, 100'000);
  EXPECT_EQ(taken.cycles, exact.cycles);
}

// The first turn finds the routes as it needs them, the others change them back: one turn cannot stand for all.
TEST_F(LoopsTest, AFirstTurnThatFindsItsRoutes) {
  p = kernels::gemm_program({.m = 8, .k = 8, .n = 8, .mesh = {4, 4}}, {64, 64});
  RegionSteps list = p.entries.front().lists.front();
  a = list.steps.front().phase;
  b = add_phase(p, "b");
  for (Step& s : list.steps) s.routes = {add_route(p, "a", a, list.region, Axis::y, {straight(0, 1)})};
  const RouteId other = add_route(p, "b", b, list.region, Axis::x, {straight(0, 1)});
  Steps body = list.steps, all = list.steps;
  body.push_back(work(30, b, {other}));
  all.push_back(layers(20, body));
  d.route_change_cycles = 500;
  p.entries = {{.name = "e", .lists = {{.region = list.region, .steps = all}}}};
  const Params params{.rows = 8};
  const TimeReport exact = time_entry(p, d, "e", params, {.turns = 0}), taken = time_entry(p, d, "e", params, {.one_layer_core_steps = 0});
  EXPECT_GT(route_changes(exact), 0);
  EXPECT_NEAR(static_cast<double>(taken.cycles), static_cast<double>(exact.cycles), 0.002 * static_cast<double>(exact.cycles));
}

// Two values that a region waits for, the later one first, while some of its cores are busy past both: none goes on before the later.
TEST_F(LoopsTest, TheLatestOfAllThatIsWaitedFor) {
  setup(3);
  const MoveId late = move(regions[1], regions[0], 8), early = move(regions[2], regions[0], 8);
  const TensorId t = add_tensor(p, {.name = "uneven", .dtype = Dtype::f32, .dims = {dim("n", 8000)}});
  const BufferId uneven = add_buffer(p, {.name = "uneven",
                                         .tensor = t,
                                         .region = regions[0],
                                         .cuts = {{.dim = 0, .axis = Axis::x, .cut = table_cut({{{0, 8000}}, {}, {}, {}})}},
                                         .phases = {a}});
  const Step clear{.name = "clear", .phase = a, .what = Local{.op = LocalOp::clear, .out = {uneven}}};
  std::vector<uint64_t> start;
  const TimeOptions watched{.watch = [&](const StepClocks& s) {
    if (s.region == regions[0] && s.name == "work") start = s.start;
  }};
  const auto list = [&](RegionId r, int64_t before, MoveId m) { return RegionSteps{r, {work(before, a), {.name = "s", .what = Send{m}}}}; };
  const auto least_of = [&](Steps steps) {
    steps.push_back(work(1, a));
    time({{regions[0], std::move(steps)}, list(regions[1], 600, late), list(regions[2], 100, early)}, watched);
    return *std::min_element(start.begin(), start.end());
  };
  const Step take_late{.name = "late", .what = Receive{late}}, take_early{.name = "early", .what = Receive{early}};
  const uint64_t both = least_of({clear, take_late, take_early});
  EXPECT_EQ(both, least_of({clear, take_early, take_late}));
  EXPECT_GT(both, 600u);
  EXPECT_LT(both, *std::max_element(start.begin(), start.end())) << "the busy core is later";
}

}  // namespace
}  // namespace wafer::time
