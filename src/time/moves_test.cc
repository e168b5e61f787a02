// Moves between regions and layouts, counted by hand: what crosses which links, when it arrives, and who waits for it.
#include "time/moves.h"

#include <gtest/gtest.h>

#include "mesh/builder.h"
#include "time/time.h"

namespace wafer::time {

using namespace mesh;

namespace {

// Two regions, and moves of f32 tensors (an element is a wavelet) from the first to the second.
struct MovesTest : ::testing::Test {
  Device d = load_device("wse2");
  Program p;
  RegionId from, to;
  PhaseId phase;
  int64_t issue = stream_issue_cycles(d);

  void regions(Rect a, Rect b) {
    p = {};
    p.mesh = {64, 64};
    from = add_region(p, {.name = "from", .rect = a});
    to = add_region(p, {.name = "to", .rect = b});
    phase = add_phase(p, "move");
  }
  BufferId buffer(RegionId region, TensorId tensor, std::vector<DimCut> cuts) {
    return add_buffer(p, {.name = "b", .tensor = tensor, .region = region, .cuts = std::move(cuts), .phases = {phase}});
  }
  MoveId move(Tensor tensor, std::vector<DimCut> source, std::vector<DimCut> destination, MoveKind kind = MoveKind::relay) {
    const TensorId t = add_tensor(p, std::move(tensor));
    const BufferId a = buffer(from, t, std::move(source)), b = buffer(to, t, std::move(destination));
    return add_move(p, {.name = "m", .kind = kind, .source = a, .destination = b});
  }
  MoveLoad load(MoveId m, Params params = {}) const { return move_load(StepSizes{p}, d, p.moves[m], {.params = params}); }
  static Tensor vector_of(int64_t n) { return {.name = "v", .dtype = Dtype::f32, .dims = {dim("n", n)}}; }
  static DimCut cut(int dim, Axis axis, int positions) { return {.dim = dim, .axis = axis, .cut = parts_cut(positions)}; }

