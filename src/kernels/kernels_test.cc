// The kernels as programs of their own: each keeps the rules of verify() on every shape of rectangle, and has the steps that its paper
// says.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/mesh_gemm.h"
#include "kernels/reduce.h"
#include "kernels/transfer.h"
#include "mesh/builder.h"
#include "mesh/expand.h"
#include "mesh/verify.h"

namespace wafer::kernels {
namespace {

using namespace mesh;

const Extent kShapes[] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 3}, {5, 5}, {8, 3}, {3, 8}, {13, 11}, {1, 7}, {7, 1}};

constexpr BufferId kA{0}, kB{1}, kC{2}, kD{3};

// A region to put one kernel in, with four buffers of no size.
struct Bench {
  Program p;
  Site site{p, RegionId{0}, PhaseId{0}};

  explicit Bench(Extent e) {
    p.mesh = e;
    add_region(p, {.name = "region", .rect = {0, 0, e.w, e.h}});
    add_phase(p, "phase");
    for (const char* name : {"a", "b", "c", "d"})
      add_buffer(p, {.name = name, .tensor = add_tensor(p, {.name = name}), .phases = {PhaseId{0}}});
  }
  Bench(const Bench&) = delete;

  // Verifies a program with this step alone; returns its colours.
  int check(Step step) {
    p.entries = {{.name = "go", .lists = {{.region = RegionId{0}, .steps = {std::move(step)}}}}};
    for (const Diagnostic& d : verify(p, {.mesh = p.mesh, .sram_bytes = 1 << 20, .colours = 24}))
      ADD_FAILURE() << d.where << ": " << d.text;
    return colours_max(p);
  }
};

// All leaves in order, loops once.
void leaves(const Steps& steps, std::vector<const Step*>& out) {
  for (const Step& s : steps) {
    if (const auto* loop = std::get_if<Loop>(&s.what))
      leaves(loop->body, out);
    else if (const auto* group = std::get_if<Group>(&s.what))
      leaves(group->body, out);
    else
      out.push_back(&s);
  }
}

const Group& group_of(const Step& s) { return std::get<Group>(s.what); }
const Product& product_of(const Step& s) { return std::get<Product>(s.what); }
const Loop& loop_of(const Step& s) { return std::get<Loop>(s.what); }

// ---- reductions ------------------------------------------------------------------------------------------------------------------

TEST(Reduce, OnLinesOfAnyLength) {
  for (const Axis axis : {Axis::x, Axis::y})
    for (int n = 1; n <= 40; n++)
      for (int K = 1; K <= 3; K++) {
        Bench b(axis == Axis::x ? Extent{n, 2} : Extent{2, n});
        const ReduceLine line = add_reduce_line(b.site, "line", axis, line_forest(n, even_groups(n, K)));
        EXPECT_LE(b.check(reduce(b.site, "sum", line, {{.buffer = kA}})), 2 * K + 1);
      }
}

TEST(Reduce, InsideRuns) {
  for (int W = 1; W <= 24; W++)
    for (int heads = 1; heads <= 6; heads++) {
      Bench b({W, 3});
      const ReduceLine line = add_reduce_line(b.site, "head", Axis::x, run_forest(head_runs(heads, W), 2));
      EXPECT_LE(b.check(reduce(b.site, "sum", line, {{.buffer = kA, .op = ReduceOp::max}})), 5);
    }
}

TEST(Reduce, OnRingsOfAnyLength) {
  for (const Axis axis : {Axis::x, Axis::y})
    for (int n = 1; n <= 40; n++) {
      Bench b(axis == Axis::x ? Extent{n, 2} : Extent{2, n});
      std::vector<Range> runs = {{0, n}};
      if (n > 5) runs = {{0, n / 3}, {n / 3, n}};
      const RingLine line = add_ring_line(b.site, "ring", axis, runs);
      EXPECT_LE(b.check(ring_reduce(b.site, "sum", line, {{.buffer = kA}, {.buffer = kB}})), 3);
    }
}

