#include "mesh/bytes.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "mesh/builder.h"

namespace wafer::mesh {
namespace {

// A tensor on a region of w x h cores as its only buffer.
struct Single {
  Program p;

  Single(Extent e, Tensor tensor, std::vector<DimCut> cuts, int copies = 1, int slots = 1) {
    p.mesh = e;
    add_region(p, {.name = "r", .rect = {0, 0, e.w, e.h}});
    add_phase(p, "only");
    tensor.name = "t";
    add_tensor(p, std::move(tensor));
    add_buffer(p, {.name = "b", .cuts = std::move(cuts), .copies = copies, .slots = slots, .phases = {PhaseId{0}}});
  }
  int64_t at(int x, int y) const { return buffer_bytes(p, p.buffers.front(), x, y); }
};

TEST(BufferBytes, ElementsTimesTheirSize) {
  // 10 x 7 over 3 x 2 cores: columns 2, 2, 3; rows 5, 5
  const std::vector<DimCut> cuts = {{0, Axis::y, parts_cut(2)}, {1, Axis::x, parts_cut(3)}};
  const Single f32({3, 2}, {.dtype = Dtype::f32, .dims = {dim("a", 10), dim("b", 7)}}, cuts);
  EXPECT_EQ(f32.at(0, 0), 4 * 5 * 2);
  EXPECT_EQ(f32.at(2, 1), 4 * 5 * 3);
  const Single f16({3, 2}, {.dtype = Dtype::f16, .dims = {dim("a", 10), dim("b", 7)}}, cuts);
  EXPECT_EQ(f16.at(2, 1), 2 * 5 * 3);
  const Single whole({3, 2}, {.dtype = Dtype::f32, .dims = {dim("a", 10), dim("b", 7)}}, {});
  EXPECT_EQ(whole.at(1, 0), 4 * 70);
  const Single best({1, 1}, {.dtype = Dtype::best, .dims = {dim("one", 1)}}, {});
  EXPECT_EQ(best.at(0, 0), 8);
}

TEST(BufferBytes, CopiesSlotsAndLimits) {
  const Single s({1, 2}, {.dtype = Dtype::f16, .dims = {dim("rows", SizeKind::rows, 9)}}, {{0, Axis::y, shift_cut(2)}}, 3, 2);
  EXPECT_EQ(s.at(0, 0), 2 * 4 * 3 * 2);
  EXPECT_EQ(s.at(0, 1), 2 * 5 * 3 * 2);
}

TEST(BufferBytes, TwoDimensionsCutAlongOneAxis) {
  // heads 0 on columns 0, 1 and head 1 on column 2; 4 keys over each run
  Cut keys{.kind = CutKind::runs, .positions = 3, .other_side = 1, .other_logical = 3};
  keys.run_positions = {{0, 2}, {2, 3}};
  const Cut heads = table_cut({{{0, 1}}, {{0, 1}}, {{1, 2}}});
  const Single s({3, 1}, {.dtype = Dtype::f32, .dims = {dim("heads", 2), dim("keys", 4)}}, {{0, Axis::x, heads}, {1, Axis::x, keys}});
  EXPECT_EQ(s.at(0, 0) + s.at(1, 0), 4 * 4);
  EXPECT_EQ(s.at(2, 0), 4 * 4);
}

// 64 inputs by 3 outputs, inputs along y over 5 rows: [0,12) [12,25) [25,38) [38,51) [51,64). Blocks of 32: row 2 has pieces of both.
TEST(BufferBytes, QuantisedBlocksCutAcrossCores) {
  const std::vector<DimCut> cuts = {{0, Axis::y, parts_cut(5)}};
  const Single q8({1, 5}, {.dtype = Dtype::q8_0, .dims = {dim("in", 64), dim("out", 3)}}, cuts);
  EXPECT_EQ(q8.at(0, 0), 3 * (12 + 2));
  EXPECT_EQ(q8.at(0, 1), 3 * (13 + 2));
  EXPECT_EQ(q8.at(0, 2), 3 * (13 + 2 * 2));
  EXPECT_EQ(q8.at(0, 4), 3 * (13 + 2));
  const Single q4({1, 5}, {.dtype = Dtype::q4_0, .dims = {dim("in", 64), dim("out", 3)}}, cuts);
  EXPECT_EQ(q4.at(0, 0), 3 * (6 + 2));
  EXPECT_EQ(q4.at(0, 1), 3 * (7 + 2));
  EXPECT_EQ(q4.at(0, 2), 3 * (7 + 2 * 2));
}

TEST(BufferBytes, QuantisedWhole) {
  const Single q8({2, 1}, {.dtype = Dtype::q8_0, .dims = {dim("in", 64), dim("out", 3)}}, {{1, Axis::x, parts_cut(2)}});
  EXPECT_EQ(q8.at(0, 0), 1 * (64 + 2 * 2));
  EXPECT_EQ(q8.at(1, 0), 2 * (64 + 2 * 2));  // as the file: 34 bytes a block
  const Single q4({1, 1}, {.dtype = Dtype::q4_0, .dims = {dim("in", 64), dim("out", 3)}}, {});
  EXPECT_EQ(q4.at(0, 0), 3 * 2 * 18);
}

TEST(BufferBytes, ACoreWithoutInputsHasNoScale) {
  const Single q8({1, 3}, {.dtype = Dtype::q8_0, .dims = {dim("in", 2), dim("out", 5)}}, {{0, Axis::y, parts_cut(3)}});
  EXPECT_EQ(q8.at(0, 0), 0);
  EXPECT_EQ(q8.at(0, 1), 5 * 3);
}

// ---- phases ----------------------------------------------------------------------------------------------------------------------

Cut random_cut(Rng& rng, int side, int other, int64_t n) {
  const int L = std::max(side, other);
  switch (next_below(rng, 6)) {
    case 0: return ring_cut(side, L);
    case 1: return chunks_cut(side, L, 1 + static_cast<int64_t>(next_below(rng, 9)));
    case 2: return shift_cut(side);
    case 3: {
      std::vector<std::vector<Range>> table;
      for (int p = 0; p < side; p++) table.push_back(ranges_at(parts_cut(side), n, side - 1 - p));
      return table_cut(table);
    }
    default: return parts_cut(side);
  }
}

Program random_program(Rng& rng) {
  Program p;
  const int phases = 1 + static_cast<int>(next_below(rng, 3)), regions = 1 + static_cast<int>(next_below(rng, 2));
  for (int i = 0; i < phases; i++) add_phase(p, "phase");
  for (int i = 0; i < regions; i++)
    add_region(p, {.name = "region",
                   .rect = {static_cast<int>(next_below(rng, 4)), static_cast<int>(next_below(rng, 4)),
                            1 + static_cast<int>(next_below(rng, 9)), 1 + static_cast<int>(next_below(rng, 9))}});
  for (int i = 0; i < 6; i++) {
    const RegionId region(static_cast<int>(next_below(rng, static_cast<uint64_t>(regions))));
    const Extent e = extent(p.regions[region].rect);
    const Dtype types[] = {Dtype::f32, Dtype::f16, Dtype::q8_0, Dtype::q4_0};
    const int64_t in = static_cast<int64_t>(next_below(rng, 90)), out = static_cast<int64_t>(next_below(rng, 40));
    const TensorId tensor = add_tensor(p, {.name = "t", .dtype = types[next_below(rng, 4)], .dims = {dim("in", in), dim("out", out)}});
    std::vector<DimCut> cuts;
    if (next_below(rng, 4) > 0) cuts.push_back({0, Axis::y, random_cut(rng, e.h, e.w, in)});
    if (next_below(rng, 4) > 0) cuts.push_back({1, Axis::x, random_cut(rng, e.w, e.h, out)});
    Buffer b{.name = "b", .tensor = tensor, .region = region, .kind = static_cast<BufferKind>(next_below(rng, kBufferKinds)), .cuts = cuts};
    b.copies = 1 + static_cast<int>(next_below(rng, 3));
    b.slots = 1 + static_cast<int>(next_below(rng, 2));
    for (int ph = 0; ph < phases; ph++)
      if (next_below(rng, 2) == 0) b.phases.push_back(PhaseId(ph));
    add_buffer(p, b);
  }
  return p;
}

TEST(PhaseBytes, IsTheFullestOfAllCores) {
  Rng rng(11);
  for (int round = 0; round < 60; round++) {
    const Program p = random_program(rng);
    for (const PhaseBytes& row : phase_bytes(p, 100)) {
      const Rect r = p.regions[row.region].rect;
      int64_t most = 0, sum = 0;
      for (int y = 0; y < r.h; y++)
        for (int x = 0; x < r.w; x++) {
          int64_t total = 100;
          for (const RegionId other : p.regions.ids()) {
            const Rect o = p.regions[other].rect;
            const int ox = r.x + x - o.x, oy = r.y + y - o.y;
            if (ox >= 0 && ox < o.w && oy >= 0 && oy < o.h) total += core_bytes(p, other, row.phase, ox, oy, 0).total();
          }
          most = std::max(most, total);
          sum += total;
        }
      EXPECT_EQ(row.cores, int64_t{r.w} * r.h);
      EXPECT_EQ(row.fullest.total(), most);
      EXPECT_NEAR(row.mean, static_cast<double>(sum) / static_cast<double>(row.cores), 1e-6 * static_cast<double>(most));
    }
  }
}

// A transition: what the one region still holds and what the other holds already are on the same cores.
TEST(PhaseBytes, RegionsOverOneAnotherAddUp) {
  Program p;
  const PhaseId both = add_phase(p, "both"), second_only = add_phase(p, "second only");
  const RegionId a = add_region(p, {.name = "a", .rect = {0, 0, 3, 1}}), b = add_region(p, {.name = "b", .rect = {2, 0, 3, 1}});
  add_tensor(p, {.name = "t", .dtype = Dtype::f32, .dims = {dim("n", 25)}});
  add_buffer(p, {.name = "a's", .region = a, .kind = BufferKind::cache, .phases = {both}});
  add_buffer(p, {.name = "b's", .region = b, .kind = BufferKind::weights, .phases = {both, second_only}});
  const std::vector<PhaseBytes> rows = phase_bytes(p, 8);
  ASSERT_EQ(rows.size(), 3u);
  for (const PhaseBytes& row : rows) {
    EXPECT_EQ(row.fullest.total(), row.phase == both ? 208 : 108);
    if (row.phase == both) {
      EXPECT_EQ(row.x, 2);
      EXPECT_NEAR(row.mean, (108 + 108 + 208) / 3.0, 1e-9);
    }
  }
}

TEST(PhaseBytes, OnlyWhatLivesInThePhase) {
  Program p;
  const PhaseId a = add_phase(p, "a"), b = add_phase(p, "b");
  add_region(p, {.name = "r", .rect = {2, 3, 1, 1}});
  add_tensor(p, {.name = "t", .dtype = Dtype::f32, .dims = {dim("n", 25)}});
  add_buffer(p, {.name = "always", .kind = BufferKind::weights, .phases = {a, b}});
  add_buffer(p, {.name = "b only", .kind = BufferKind::staging, .phases = {b}});
  const std::vector<PhaseBytes> rows = phase_bytes(p, 7);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fullest.total(), 107);
  EXPECT_EQ(rows[1].fullest.total(), 207);
  EXPECT_EQ(fullest(rows).phase, b);
  EXPECT_EQ(rows[1].fullest.by_kind[static_cast<size_t>(BufferKind::staging)], 100);
  EXPECT_EQ(rows[1].x, 2);
  EXPECT_EQ(rows[1].y, 3);
}

}  // namespace
}  // namespace wafer::mesh