  Step send(MoveId m) const { return {.name = "send", .phase = phase, .what = Send{m}}; }
  Step receive(MoveId m) const { return {.name = "receive", .phase = phase, .what = Receive{m}}; }
  TimeReport time(Steps sender, Steps receiver, const TimeOptions& options = {}) {
    p.entries = {{.name = "e", .lists = {{.region = from, .steps = std::move(sender)}, {.region = to, .steps = std::move(receiver)}}}};
    return time_entry(p, d, "e", {}, options);
  }
};

// What a way of so many links adds to a move of n words.
int64_t arrival(const Device& d, int64_t sent, int64_t n, int64_t links) {
  return sent + 2 * (stream_issue_cycles(d) + 2 * d.ramp_cycles) + links * d.hop_cycles + n;
}

TEST_F(MovesTest, FromACoreToACore) {
  regions({2, 3, 1, 1}, {9, 7, 1, 1});
  const MoveId m = move(vector_of(50), {}, {});
  const MoveLoad l = load(m);
  EXPECT_EQ(l.words, 50);
  EXPECT_EQ(l.all_words, 50);
  for (const MoveWay& way : {l.x_first, l.y_first}) {
    EXPECT_EQ(way.link_x, 50);
    EXPECT_EQ(way.link_y, 50);
    EXPECT_EQ(way.hops, 50 * 11);
    EXPECT_EQ(way.distance, 11);
  }
  const TimeReport r = time({send(m)}, {receive(m)});
  EXPECT_EQ(r.cycles, arrival(d, issue + 50, 50, 11));
  EXPECT_EQ(r.wavelets_sent, 50);
}

// Links are free again when all words have crossed them, along either axis.
TEST_F(MovesTest, TheNextMoveWaitsForTheLinks) {
  for (const Axis axis : {Axis::x, Axis::y}) {
    regions({0, 0, 1, 1}, axis == Axis::x ? Rect{5, 0, 4, 1} : Rect{0, 5, 1, 4});
    // 80 words leave one core, 20 for each of four.
    const MoveId a = move(vector_of(80), {}, {cut(0, axis, 4)}), b = move(vector_of(80), {}, {cut(0, axis, 4)});
    const MoveLoad l = load(a);
    EXPECT_EQ(l.words, 20);
    for (const MoveWay& way : {l.x_first, l.y_first}) {
      EXPECT_EQ(axis == Axis::x ? way.link_x : way.link_y, 80);
      EXPECT_EQ(axis == Axis::x ? way.link_y : way.link_x, 0);
      EXPECT_EQ(way.hops, 20 * (5 + 6 + 7 + 8));
      EXPECT_EQ(way.distance, 8);
    }
    EXPECT_EQ(time({send(a)}, {receive(a)}).cycles, arrival(d, 80, 20, 8));
    EXPECT_EQ(time({send(a), send(b)}, {receive(a), receive(b)}).cycles, arrival(d, 160, 20, 8));
  }
}

// The links are those of the way to one region: what goes to another does not wait.
TEST_F(MovesTest, LinksAreThoseOfARegion) {
  regions({0, 0, 1, 1}, {5, 0, 4, 1});
  const RegionId other = add_region(p, {.name = "other", .rect = {0, 5, 1, 1}});
  const MoveId a = move(vector_of(80), {}, {cut(0, Axis::x, 4)});
  const TensorId t = add_tensor(p, vector_of(8));
  const MoveId b = add_move(p, {.name = "b", .source = buffer(from, t, {}), .destination = buffer(other, t, {})});
  p.entries = {{.name = "e",
                .lists = {{.region = from, .steps = {send(a), send(b)}},
                          {.region = to, .steps = {receive(a)}},
                          {.region = other, .steps = {receive(b)}}}}};
  // The core is free when its words have left it, 80 cycles after the start.
  EXPECT_EQ(time_entry(p, d, "e", {}).cycles, arrival(d, 80 + issue + 8, 8, 5));
}

// From one core to a rectangle, cut on both axes: along x first all words share the row of the core, along y first its column.
TEST_F(MovesTest, TheOrderOfAxesDecidesWhichLinksAreBusy) {
  regions({0, 0, 1, 1}, {1, 1, 2, 8});
  const Tensor t{.name = "t", .dtype = Dtype::f32, .dims = {dim("rows", 80), dim("columns", 20)}};
  const MoveId m = move(t, {}, {cut(0, Axis::y, 8), cut(1, Axis::x, 2)});
  const MoveLoad l = load(m);
  EXPECT_EQ(l.words, 10 * 10);
  EXPECT_EQ(l.all_words, 1600);
  EXPECT_EQ(l.x_first.link_x, 1600) << "one row of the source";
  EXPECT_EQ(l.x_first.link_y, 800) << "a column of the destination";
  EXPECT_EQ(l.y_first.link_x, 200) << "a row of the destination";
  EXPECT_EQ(l.y_first.link_y, 1600) << "one column of the source";
  EXPECT_EQ(l.x_first.distance, 2 + 8);
  // sum over x of (1 + x) 800 and over y of (1 + y) 200
  EXPECT_EQ(l.x_first.hops, 800 * (1 + 2) + 200 * 36);
  EXPECT_EQ(l.y_first.hops, l.x_first.hops);
  EXPECT_EQ(time({send(m)}, {receive(m)}).cycles, arrival(d, 1600, 100, 10));
}

// Beside links that are busy already the other order is better, and one core sends all its words whichever it is.
TEST_F(MovesTest, OneCoreSendsAllItsWords) {
  for (const bool tall : {true, false}) {
    const Axis busy = tall ? Axis::y : Axis::x;
    regions({0, 0, 1, 1}, tall ? Rect{0, 1, 8, 8} : Rect{1, 0, 8, 8});
    const Tensor t{.name = "t", .dtype = Dtype::f32, .dims = {dim("rows", 80), dim("columns", 80)}};
    const MoveId first = move(vector_of(10'000), {}, {cut(0, busy, 8)}), second = move(t, {}, {cut(0, Axis::y, 8), cut(1, Axis::x, 8)});
    const MoveLoad l = load(second);
    // The axis that is busy carries 6400 words first or 800 of each line later; the other axis the other way round.
    const int64_t before = 10'000,
                  after_it = tall ? std::min(l.x_first.link_y, l.y_first.link_y) : std::min(l.x_first.link_x, l.y_first.link_x);
    EXPECT_LT(after_it, l.words_out);
    EXPECT_EQ(l.words_out, 6400);
    const MoveWay& way = tall ? (l.x_first.link_y < l.y_first.link_y ? l.x_first : l.y_first)
                              : (l.x_first.link_x < l.y_first.link_x ? l.x_first : l.y_first);
    const int64_t sent = before + l.words_out;
    EXPECT_EQ(time({send(first), send(second)}, {receive(first), receive(second)}).cycles, arrival(d, sent, l.words, way.distance))
        << (tall ? "tall" : "wide");
  }
}

// What all have already crosses nothing, and what all get is a copy for each.
TEST_F(MovesTest, CopiesOfWhatIsCut) {
  regions({0, 0, 4, 1}, {0, 0, 4, 1});
  const MoveLoad same = load(move(vector_of(40), {cut(0, Axis::x, 4)}, {cut(0, Axis::x, 4)}));
  EXPECT_EQ(same.x_first.link_x, 0);
  EXPECT_EQ(same.x_first.hops, 0);
  EXPECT_EQ(same.x_first.distance, 0);
  const MoveLoad copies = load(move(vector_of(40), {cut(0, Axis::x, 4)}, {}));
  EXPECT_EQ(copies.words, 30) << "it has its own";
  EXPECT_EQ(copies.x_first.link_x, 30) << "all but its own cross the last link";
  EXPECT_EQ(copies.x_first.distance, 3);
  EXPECT_EQ(copies.x_first.hops, 3 * 40) << "each over all three links, up or down";
  const MoveLoad shares = load(move(vector_of(40), {}, {cut(0, Axis::x, 4)}));
  EXPECT_EQ(shares.x_first.hops, 0) << "everybody has them all";
  // From one core to copies on others on either side: to the farthest of them.
  for (const auto& [source, destination] : {std::pair(Rect{0, 0, 1, 1}, Rect{3, 0, 4, 1}), std::pair(Rect{9, 0, 1, 1}, Rect{3, 0, 4, 1})}) {
    regions(source, destination);
    const MoveLoad all = load(move(vector_of(40), {}, {}));
    EXPECT_EQ(all.x_first.distance, 6);
    EXPECT_EQ(all.x_first.link_x, 40) << "copied by the routers on the way";
    EXPECT_EQ(all.x_first.hops, 6 * 40);
  }
}

// Another dimension lies along the axis than before: of what is left of the middle, a half goes to the right of it, and back.
TEST_F(MovesTest, WhatChangesPlacesIsSpread) {
  regions({0, 0, 4, 4}, {0, 0, 4, 4});
  const Tensor t{.name = "t", .dtype = Dtype::f32, .dims = {dim("rows", 40), dim("columns", 80)}};
  const MoveLoad l = load(move(t, {cut(0, Axis::y, 4), cut(1, Axis::x, 4)}, {cut(1, Axis::y, 4), cut(0, Axis::x, 4)}));
  EXPECT_EQ(l.x_first.link_x, 3200 / 4 / 4) << "a quarter of each line's";
  EXPECT_EQ(l.x_first.link_y, 3200 / 4 / 4);
  // In both directions, over the three links: left (1 - right) = 3/16, 4/16, 3/16 of all.
  EXPECT_EQ(l.x_first.hops, 2 * 2 * (3 + 4 + 3) * 3200 / 16);
  EXPECT_EQ(l.x_first.distance, 3 + 3);
}

// Quantised tensors move with their scales: 34 bytes for 32 elements of q8_0, 18 of q4_0, as each core holds them.
TEST_F(MovesTest, ScalesMoveToo) {
  for (const auto& [type, block] : {std::pair(Dtype::q8_0, 34), std::pair(Dtype::q4_0, 18)}) {
    regions({0, 0, 1, 1}, {1, 0, 2, 1});
    const Tensor t{.name = "t", .dtype = type, .dims = {dim("k", 256), dim("n", 6)}, .quantised_dim = 0};
    const MoveLoad whole = load(move(t, {}, {cut(1, Axis::x, 2)})), parted = load(move(t, {}, {cut(0, Axis::x, 2)}));
    for (const MoveLoad& l : {whole, parted}) {
      EXPECT_EQ(l.words, (8 * 3 * block + 3) / 4);
      EXPECT_EQ(l.all_words, 8 * 6 * block / 4);
      EXPECT_EQ(l.x_first.link_x, 8 * 6 * block / 4);
    }
  }
}

// One row: its core is known at run time only, so the whole way between the regions and over the destination counts.
TEST_F(MovesTest, ARowGoesTheFarthestWay) {
  regions({0, 0, 4, 4}, {10, 20, 3, 5});
  const Tensor rows{.name = "rows", .dtype = Dtype::f32, .dims = {dim("rows", SizeKind::rows, 8), dim("n", 12)}};
  const TensorId many = add_tensor(p, rows), one = add_tensor(p, vector_of(12));
  const auto add = [&](MoveKind kind, TensorId a, TensorId b, int dim_a, int dim_b) {
    const BufferId source = buffer(from, a, {cut(dim_a, Axis::x, 4)}), destination = buffer(to, b, {cut(dim_b, Axis::x, 3)});
    return add_move(p, {.name = "row", .kind = kind, .source = source, .destination = destination});
  };
  for (const auto& [l, words] : {std::pair(load(add(MoveKind::row_out, many, one, 1, 0), {.rows = 8}), 4),
                                 std::pair(load(add(MoveKind::row_in, one, many, 0, 1), {.rows = 8}), 3)}) {
    EXPECT_EQ(l.words, words) << "of the side that holds one row";
    EXPECT_EQ(l.x_first.distance, 10 + 20 + 3 + 5);
  }
}

}  // namespace
}  // namespace wafer::time
