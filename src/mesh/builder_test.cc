#include "mesh/builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace wafer::mesh {
namespace {

// A program of one region and two phases, to add routes to.
Program one_region(Extent e) {
  Program p;
  p.mesh = e;
  add_region(p, {.name = "all", .rect = {0, 0, e.w, e.h}});
  add_phase(p, "first");
  add_phase(p, "second");
  return p;
}

std::set<int> colours_of(const std::vector<Path>& paths) {
  Program p = one_region({64, 64});
  const Route& r = p.routes[add_route(p, "r", PhaseId{0}, RegionId{0}, Axis::x, paths)];
  EXPECT_EQ(r.colours.size(), paths.size());
  for (size_t i = 0; i < paths.size(); i++)
    for (size_t j = 0; j < i; j++)
      if (r.colours[i] == r.colours[j]) {
        EXPECT_TRUE(paths[i].hi < paths[j].lo || paths[j].hi < paths[i].lo)
            << "paths " << i << " and " << j << " share a router and a colour";
      }
  return {r.colours.begin(), r.colours.end()};
}

// The most paths that one router sees.
size_t overlap(const std::vector<Path>& paths) {
  size_t most = 0;
  for (const Path& at : paths) {
    const auto covers = [&](const Path& p) { return p.lo <= at.lo && at.lo <= p.hi; };
    most = std::max(most, static_cast<size_t>(std::count_if(paths.begin(), paths.end(), covers)));
  }
  return most;
}

TEST(Colours, RandomIntervalsNeedTheirOverlap) {
  Rng rng(7);
  for (int round = 0; round < 300; round++) {
    std::vector<Path> paths(1 + next_below(rng, 40));
    for (Path& p : paths) {
      const int from = static_cast<int>(next_below(rng, 64)), to = static_cast<int>(next_below(rng, 64));
      p = next_below(rng, 4) == 0 ? multicast(from, std::min(from, to), std::max(from, to)) : straight(from, to);
    }
    EXPECT_EQ(colours_of(paths).size(), overlap(paths));
  }
}

TEST(Colours, TwoForEachLevelOfATree) {
  for (int size = 1; size <= 64; size++)
    for (int K = 1; K <= 3; K++) {
      const Forest forest = line_forest(size, even_groups(size, K));
      const auto levels = forest_paths(forest);
      EXPECT_EQ(levels.size(), forest.trees[0].levels.size());
      for (const auto& paths : levels) EXPECT_LE(colours_of(paths).size(), 2u) << size;
      EXPECT_LE(colours_of(broadcast_paths(forest)).size(), 1u);
    }
  // Where both sides of a group have neighbours, two are needed: they meet at its middle.
  EXPECT_EQ(colours_of(forest_paths(line_forest(9, {}))[0]).size(), 2u);
}

TEST(Colours, RunsShareThoseOfTheirTrees) {
  for (int W = 1; W <= 40; W++)
    for (int heads = 1; heads <= 8; heads++) {
      const Forest forest = run_forest(head_runs(heads, W), 2);
      for (const auto& paths : forest_paths(forest)) EXPECT_LE(colours_of(paths).size(), 2u);
      EXPECT_LE(colours_of(broadcast_paths(forest)).size(), 1u);
    }
}

TEST(Colours, ThreeForARing) {
  for (int n = 1; n <= 64; n++)
    for (const bool down : {false, true}) EXPECT_LE(colours_of(ring_paths({{0, n}}, down)).size(), 3u) << n;
  EXPECT_EQ(colours_of(ring_paths({{0, 9}}, true)).size(), 3u);
  // Rings side by side share no router.
  EXPECT_EQ(colours_of(ring_paths({{0, 9}, {9, 10}, {10, 20}}, true)).size(), 3u);
}

TEST(Colours, TwoForNeighbours) {
  for (const bool low : {false, true}) {
    EXPECT_EQ(colours_of(neighbour_paths({{0, 20}}, low)).size(), 2u);
    EXPECT_EQ(colours_of(neighbour_paths({{0, 2}}, low)).size(), 1u);
    EXPECT_EQ(colours_of(neighbour_paths({{0, 1}}, low)).size(), 0u);
  }
}

TEST(Colours, RoutesOfAPhaseShareNone) {
  Program p = one_region({8, 8});
  const auto of = [&](PhaseId phase, Axis axis) {
    return p.routes[add_route(p, "r", phase, RegionId{0}, axis, neighbour_paths({{0, 8}}, true))].colours;
  };
  const PhaseId first{0}, second{1};
  const auto set = [](const std::vector<int>& c) { return std::set<int>(c.begin(), c.end()); };
  EXPECT_EQ(set(of(first, Axis::x)), (std::set<int>{0, 1}));
  EXPECT_EQ(set(of(first, Axis::x)), (std::set<int>{2, 3}));
  EXPECT_EQ(set(of(first, Axis::y)), (std::set<int>{4, 5}));   // the axes cross at every router
  EXPECT_EQ(set(of(second, Axis::y)), (std::set<int>{0, 1}));  // another phase starts afresh
}

TEST(Paths, ARingSendsToTheNextLowerOrHigherPosition) {
  for (int n = 2; n <= 20; n++)
    for (const bool down : {false, true}) {
      const std::vector<Path> paths = ring_paths({{3, 3 + n}}, down);
      ASSERT_EQ(paths.size(), static_cast<size_t>(n));
      for (const Path& p : paths) EXPECT_EQ(position_to_ring(p.to - 3, n), (position_to_ring(p.from - 3, n) + (down ? n - 1 : 1)) % n);
    }
  EXPECT_TRUE(ring_paths({{0, 1}}, true).empty());
}

TEST(Paths, BroadcastsReachTheirRun) {
  const Forest forest = run_forest({{0, 1}, {1, 6}}, 1);
  const std::vector<Path> paths = broadcast_paths(forest);
  ASSERT_EQ(paths.size(), 1u);
  EXPECT_EQ(paths[0].from, 3);
  EXPECT_EQ(paths[0].lo, 1);
  EXPECT_EQ(paths[0].hi, 5);
}

}  // namespace
}  // namespace wafer::mesh
