// Steps of a group `overlap`: the maximum over a core's resources, wherever the group stands.
#include <gtest/gtest.h>

#include "mesh/builder.h"
#include "mesh/step_ids.h"
#include "time/time.h"

namespace wafer::time {

using namespace mesh;

namespace {

struct OverlapTest : ::testing::Test {
  Device d = load_device("wse2");
  Program p;
  RegionId region;
  PhaseId phase;
  BufferId big, small;

  OverlapTest() {
    p.mesh = {8, 8};
    region = add_region(p, {.name = "all", .rect = {0, 0, 8, 8}});
    phase = add_phase(p, "work");
    const auto buffer = [&](const char* name, int64_t n) {
      const TensorId t = add_tensor(p, {.name = name, .dtype = Dtype::f32, .dims = {dim("rows", 8 * n), dim("columns", 8)}});
      return add_buffer(p,
                        {.name = name,
                         .tensor = t,
                         .region = region,
                         .cuts = {{.dim = 0, .axis = Axis::y, .cut = ring_cut(8, 8)}, {.dim = 1, .axis = Axis::x, .cut = ring_cut(8, 8)}},
                         .phases = {phase}});
    };
    big = buffer("big", 400);
    small = buffer("small", 30);
  }

  Step clear(BufferId b) const { return {.name = "clear", .phase = phase, .what = Local{.op = LocalOp::clear, .out = {b}}}; }
  Step shift(BufferId b, Axis axis) const {
    return {.name = "shift", .phase = phase, .what = Shift{.kind = ShiftKind::ring_down, .axis = axis, .buffer = b, .runs = {{0, 8}}}};
  }
  int64_t cycles(Steps steps) {
    p.entries = {{.name = "e", .lists = {{.region = region, .steps = std::move(steps)}}}};
    return time_entry(p, d, "e", {}).cycles;
  }
  int64_t together(Steps steps) {
    return cycles({{.name = "both", .phase = phase, .what = Group{.kind = GroupKind::overlap, .body = std::move(steps)}}});
  }
};

TEST_F(OverlapTest, ArithmeticHidesATransfer) {
  const int64_t compute = cycles({clear(big)}), transfer = cycles({shift(small, Axis::x)});
  EXPECT_GT(compute, transfer);
  EXPECT_EQ(cycles({clear(big), shift(small, Axis::x)}), compute + transfer);
  const int64_t issue = 2 * (d.stream_op_overhead_cycles + d.descriptor_load_cycles + d.descriptor_edit_cycles);
  EXPECT_EQ(together({shift(small, Axis::x), clear(big)}), issue + compute) << "issued first, the transfer runs beside";
  EXPECT_EQ(together({clear(big)}), compute);
}

TEST_F(OverlapTest, ATransferHidesArithmetic) {
  const int64_t compute = cycles({clear(small)}), transfer = cycles({shift(big, Axis::x)});
  EXPECT_GT(transfer, compute);
  EXPECT_EQ(together({shift(big, Axis::x), clear(small)}), transfer);
}

TEST_F(OverlapTest, OneThreadComputesOneThingAtATime) {
  EXPECT_EQ(together({clear(big), clear(small)}), cycles({clear(big), clear(small)}));
}

TEST_F(OverlapTest, TransfersShareTheRamps) {
  const int64_t one = cycles({shift(big, Axis::x)}), both = together({shift(big, Axis::x), shift(big, Axis::y)});
  EXPECT_GE(both, 2 * 400) << "each core sends 400 words twice over one ramp";
  EXPECT_LE(both, 2 * one);
}

// Two operations a shift: with room for two only, the second shift is issued when the first has ended, and what follows it waits.
TEST_F(OverlapTest, BackgroundOperationsAreLimited) {
  const Steps steps = {shift(big, Axis::x), shift(big, Axis::y), clear(big)};
  const int64_t free = together(steps);
  d.background_operations_per_core = 2;
  EXPECT_GT(together(steps), free);
}

// Nothing that takes part in a program costs nothing.
TEST_F(OverlapTest, PartsOfProductsCostWhatTheyTakeWhereverTheyStand) {
  EXPECT_GE(cycles({shift(big, Axis::x)}), 400);
  EXPECT_GT(cycles({shift(big, Axis::y)}), cycles({shift(small, Axis::y)}));
  const auto cast = [&](bool all) {
    return Step{.name = "cast", .phase = phase, .what = TileCast{.axis = Axis::x, .buffer = big, .out = small, .all = all}};
  };
  EXPECT_GE(cycles({cast(false)}), 400);
  EXPECT_GE(cycles({cast(true)}), 7 * 400) << "the tiles of seven others";
  const Step root{.name = "root", .phase = phase, .what = RootReduce{.partial = big, .out = small, .runs = {{0, 8}}}};
  EXPECT_GE(cycles({root}), 400);
}

// On a ring of 3 cores 8 positions are dealt 2, 3, 3, and tiles of equal size with them: one tile a step leaves each core and comes in,
// whatever the two of them hold.
TEST_F(OverlapTest, AShiftTakesTheTileOfItsSender) {
  Program narrow;
  narrow.phases.add({.name = "p"});
  const RegionId on = narrow.regions.add({.name = "r", .rect = {0, 0, 3, 8}});
  const TensorId t = add_tensor(narrow, {.name = "t", .dtype = Dtype::f32, .dims = {dim("rows", 8), dim("columns", 8 * 500)}});
  const BufferId tiles =
      add_buffer(narrow, {.name = "t",
                          .tensor = t,
                          .region = on,
                          .cuts = {{.dim = 0, .axis = Axis::y, .cut = ring_cut(8, 8)}, {.dim = 1, .axis = Axis::x, .cut = ring_cut(3, 8)}},
                          .phases = {phase}});
  for (const ShiftKind kind : {ShiftKind::ring_down, ShiftKind::align_rows}) {
    const Shift shift{.kind = kind, .axis = Axis::x, .buffer = tiles, .runs = {{0, 3}}};
    narrow.entries = {{.name = "e", .lists = {{.region = on, .steps = {{.name = "shift", .phase = phase, .what = shift}}}}}};
    const TimeReport r = time_entry(narrow, d, "e", {});
    EXPECT_EQ(r.wavelets_sent % 500, 0);
    EXPECT_GT(r.wavelets_sent, 0);
    EXPECT_EQ(r.wavelets_received, r.wavelets_sent);
    EXPECT_EQ(r.wavelets_received % 500, 0) << "whole tiles, as they were sent";
  }
}

}  // namespace
}  // namespace wafer::time
