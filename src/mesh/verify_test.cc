// Every rule of verify() broken once, with the message that a user reads. The lowered programs that must pass are in lower/lower_test.cc.
#include "mesh/verify.h"

#include <gtest/gtest.h>

#include "mesh/builder.h"

namespace wafer::mesh {
namespace {

constexpr Limits kLimits{.mesh = {16, 16}, .sram_bytes = 49152, .code_bytes = 8528, .colours = 21};

// A program of two regions of 5 x 9 side by side, two phases and no buffers.
struct Example {
  Program p;
  RegionId left, right;
  PhaseId first, second;

  Example() {
    p.mesh = kLimits.mesh;
    left = add_region(p, {.name = "left", .rect = {0, 0, 5, 9}});
    right = add_region(p, {.name = "right", .rect = {5, 0, 5, 9}});
    first = add_phase(p, "first");
    second = add_phase(p, "second");
  }

  BufferId buffer(const std::string& name, std::vector<Dim> dims, std::vector<DimCut> cuts, BufferKind kind,
                  RegionId region = RegionId{0}) {
    const TensorId tensor = add_tensor(p, {.name = name, .dtype = Dtype::f32, .dims = std::move(dims)});
    return add_buffer(p, {.name = name, .tensor = tensor, .region = region, .kind = kind, .cuts = std::move(cuts), .phases = {first}});
  }

  // Buffers 0 and 1 are for steps that need some.
  void add_values() {
    if (!p.buffers.empty()) return;
    for (const RegionId region : {left, right}) buffer("v", {dim("n", 1)}, {}, BufferKind::activations, region);
  }

  MoveId move(const std::string& name) {
    add_values();
    return add_move(p, {.name = name, .source = BufferId{0}, .destination = BufferId{1}});
  }

