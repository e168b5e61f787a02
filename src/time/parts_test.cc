// Parts of products that stand alone, values for the host, and steps that overlap, in closed form from clocks that are all equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "mesh/builder.h"
#include "time/time.h"

namespace wafer::time {

using namespace mesh;

namespace {

struct PartsTest : ::testing::Test {
  Device d = load_device("wse2");
  Program p;
  RegionId region;
  PhaseId phase;
  BufferId small, big;  // 10 and 400 wavelets on each core of 8 x 8
  int64_t issue = stream_issue_cycles(d), task = d.task_activation_cycles;

  PartsTest() {
    p.mesh = {64, 64};
    region = add_region(p, {.name = "all", .rect = {3, 5, 8, 8}});
    phase = add_phase(p, "work");
    small = buffer(10);
    big = buffer(400);
  }
  BufferId buffer(int64_t n) {
    const TensorId t = add_tensor(p, {.name = "b", .dtype = Dtype::f32, .dims = {dim("rows", 8 * n), dim("columns", 8)}});
    return add_buffer(p, {.name = "b",
                          .tensor = t,
                          .region = region,
                          .cuts = {{.dim = 0, .axis = Axis::y, .cut = ring_cut(8, 8)}, {.dim = 1, .axis = Axis::x, .cut = ring_cut(8, 8)}},
                          .phases = {phase}});
  }
  TimeReport time(Steps steps, const Params& params = {}) {
    p.entries = {{.name = "e", .lists = {{.region = region, .steps = std::move(steps)}}}};
    return time_entry(p, d, "e", params);
  }
  Step step(decltype(Step::what) what) const { return {.name = "step", .phase = phase, .what = std::move(what)}; }
  // Eight turns of a ring over one step.
  Step ring(Step body) const {
    return step(Loop{.var = LoopVar::ring_step, .count = CountKind::fixed, .fixed = 8, .body = {std::move(body)}});
  }
  Step together(Steps steps) const { return step(Group{.kind = GroupKind::overlap, .body = std::move(steps)}); }
  Step shift(ShiftKind kind, BufferId b, Axis axis = Axis::x) const {
    return step(Shift{.kind = kind, .axis = axis, .buffer = b, .runs = {{0, 8}}});
  }
};

// A neighbour is two links away on the ring, one where it turns; four operations before, a task after.
TEST_F(PartsTest, AShift) {
  const int64_t one = 2 * issue + 2 * d.ramp_cycles + 2 * d.hop_cycles + 10 + task;
  for (const Axis axis : {Axis::x, Axis::y}) {
    const TimeReport r = time({shift(ShiftKind::ring_down, small, axis)});
    EXPECT_EQ(r.cycles, one);
    EXPECT_EQ(r.wavelets_sent, 64 * 10);
    EXPECT_EQ(r.steps.front().wavelet_hops, 8 * 10 * 14) << "six times two links and two times one, on each line";
  }
}

// Line i moves min(i, 8 - i) times, in the shorter sense: 0 1 2 3 4 3 2 1. The same words and links in both senses.
TEST_F(PartsTest, AnAlignment) {
  const int64_t one = 2 * issue + 2 * d.ramp_cycles + 2 * d.hop_cycles + 10 + task;
  for (const ShiftKind kind : {ShiftKind::align_rows, ShiftKind::align_cols}) {
    const TimeReport r = time({ring(shift(kind, small, kind == ShiftKind::align_rows ? Axis::x : Axis::y))});
    EXPECT_EQ(r.wavelets_sent, 16 * 8 * 10);
    EXPECT_EQ(r.steps.front().wavelet_hops, 16 * 10 * 14);
    EXPECT_LE(r.cycles, 4 * one);
    EXPECT_GT(r.cycles, 3 * one);
  }
}

// From the owner of the block over the whole line; the farthest core is at the other end, or nearer where the owner is inside.
TEST_F(PartsTest, ACast) {
  int64_t sum = 0;
  for (int64_t owner = 0; owner < 8; owner++) {
    const TimeReport r = time({step(TileCast{.axis = Axis::x, .buffer = small, .out = big, .ahead = owner})});
    EXPECT_EQ(r.cycles, issue + 2 * d.ramp_cycles + std::max(owner, 7 - owner) * d.hop_cycles + 10 + task) << owner;
    EXPECT_EQ(r.wavelets_sent, 8 * 7 * 10) << "one owner on each line";
    sum += r.wavelets_sent;
  }
  EXPECT_EQ(time({ring(step(TileCast{.axis = Axis::y, .buffer = small, .out = big}))}).wavelets_sent, sum);
  EXPECT_EQ(time({step(TileCast{.axis = Axis::x, .buffer = small, .out = big, .ahead = 8})}).cycles, 0) << "no such block";
}

// Each row to another column in each step: over all steps every column is the root of every row once, and its clock the latest of its row.
TEST_F(PartsTest, ARootReduction) {
  const Step sum = step(RootReduce{.partial = big, .out = small, .runs = {{0, 8}}});
  EXPECT_EQ(time({sum}).wavelets_sent, 8 * 7 * 400);
  std::vector<std::set<size_t>> roots(8);  // [rows]
  p.entries = {{.name = "e", .lists = {{.region = region, .steps = {ring(sum)}}}}};
  const TimeOptions watched{.watch = [&](const StepClocks& s) {
    for (size_t y = 0; y < 8; y++) {
      const auto row = s.end.begin() + static_cast<int64_t>(8 * y);
      roots[y].insert(static_cast<size_t>(std::max_element(row, row + 8) - row));
    }
  }};
  EXPECT_EQ(time_entry(p, d, "e", {}, watched).wavelets_sent, 8 * 8 * 7 * 400);
  for (const std::set<size_t>& row : roots) EXPECT_EQ(row.size(), 8u);
}

// The row of a new token is stored by the last row of cores alone, rows of a prompt by all.
TEST_F(PartsTest, ANewRowIsStoredByTheLastRowOfCores) {
  const TensorId one = add_tensor(p, {.name = "k", .dtype = Dtype::f16, .dims = {dim("n", 80)}}),
                 rows = add_tensor(p, {.name = "rows", .dtype = Dtype::f16, .dims = {dim("rows", SizeKind::rows, 16), dim("n", 80)}});
  const auto add = [&](TensorId t, int n) {
    return add_buffer(
        p, {.name = "k", .tensor = t, .region = region, .cuts = {{.dim = n, .axis = Axis::x, .cut = parts_cut(8)}}, .phases = {phase}});
  };
  const auto store = [&](BufferId b) {
    return time({step(Local{.op = LocalOp::store_rows, .in = {b}, .out = {b}})}, {.rows = 16}).steps.front().multiply_adds;
  };
  EXPECT_EQ(store(add(one, 0)), 80);
  EXPECT_EQ(store(add(rows, 1)), 8 * 16 * 80);
}

// From the host: over the mesh from the wafer's corner, one after the other on the link, ahead of time. To it: over the nearer of two
// edges.
TEST_F(PartsTest, ValuesOfTheHost) {
  const TensorId t = add_tensor(p, {.name = "token", .dtype = Dtype::f32, .dims = {dim("n", 6)}});
  const BufferId token = add_buffer(p, {.name = "token", .tensor = t, .region = region, .phases = {phase}});
  const int64_t way = 2 * d.ramp_cycles + (3 + 5 + 8 + 8) * d.hop_cycles;
  const Step from = step(Host{.to_host = false, .buffer = token});
  EXPECT_EQ(time({from}).cycles, 6 + way + issue + 6);
  EXPECT_EQ(time({from, from}).cycles, std::max(6 + way + issue + 6, 12 + way) + issue + 6);
  EXPECT_EQ(time({from}).steps.front().communicate, 64 * (issue + 6)) << "what a core takes, not what it waits";

  // Where cores take two wavelets a cycle the link, which brings one, is what they wait for.
  d.wavelets_per_cycle_per_link = d.wavelets_per_cycle_per_ramp = 2;
  const TensorId many = add_tensor(p, {.name = "many", .dtype = Dtype::f32, .dims = {dim("n", 600)}});
  const Step bulk =
      step(Host{.to_host = false, .buffer = add_buffer(p, {.name = "many", .tensor = many, .region = region, .phases = {phase}})});
  EXPECT_EQ(time({bulk, bulk}).cycles, 1200 + way + issue + 300);
  EXPECT_EQ(time({bulk, bulk}).steps.front().communicate, 64 * (issue + 300));
  d.wavelets_per_cycle_per_link = d.wavelets_per_cycle_per_ramp = 1;

  // The values lie along x, the same in all rows: the top row sends them up. And the other way round.
  const auto to_host = [&](Axis axis) {
    const BufferId b = add_buffer(p, {.name = "out",
                                      .tensor = add_tensor(p, {.name = "out", .dtype = Dtype::f32, .dims = {dim("n", 24)}}),
                                      .region = region,
                                      .cuts = {{.dim = 0, .axis = axis, .cut = parts_cut(8)}},
                                      .phases = {phase}});
    return time({step(Host{.to_host = true, .buffer = b})});
  };
  const TimeReport up = to_host(Axis::x), left = to_host(Axis::y);
  EXPECT_EQ(up.cycles, issue + 3);
  EXPECT_EQ(left.cycles, issue + 3);
  EXPECT_EQ(up.steps.front().wavelet_hops, 24 * 6);
  EXPECT_EQ(left.steps.front().wavelet_hops, 24 * 4);
}

// A core that passes a vector of fp16 on takes longer; the first and the last of a chain do not pass.
TEST_F(PartsTest, ARelayOfHalves) {
  const auto relay = [&](Dtype type) {
    const BufferId b =
        add_buffer(p, {.name = "x",
                       .tensor = add_tensor(p, {.name = "x", .dtype = type, .dims = {dim("n", type == Dtype::f16 ? 20 : 10)}}),
                       .region = region,
                       .phases = {phase}});
    return time({step(Multicast{.axis = Axis::x, .buffer = b})}).cycles;
  };
  d.forward_f16_cycles = 3;
  EXPECT_EQ(relay(Dtype::f16), relay(Dtype::f32) + 6 * 3);
}

// A main thread computes and issues; a transfer holds both ramps until it ends; what needs a ramp waits for it.
TEST_F(PartsTest, EachStepWaitsForWhatItHolds) {
  const Step clear = step(Local{.op = LocalOp::clear, .out = {small}}), move = shift(ShiftKind::ring_down, big),
             cast = step(Multicast{.axis = Axis::x, .buffer = small});
  const int64_t work = time({clear}).cycles, transfer = time({move}).cycles, relay = time({cast}).cycles;
  EXPECT_EQ(time({together({move, clear})}).cycles, transfer);
  EXPECT_EQ(time({together({move, clear, cast})}).cycles, transfer + relay) << "a relay needs the ramps";
  EXPECT_EQ(time({together({cast, clear})}).cycles, relay + work) << "and the main thread";
  EXPECT_EQ(time({together({clear, move})}).cycles, work + transfer) << "issued after the work, in the order of the group";
  EXPECT_EQ(time({together({move, move})}).cycles, 2 * transfer - 2 * issue) << "issued while the ramps are busy";
  Steps many;
  for (int i = 0; i < 40; i++) many.push_back(clear);
  const int64_t long_work = time(many).cycles;
  ASSERT_GT(long_work, transfer);
  many.insert(many.begin(), move);
  EXPECT_EQ(time({together(many)}).cycles, 2 * issue + long_work);
  // What no step of the group is busy with is idle, as without the group: the cores of a chain that wait for the values of others.
  const auto idle = [](const TimeReport& r) {
    double wait = 0;
    for (const StepTime& s : r.steps) wait += s.wait;
    return wait;
  };
  EXPECT_GT(idle(time({cast})), 0);
  EXPECT_DOUBLE_EQ(idle(time({together({cast})})), idle(time({cast})));
}

// A loop's turns add up to more than a count can be: refused by name, as one step of that size is.
TEST_F(PartsTest, CountsOfManyTurnsDoNotWrap) {
  const auto loop = [&](int64_t turns, int64_t elements) {
    Work work;
    work.vectors = {{.count = 1, .elements = elements, .unit = VectorUnit::add, .map = true}};
    return step(Loop{.var = LoopVar::layer, .count = CountKind::fixed, .fixed = turns, .body = {step(Opaque{work})}});
  };
  const int64_t elements = int64_t{1} << 40;
  const TimeReport fits = time({loop(1 << 16, elements)});
  EXPECT_EQ(fits.steps.front().multiply_adds, (int64_t{64} << 40) * (1 << 16));
  EXPECT_THROW(time({loop(1 << 17, elements)}), Error);
  EXPECT_THROW(time({loop(1 << 16, elements), loop(1 << 17, elements)}), Error);
}

}  // namespace
}  // namespace wafer::time
