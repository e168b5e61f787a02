#include "mesh/cut.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace wafer::mesh {
namespace {

using Lists = std::vector<std::vector<Range>>;

const int64_t kSizes[] = {0, 1, 2, 3, 5, 7, 12, 13, 31, 64, 101};
const int kSides[] = {1, 2, 3, 4, 5, 7, 8, 11, 13};

Lists lists_of(const Cut& cut, int64_t n) {
  Lists out;
  for (int p = 0; p < cut.positions; p++) out.push_back(ranges_at(cut, n, p));
  return out;
}

// How often each index of [0, n) occurs in the lists; an index outside fails the test.
std::vector<int> times(const Lists& lists, int64_t n) {
  std::vector<int> seen(static_cast<size_t>(n), 0);
  for (const std::vector<Range>& ranges : lists)
    for (const Range& r : ranges) {
      EXPECT_TRUE(0 <= r.begin && r.begin < r.end && r.end <= n) << r.begin << ".." << r.end << " of " << n;
      for (int64_t i = std::max<int64_t>(0, r.begin); i < std::min(n, r.end); i++) seen[static_cast<size_t>(i)]++;
    }
  return seen;
}

bool once(const Lists& lists, int64_t n) {
  const std::vector<int> seen = times(lists, n);
  return std::all_of(seen.begin(), seen.end(), [](int t) { return t == 1; });
}

void expect_partition(const Cut& cut, int64_t n) {
  const Lists lists = lists_of(cut, n);
  EXPECT_TRUE(once(lists, n)) << n << " over " << cut.positions;
  for (int p = 0; p < cut.positions; p++) EXPECT_EQ(count_at(cut, n, p), count(lists[static_cast<size_t>(p)]));
}

TEST(Ranges, AppendJoinsNeighboursAndDropsEmptyRanges) {
  std::vector<Range> r;
  append(r, {3, 3});
  append(r, {3, 5});
  append(r, {5, 6});
  append(r, {8, 9});
  append(r, {9, 9});
  EXPECT_EQ(r, (std::vector<Range>{{3, 6}, {8, 9}}));
  EXPECT_EQ(count(r), 4);
}

TEST(Ranges, SplitCutsByElements) {
  // 3 + 4 elements in three pieces: 2, 2, 3
  const Lists pieces = split({{10, 13}, {20, 24}}, 3);
  EXPECT_EQ(pieces, (Lists{{{10, 12}}, {{12, 13}, {20, 21}}, {{21, 24}}}));
  EXPECT_EQ(split({}, 2), (Lists{{}, {}}));
  EXPECT_EQ(split({{4, 5}}, 2), (Lists{{}, {{4, 5}}}));
}

TEST(Cut, EveryIndexIsHeldOnce) {
  for (const int64_t n : kSizes)
    for (const int positions : kSides) {
      expect_partition(parts_cut(positions), n);
      expect_partition(shift_cut(positions), n);
      for (const int L : kSides)
        if (L >= positions) {
          expect_partition(ring_cut(positions, L), n);
          for (const int64_t chunk : {int64_t{1}, int64_t{2}, int64_t{5}, int64_t{32}, int64_t{200}})
            expect_partition(chunks_cut(positions, L, chunk), n);
        }
    }
  expect_partition(table_cut({{{4, 6}, {0, 1}}, {}, {{1, 4}}}), 6);
}

TEST(Cut, WholeIsEverywhere) {
  EXPECT_EQ(ranges_at(whole_cut(), 7, 0), (std::vector<Range>{{0, 7}}));
  EXPECT_EQ(ranges_at(whole_cut(), 0, 0), std::vector<Range>{});
  EXPECT_EQ(count_at(whole_cut(), 7, 0), 7);
}

TEST(Cut, PartsDifferByAtMostOne) {
  for (const int64_t n : kSizes)
    for (const int positions : kSides)
      for (int p = 0; p < positions; p++) {
        EXPECT_GE(count_at(parts_cut(positions), n, p), n / positions);
        EXPECT_LE(count_at(parts_cut(positions), n, p), (n + positions - 1) / positions);
      }
}

// The core at ring position c owns the logical positions [L c / S, L (c + 1) / S), and they cover [0, L).
TEST(Cut, LogicalPositions) {
  for (const int S : kSides)
    for (int L = S; L <= 3 * S; L++) {
      int64_t next = 0;
      for (int c = 0; c < S; c++) {
        const Range l = logical_positions(c, S, L);
        EXPECT_EQ(l.begin, next);
        EXPECT_GE(l.size(), 1);
        next = l.end;
      }
      EXPECT_EQ(next, L);
    }
}

TEST(Cut, RingOrder) {
  // Five cores, ten indices: positions 0, 2, 4, 3, 1 hold parts 0 .. 4.
  const Lists expected = {{{0, 2}}, {{8, 10}}, {{2, 4}}, {{6, 8}}, {{4, 6}}};
  EXPECT_EQ(lists_of(ring_cut(5, 5), 10), expected);
  // Two cores of a rectangle whose other side is 5: ring position 0 owns two of the five parts, 1 owns three.
  EXPECT_EQ(lists_of(ring_cut(2, 5), 10), (Lists{{{0, 4}}, {{4, 10}}}));
}

TEST(Cut, ChunksAreCutOneByOne) {
  // 7 rows in chunks of 4: 4 and 3, each over 2 cores
  EXPECT_EQ(lists_of(chunks_cut(2, 2, 4), 7), (Lists{{{0, 2}, {4, 5}}, {{2, 4}, {5, 7}}}));
}

// ---- KV cache by shift -----------------------------------------------------------------------------------------------------------

TEST(Shift, PlacementIsAFunctionOfTheCountAlone) {
  for (const int H : kSides)
    for (int64_t n = 0; n <= 100; n++) {
      int64_t next = 0;
      for (int i = 0; i < H; i++) {
        const Range r = shift_range(n, i, H);
        EXPECT_EQ(r.size(), (n + i) / H);
        EXPECT_EQ(r.size(), shift_rows(n, i, H));
        EXPECT_EQ(r.begin, next) << "row " << i << " of " << H << ", n = " << n;
        next = r.end;
      }
      EXPECT_EQ(next, n);
    }
}

// With n stored, every row i > H-1-(n mod H) passes its oldest entry up; then the new one goes to row H-1: the placement of n + 1.
TEST(Shift, OneTokenTurnsAPlacementIntoTheNext) {
  for (const int H : kSides) {
    std::vector<std::vector<int64_t>> rows(static_cast<size_t>(H));
    for (int64_t n = 0; n <= 100; n++) {
      const int64_t r = n % H;
      std::vector<std::vector<int64_t>> after = rows;
      for (int i = 1; i < H; i++) {
        if (i <= H - 1 - r) continue;
        ASSERT_FALSE(rows[static_cast<size_t>(i)].empty()) << "row " << i << " of " << H << " has nothing to pass, n = " << n;
        after[static_cast<size_t>(i)].erase(after[static_cast<size_t>(i)].begin());
        after[static_cast<size_t>(i) - 1].push_back(rows[static_cast<size_t>(i)].front());
      }
      after.back().push_back(n);
      rows = after;
      for (int i = 0; i < H; i++) {
        std::vector<int64_t> held;
        for (int64_t p = shift_range(n + 1, i, H).begin; p < shift_range(n + 1, i, H).end; p++) held.push_back(p);
        EXPECT_EQ(rows[static_cast<size_t>(i)], held) << "row " << i << " of " << H << " after token " << n;
      }
    }
  }
}

// ---- tiles of a product ----------------------------------------------------------------------------------------------------------

// L tiles, every index in one of them, and tile l held by the core that owns logical position l.
void expect_tiles(const Cut& cut, int64_t n, int L, const Lists& tiles, Range run) {
  ASSERT_EQ(tiles.size(), static_cast<size_t>(L));
  EXPECT_TRUE(once(tiles, n)) << n << " in " << L << " tiles";
  const int S = static_cast<int>(run.size());
  for (int c = 0; c < S; c++) {
    std::vector<Range> of_core;
    const Range own = logical_positions(c, S, L);
    for (int64_t l = own.begin; l < own.end; l++)
      for (const Range& r : tiles[static_cast<size_t>(l)]) append(of_core, r);
    EXPECT_EQ(of_core, ranges_at(cut, n, static_cast<int>(run.begin) + ring_to_position(c, S))) << "ring position " << c << " of " << S;
  }
}

TEST(LogicalTiles, ALineHoldsEveryTile) {
  for (const int64_t n : kSizes)
    for (const int S : kSides)
      for (const int L : kSides) {
        if (L < S) continue;
        for (const Cut& cut : {ring_cut(S, L), ring_cut(S, 13), parts_cut(S)}) expect_tiles(cut, n, L, logical_tiles(cut, n, L), {0, S});
      }
}

// What a product needs: the k tiles of A, cut along x, are those of B, cut along y.
TEST(LogicalTiles, AlongBothSidesOfARectangleTheyAreTheSame) {
  for (const int64_t n : kSizes)
    for (const int w : kSides)
      for (const int h : kSides) {
        const int L = std::max(w, h);
        const Lists along_x = logical_tiles(ring_cut(w, L), n, L), along_y = logical_tiles(ring_cut(h, L), n, L);
        EXPECT_EQ(along_x, along_y) << n << " on " << w << "x" << h;
        for (int l = 0; l < L; l++) {
          std::vector<Range> part_l;
          append(part_l, part(n, l, L));
          EXPECT_EQ(along_x[static_cast<size_t>(l)], part_l);
        }
      }
}

Cut runs_cut(std::vector<Range> runs, int h) {
  const int w = static_cast<int>(runs.back().end);
  Cut cut{.kind = CutKind::runs, .positions = w, .other_side = h, .other_logical = std::max(w, h)};
  cut.run_positions = std::move(runs);
  return cut;
}

TEST(Runs, EveryRunHoldsAllKeys) {
  for (const int64_t n : kSizes)
    for (const int W : kSides)
      for (const int h : kSides)
        for (const int heads : {1, 2, 3, 5}) {
          const std::vector<Range> runs = head_runs(heads, W);
          const Cut cut = runs_cut(runs, h);
          for (const Range& run : runs) {
            Lists held;
            for (int64_t p = run.begin; p < run.end; p++) held.push_back(ranges_at(cut, n, static_cast<int>(p)));
            EXPECT_TRUE(once(held, n)) << n << " in a run of " << run.size() << " of " << W << "x" << h;
          }
        }
}

// GEMM-T leaves scores cut along x as the keys are cut along y: the core that owns logical positions along x holds the same tiles of keys
// as those that own them along y, so that the product with V meets equal tiles on both sides.
TEST(Runs, KeysAlongXAreTheTilesAlongY) {
  for (const int64_t n : kSizes)
    for (const int W : kSides)
      for (const int h : kSides)
        for (const int heads : {1, 2, 3, 5}) {
          const std::vector<Range> runs = head_runs(heads, W);
          for (const Range& run : runs) {
            const int L = std::max(static_cast<int>(run.size()), h);
            const Lists tiles = logical_tiles(ring_cut(h, std::max(W, h)), n, L);
            expect_tiles(ring_cut(h, std::max(W, h)), n, L, tiles, {0, h});
            expect_tiles(runs_cut(runs, h), n, L, tiles, run);
          }
        }
}

// ---- head runs -------------------------------------------------------------------------------------------------------------------

TEST(HeadRuns, CoverTheColumnsInOrder) {
  for (int heads = 1; heads <= 12; heads++)
    for (int W = 1; W <= 30; W++) {
      int64_t next = 0;
      for (const Range& r : head_runs(heads, W)) {
        EXPECT_EQ(r.begin, next);
        EXPECT_GE(r.size(), 1);
        next = r.end;
      }
      EXPECT_EQ(next, W);
      EXPECT_EQ(head_runs(heads, W).size(), static_cast<size_t>(std::min(heads, W)));
    }
}

TEST(HeadRuns, RunOfAHeadAndHeadsOfAColumnAgree) {
  for (int heads = 1; heads <= 12; heads++)
    for (int W = 1; W <= 30; W++)
      for (int h = 0; h < heads; h++)
        for (int x = 0; x < W; x++) {
          const Range run = head_run(heads, W, h), own = heads_at(heads, W, x);
          EXPECT_EQ(run.begin <= x && x < run.end, own.begin <= h && h < own.end)
              << "head " << h << " of " << heads << ", column " << x << " of " << W;
        }
}

}  // namespace
}  // namespace wafer::mesh