TEST(Reduce, AGemvIsItsProductsAndOneReduction) {
  Bench b({4, 6});
  const ReduceLine line = add_reduce_line(b.site, "y", Axis::y, line_forest(6, {2}));
  const Step gemv = mesh_gemv(b.site, "qkv", kA, {{.weights = kB, .out = kC}, {.weights = kB, .out = kD}}, line);
  const Group& g = group_of(gemv);
  EXPECT_EQ(g.kind, GroupKind::block);
  ASSERT_EQ(g.body.size(), 3u);
  EXPECT_EQ(std::get<Local>(g.body[0].what).op, LocalOp::mat_vec);
  EXPECT_EQ(std::get<Local>(g.body[1].what).out, std::vector<BufferId>{kD});
  const Reduce& r = std::get<Reduce>(g.body[2].what);
  EXPECT_EQ(r.parts, (std::vector<ReducePart>{{.buffer = kC}, {.buffer = kD}}));
  b.check(gemv);
}

// ---- products --------------------------------------------------------------------------------------------------------------------

TEST(MeshGemm, OnAnyRectangle) {
  for (const Extent e : kShapes) {
    Bench b(e);
    const Rings rings = add_rings(b.site, "ring", {{0, e.w}}, false);
    EXPECT_LE(b.check(mesh_gemm(b.site, "c", rings, {.a = kA, .b = kB, .c = kC})), 9);
  }
}

TEST(MeshGemm, StepsAreThoseOfTheLongerSide) {
  for (const Extent e : kShapes) {
    const int L = std::max(e.w, e.h);
    Bench b(e);
    const Rings rings = add_rings(b.site, "ring", {{0, e.w}}, false);
    const Step gemm = mesh_gemm(b.site, "c", rings, {.a = kA, .b = kB, .c = kC});
    EXPECT_EQ(product_of(gemm).algorithm, Algorithm::mesh_gemm);
    const Steps body = expand(b.p, gemm);
    ASSERT_EQ(body.size(), L > 1 ? 2u : 1u);
    const Loop& steps = loop_of(body.back());
    EXPECT_EQ(steps.fixed, L);
    EXPECT_EQ(steps.var, LoopVar::ring_step);
    EXPECT_EQ(group_of(steps.body[0]).kind, GroupKind::overlap);
    EXPECT_EQ(group_of(steps.body[0]).body.size(), 3u);
    const Step again = mesh_gemm(b.site, "d", rings, {.a = kA, .b = kB, .c = kD, .a_aligned = true});
    EXPECT_EQ(expand(b.p, again).size(), 1u);
  }
}

// The tiles of A and B are followed through the steps of the group: after the alignment, core (i, j) meets the blocks i + j, i + j + 1, ...
// of both, each once, and the tiles end where they were after it.
TEST(MeshGemm, EveryCoreMeetsEveryBlockOnce) {
  for (const int L : {1, 2, 3, 4, 5, 8, 11}) {
    Bench bench({L, L});
    const Rings rings = add_rings(bench.site, "ring", {{0, L}}, true);
    const Step gemm = mesh_gemm(bench.site, "c", rings, {.a = kA, .b = kB, .c = kC, .align_b = AlignB::shifted});
    // a[i][j], b[i][j]: the k block that core (i, j) holds of A's row i and of B's column j
    std::vector<std::vector<int>> a(static_cast<size_t>(L), std::vector<int>(static_cast<size_t>(L))), b = a;
    for (size_t i = 0; i < a.size(); i++)
      for (size_t j = 0; j < a.size(); j++) a[i][j] = static_cast<int>(j), b[i][j] = static_cast<int>(i);
    const auto take_row = [&](size_t i, int by) {
      const auto old = a[i];
      for (size_t j = 0; j < old.size(); j++) a[i][j] = old[(j + old.size() + static_cast<size_t>(L + by)) % old.size()];
    };
    const auto take_column = [&](size_t j, int by) {
      std::vector<int> old;
      for (auto& row : b) old.push_back(row[j]);
      for (size_t i = 0; i < old.size(); i++) b[i][j] = old[(i + old.size() + static_cast<size_t>(L + by)) % old.size()];
    };
    std::vector<std::vector<std::vector<int>>> met(a.size(), std::vector<std::vector<int>>(a.size()));
    const auto run = [&](const Step& s, int turn) {
      if (const auto* shift = std::get_if<Shift>(&s.what)) {
        for (int line = 0; line < L; line++) {
          const int left = std::min(line, L - line);  // positions that an alignment moves this line, in the shorter sense
          const int by = shift->kind == ShiftKind::ring_down ? 1 : turn >= left ? 0 : 2 * line <= L ? 1 : -1;
          shift->axis == Axis::x ? take_row(static_cast<size_t>(line), by) : take_column(static_cast<size_t>(line), by);
        }
      } else {
        for (size_t i = 0; i < a.size(); i++)
          for (size_t j = 0; j < a.size(); j++) {
            EXPECT_EQ(a[i][j], b[i][j]);
            met[i][j].push_back(a[i][j]);
          }
      }
    };
    const Steps parts = expand(bench.p, gemm);
    for (const Step& part : parts) {
      std::vector<const Step*> body;
      leaves(loop_of(part).body, body);
      for (int turn = 0; turn < loop_of(part).fixed; turn++)
        for (const Step* s : body) run(*s, turn);
    }
    for (int i = 0; i < L; i++)
      for (int j = 0; j < L; j++) {
        std::vector<int> expected;
        for (int s = 0; s < L; s++) expected.push_back((i + j + s) % L);
        EXPECT_EQ(met[static_cast<size_t>(i)][static_cast<size_t>(j)], expected);
        EXPECT_EQ(a[static_cast<size_t>(i)][static_cast<size_t>(j)], (i + j) % L);
      }
  }
}