  void entry(std::vector<RegionSteps> lists) {
    add_values();
    p.entries.push_back({.name = "go", .lists = std::move(lists)});
  }
};

Step send(MoveId move) { return {.name = "send", .what = Send{move}}; }
Step receive(MoveId move) { return {.name = "receive", .what = Receive{move}}; }

// The only fault of a program.
Diagnostic only(const Program& p, const Limits& limits = kLimits) {
  const std::vector<Diagnostic> all = verify(p, limits);
  EXPECT_EQ(all.size(), 1u);
  for (size_t i = 1; i < all.size(); i++) ADD_FAILURE() << name(all[i].rule) << ": " << all[i].where << ": " << all[i].text;
  return all.empty() ? Diagnostic{} : all.front();
}

#define EXPECT_FAULT(fault, rule_, x_, y_, where_, text_) \
  do {                                                    \
    const Diagnostic d = fault;                           \
    EXPECT_EQ(d.rule, Rule::rule_) << name(d.rule);       \
    EXPECT_EQ(d.x, x_);                                   \
    EXPECT_EQ(d.y, y_);                                   \
    EXPECT_EQ(d.where, where_);                           \
    EXPECT_EQ(d.text, text_);                             \
  } while (false)

// ---- bytes, mesh -----------------------------------------------------------------------------------------------------------------

// 96 of 136 columns lie on position 3, 100 of 180 rows on position 7.
void add_heavy_core(Example& e) {
  std::vector<std::vector<Range>> columns, rows;
  for (int x = 0; x < 5; x++) columns.push_back({x == 3 ? Range{40, 136} : Range{x % 4 * 10, x % 4 * 10 + 10}});
  for (int y = 0; y < 9; y++) rows.push_back({y == 7 ? Range{80, 180} : Range{y % 8 * 10, y % 8 * 10 + 10}});
  e.buffer("w", {dim("in", 180), dim("out", 136)}, {{0, Axis::y, table_cut(rows)}, {1, Axis::x, table_cut(columns)}}, BufferKind::weights);
  e.buffer("x", {dim("dim", 721)}, {}, BufferKind::activations);
}

TEST(Verify, NothingWrong) {
  Example e;
  e.add_values();
  e.buffer("x", {dim("dim", 721)}, {}, BufferKind::activations);
  const MoveId m = e.move("m");
  e.entry({{e.left, {send(m)}}, {e.right, {receive(m)}}});
  EXPECT_TRUE(verify(e.p, kLimits).empty());
}

TEST(Verify, TooManyBytes) {
  Example e;
  add_heavy_core(e);
  EXPECT_FAULT(only(e.p), bytes, 3, 7, "phase first, region left",
               "core (3,7) needs 49,812 of 49,152 bytes: code and system 8,528, weights 38,400, activations 2,884");
  Limits roomy = kLimits;
  roomy.sram_bytes = 49812;  // exactly
  EXPECT_TRUE(verify(e.p, roomy).empty());
}

TEST(Verify, BytesCountInDeviceCoordinates) {
  Example e;
  e.p.regions[e.left].rect = {2, 4, 5, 9};
  e.p.regions[e.right].rect = {7, 4, 5, 9};
  add_heavy_core(e);
  EXPECT_EQ(only(e.p).x, 5);
  EXPECT_EQ(only(e.p).y, 11);
}

TEST(Verify, OffTheMesh) {
  Example e;
  e.p.regions[e.right].rect = {12, 8, 5, 9};
  EXPECT_FAULT(only(e.p), off_the_mesh, 12, 8, "right", "region right of 5x9 at (12,8) is not on the mesh of 16x16");
  e.p.regions[e.right].rect = {11, 7, 5, 9};
  EXPECT_TRUE(verify(e.p, kLimits).empty());
  e.p.regions[e.right].rect = {-1, 0, 5, 9};
  EXPECT_EQ(only(e.p).rule, Rule::off_the_mesh);
  // A rectangle that is none has no bytes to count.
  e.buffer("x", {dim("dim", 1 << 20)}, {}, BufferKind::activations, e.right);
  e.p.regions[e.right].rect = {5, 0, -5, 9};
  EXPECT_EQ(only(e.p).rule, Rule::off_the_mesh);
}

// ---- routes ----------------------------------------------------------------------------------------------------------------------

TEST(Verify, TooManyColours) {
  Example e;
  // Every core sends to core 4 of its row directly: four paths share its router; six such routes need 24 colours.
  for (int i = 0; i < 6; i++)
    add_route(e.p, "to_4." + std::to_string(i), e.second, e.right, Axis::x,
              {straight(0, 4), straight(1, 4), straight(2, 4), straight(3, 4)});
  EXPECT_EQ(colours_max(e.p), 24);
  EXPECT_FAULT(only(e.p), colours, 5, 0, "phase second, region right", "core (5,0) needs 24 colours, the highest is 23; 21 are free");
  Limits more = kLimits;
  more.colours = 24;
  EXPECT_TRUE(verify(e.p, more).empty());
}

TEST(Verify, AColourThatTheDeviceDoesNotHave) {
  Example e;
  const RouteId r = add_route(e.p, "one", e.first, e.left, Axis::x, {straight(0, 1)});
  e.p.routes[r].colours = {21};
  EXPECT_FAULT(only(e.p), colours, 0, 0, "phase first, region left", "core (0,0) needs 1 colours, the highest is 21; 21 are free");
}

TEST(Verify, AColourFromTwoSidesOfOneAxis) {
  Example e;
  const RouteId r = add_route(e.p, "meet", e.first, e.left, Axis::x, {straight(0, 2), straight(4, 2)});
  ASSERT_TRUE(verify(e.p, kLimits).empty());
  e.p.routes[r].colours = {3, 3};
  EXPECT_FAULT(only(e.p), two_inputs, 2, 0, "phase first, route meet",
               "colour 3 enters the router of core (2,0) from two sides: sent by position 0 (route meet) and by 4 (route meet) along x");
}

TEST(Verify, AColourFromTheRampAndFromASide) {
  Example e;
  const RouteId r = add_route(e.p, "chain", e.first, e.left, Axis::y, {straight(0, 1), straight(1, 2)});
  e.p.routes[r].colours = {7, 7};
  EXPECT_FAULT(only(e.p), two_inputs, 0, 1, "phase first, route chain",
               "colour 7 enters the router of core (0,1) from two sides: sent by position 0 (route chain) and by 1 (route chain) along y");
}

TEST(Verify, AColourFromTwoSidesOfTwoRoutes) {
  Example e;
  const RouteId a = add_route(e.p, "a", e.first, e.left, Axis::x, {straight(0, 3)});
  const RouteId b = add_route(e.p, "b", e.first, e.left, Axis::x, {multicast(4, 1, 4)});
  e.p.routes[b].colours = e.p.routes[a].colours;
  EXPECT_FAULT(only(e.p), two_inputs, 1, 0, "phase first, route b",
               "colour 0 enters the router of core (1,0) from two sides: sent by position 0 (route a) and by 4 (route b) along x");
}

TEST(Verify, AColourFromBothAxes) {
  Example e;
  const RouteId a = add_route(e.p, "a", e.first, e.right, Axis::x, {straight(0, 1)});
  const RouteId b = add_route(e.p, "b", e.first, e.right, Axis::y, {straight(0, 1)});
  ASSERT_TRUE(verify(e.p, kLimits).empty());
  e.p.routes[b].colours = e.p.routes[a].colours;
  EXPECT_FAULT(only(e.p), two_inputs, 5, 0, "phase first, route b",
               "colour 0 enters the router of core (5,0) from two sides: along x (route a) and along y (route b)");
  // In another phase, or another region, it is another colour.
  e.p.routes[b].phase = e.second;
  EXPECT_TRUE(verify(e.p, kLimits).empty());
  e.p.routes[b].phase = e.first;
  e.p.routes[b].region = e.left;
  EXPECT_TRUE(verify(e.p, kLimits).empty());
}

// ---- sends and receives ----------------------------------------------------------------------------------------------------------

Step sum_along_x(PhaseId phase, std::vector<RouteId> routes) {
  return {.name = "sum",
          .phase = phase,
          .what = Reduce{.axis = Axis::x, .parts = {{BufferId{0}}}, .forest = line_forest(5, {})},
          .routes = std::move(routes)};
}

TEST(Verify, AStepWhoseRouteLacksAPath) {
  Example e;
  const Forest forest = line_forest(5, {});
  const RouteId chains = add_route(e.p, "chains", e.first, e.left, Axis::x, forest_paths(forest)[0]);
  const RouteId cast = add_route(e.p, "cast", e.first, e.left, Axis::x, broadcast_paths(forest));
  e.entry({{e.left, {sum_along_x(e.first, {chains, cast})}}});
  ASSERT_TRUE(verify(e.p, kLimits).empty());

  Route& r = e.p.routes[chains];
  r.paths.pop_back();  // 3 -> 2, the last link of the higher side
  r.colours.pop_back();
  EXPECT_FAULT(only(e.p), receive_without_send, 2, 0, "entry go, region left, step sum",
               "core (2,0) receives from position 3 along x, but no route of the step carries what that core sends");
}

TEST(Verify, AStepWithoutItsBroadcast) {
  Example e;
  const RouteId chains = add_route(e.p, "chains", e.first, e.left, Axis::x, forest_paths(line_forest(5, {}))[0]);
  e.entry({{e.left, {{.name = "twice", .phase = e.first, .what = Loop{.fixed = 2, .body = {sum_along_x(e.first, {chains})}}}}}});
  EXPECT_FAULT(only(e.p), receive_without_send, 0, 0, "entry go, region left, step sum",
               "core (0,0) receives from position 2 along x, but no route of the step carries what that core sends");
}

TEST(Verify, ARouteOfTheOtherAxisCarriesNothing) {
  Example e;
  const RouteId up = add_route(e.p, "up", e.first, e.left, Axis::x, neighbour_paths({{0, 5}}, true));
  e.entry({{e.left, {{.name = "shift", .phase = e.first, .what = RowShift{.buffers = {BufferId{0}}}, .routes = {up}}}}});
  EXPECT_FAULT(only(e.p), receive_without_send, 0, 0, "entry go, region left, step shift",
               "core (0,0) receives from position 1 along y, but no route of the step carries what that core sends");
}

TEST(Verify, AReceiveWithoutSend) {
  Example e;
  const MoveId m = e.move("hand_over");
  e.entry({{e.left, {}}, {e.right, {receive(m)}}});
  EXPECT_FAULT(only(e.p), receive_without_send, 5, 0, "entry go, region right, step receive",
               "move hand_over is received 1 times and sent 0 times");
}

TEST(Verify, AReceiveInALoopAndOneSend) {
  Example e;
  const MoveId m = e.move("row");
  const Step rows{.name = "rows", .what = Loop{.var = LoopVar::row, .count = CountKind::rows, .body = {receive(m)}}};
  e.entry({{e.left, {send(m)}}, {e.right, {rows}}});
  EXPECT_EQ(only(e.p).rule, Rule::receive_without_send);
}

TEST(Verify, ASendThatNobodyReceives) {
  Example e;
  const MoveId m = e.move("lost");
  e.entry({{e.left, {send(m)}}, {e.right, {}}});
  EXPECT_FAULT(only(e.p), receive_without_send, 0, 0, "entry go, region left, step send", "move lost is received 0 times and sent 1 times");
}

// ---- waits -----------------------------------------------------------------------------------------------------------------------

TEST(Verify, ACycleOfWaits) {
  Example e;
  const MoveId there = e.move("there"), back = e.move("back");
  e.entry({{e.left, {receive(back), send(there)}}, {e.right, {receive(there), send(back)}}});
  EXPECT_FAULT(only(e.p), cycle_of_waits, 0, 0, "entry go, region left, step receive",
               "waits for move back, whose sender waits in turn for this region: no order of the regions lets it arrive");
}

TEST(Verify, WaitsThatEnd) {
  Example e;
  const MoveId there = e.move("there"), back = e.move("back");
  e.entry({{e.left, {send(there), receive(back)}}, {e.right, {receive(there), send(back)}}});
  EXPECT_TRUE(verify(e.p, kLimits).empty());
  // A region may pass a move to itself, if it sends first.
  e.p.entries.clear();
  e.entry({{e.left, {send(there), receive(there)}}});
  EXPECT_TRUE(verify(e.p, kLimits).empty());
  e.p.entries.clear();
  e.entry({{e.left, {receive(there), send(there)}}});
  EXPECT_EQ(only(e.p).rule, Rule::cycle_of_waits);
}

// Loops are followed for two turns.
TEST(Verify, ACycleOfWaitsInALoop) {
  Example e;
  const MoveId there = e.move("there"), back = e.move("back");
  const auto turns = [](Steps body) {
    return Step{.name = "turns", .what = Loop{.var = LoopVar::row, .count = CountKind::rows, .body = std::move(body)}};
  };
  e.entry({{e.left, {send(there), turns({receive(back), send(there)})}}, {e.right, {turns({receive(there), send(back)}), receive(there)}}});
  EXPECT_TRUE(verify(e.p, kLimits).empty());
  e.p.entries.clear();
  e.entry({{e.left, {turns({send(there), receive(back)}), receive(back), send(there)}},
           {e.right, {turns({receive(there), send(back)}), receive(there), send(back)}}});
  EXPECT_EQ(only(e.p).rule, Rule::cycle_of_waits);
}

// ---- routes rewritten in use ----------------------------------------------------------------------------------------------------------

TEST(Verify, AStepThatUsesAnotherPhasesRoute) {
  Example e;
  const Forest forest = line_forest(5, {});
  const RouteId chains = add_route(e.p, "chains", e.first, e.left, Axis::x, forest_paths(forest)[0]);
  const RouteId cast = add_route(e.p, "cast", e.second, e.left, Axis::x, broadcast_paths(forest));
  e.entry({{e.left, {sum_along_x(e.first, {chains, cast})}}});
  EXPECT_FAULT(only(e.p), rewritten_in_use, 0, 0, "entry go, region left, step sum",
               "route cast belongs to phase second of region left: it is rewritten while the step of phase first uses it");
}

TEST(Verify, AStepThatUsesAnotherRegionsRoute) {
  Example e;
  const RouteId up = add_route(e.p, "up", e.first, e.left, Axis::y, neighbour_paths({{0, 9}}, true));
  e.entry({{e.right, {{.name = "shift", .phase = e.first, .what = RowShift{.buffers = {BufferId{0}}}, .routes = {up}}}}});
  EXPECT_FAULT(only(e.p), rewritten_in_use, 5, 0, "entry go, region right, step shift",
               "route up belongs to phase first of region left: it is rewritten while the step of phase first uses it");
}

TEST(Verify, AnOverlapGroupOverTwoPhases) {
  Example e;
  const RouteId a = add_route(e.p, "a", e.first, e.left, Axis::y, neighbour_paths({{0, 9}}, true));
  const RouteId b = add_route(e.p, "b", e.second, e.left, Axis::y, neighbour_paths({{0, 9}}, true));
  Steps both = {{.name = "one", .phase = e.first, .what = RowShift{.buffers = {BufferId{0}}}, .routes = {a}},
                {.name = "two", .phase = e.second, .what = RowShift{.buffers = {BufferId{0}}}, .routes = {b}}};
  e.entry({{e.left, {{.name = "pair", .phase = e.first, .what = Group{.kind = GroupKind::overlap, .body = both}}}}});
  EXPECT_FAULT(
      only(e.p), rewritten_in_use, 0, 0, "entry go, region left, step pair",
      "steps one and two overlap but belong to phases first and second: the routes of one are rewritten while the other uses them");
  // One after the other they are legal.
  e.p.entries.clear();
  e.entry({{e.left, {{.name = "pair", .phase = e.first, .what = Group{.kind = GroupKind::block, .body = both}}}}});
  EXPECT_TRUE(verify(e.p, kLimits).empty());
}

}  // namespace
}  // namespace wafer::mesh