TEST(GemmT, OnAnyRectangleInRuns) {
  for (const Extent e : kShapes)
    for (const int heads : {1, 2, 5}) {
      Bench b(e);
      const std::vector<Range> runs = head_runs(heads, e.w);
      const Rings rings = add_rings(b.site, "ring", runs, true);
      const Step scores = gemm_t(b.site, "scores", rings, {.a = kA, .b = kB, .partial = kC, .c = kD, .heads = heads});
      EXPECT_LE(b.check(scores), 16);
      int64_t L = e.h;
      for (const Range& r : runs) L = std::max(L, r.size());
      EXPECT_EQ(product_of(scores).algorithm, Algorithm::gemm_t);
      EXPECT_EQ(product_of(scores).heads, heads);
      const Steps body = expand(b.p, scores);
      EXPECT_EQ(loop_of(body[0]).fixed, L);
      std::vector<const Step*> order;
      leaves(body, order);
      ASSERT_EQ(order.size(), 3u);
      EXPECT_TRUE(std::holds_alternative<RootReduce>(order[2]->what));
      b.check(mesh_gemm(b.site, "values", rings, {.a = kA, .b = kB, .c = kD, .align_b = AlignB::shifted, .heads = heads}));
    }
}

// ---- transfers -------------------------------------------------------------------------------------------------------------------

TEST(Transfer, KvShiftOnColumnsOfAnyHeight) {
  for (int h = 1; h <= 12; h++) {
    Bench b({3, h});
    EXPECT_LE(b.check(kv_shift(b.site, "shift", {kA, kB}, add_kv_shift_routes(b.site))), 2);
  }
}

TEST(Transfer, MulticastReachesTheLineFromAnyCore) {
  for (int w = 1; w <= 12; w++) {
    Bench b({w, 2});
    EXPECT_LE(b.check(multicast(b.site, "row", Axis::x, kA, add_relay_routes(b.site, "relay", Axis::x))), 4);
  }
}

TEST(Transfer, AMoveIsASendAndAReceive) {
  Bench b({2, 2});
  const MoveId m = add_move(b.p, {.name = "hand_over", .source = kA, .destination = kB});
  const std::vector<RouteId> routes = move_routes(b.site);
  EXPECT_EQ(move_routes(b.site), routes) << "found again, not added again";
  const Step first = send(b.site, m, routes), second = receive(b.site, m, routes);
  EXPECT_EQ(first.name, "hand_over.send");
  EXPECT_EQ(second.name, "hand_over.receive");
  b.check({.name = "both", .what = Group{.body = {first, second}}});
}

}  // namespace
}  // namespace wafer::kernels
