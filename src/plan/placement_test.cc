#include "plan/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "mesh/bytes.h"

namespace wafer {
namespace {

using namespace mesh;

using Lists = std::vector<std::vector<Range>>;

ModelConfig model(int64_t heads, int64_t kv_heads, int64_t head_dim) {
  return {.name = "m",
          .architecture = "llama",
          .layers = 3,
          .dim = 20,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .ffn = 37,
          .vocab = 50,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 10000};
}

Plan plan_on(Extent prefill, Extent decode) {
  Plan p{.context = 19, .chunk = 7, .max_prompt = 19};
  p.prefill.regions = {{.rect = {0, 0, prefill.w, prefill.h}, .layers = 3, .head = true}};
  p.decode.regions = {{.rect = {0, 0, decode.w, decode.h}, .layers = 3, .head = true}};
  return p;
}

void expect_once(const Lists& lists, int64_t n, const std::string& what) {
  std::vector<int> seen(static_cast<size_t>(n), 0);
  for (const auto& ranges : lists)
    for (const Range& r : ranges)
      for (int64_t i = r.begin; i < r.end; i++) {
        ASSERT_TRUE(0 <= i && i < n) << what;
        seen[static_cast<size_t>(i)]++;
      }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), n) << what;
}

const int kWidths[] = {1, 2, 3, 4, 5, 7, 8, 11, 13, 24, 40};

TEST(HeadTables, EveryIndexIsOnOneColumn) {
  for (const int64_t kv : {1, 2, 3, 5, 8})
    for (const int64_t group : {1, 2, 4})
      for (const int64_t head_dim : {2, 6, 8, 20})
        for (const int W : kWidths) {
          const ModelConfig c = model(kv * group, kv, head_dim);
          const HeadTables t = head_tables(c, W);
          const std::string what =
              std::to_string(kv) + " KV heads x " + std::to_string(group) + " of " + std::to_string(head_dim) + " on " + std::to_string(W);
          expect_once(t.q, q_width(c), "q, " + what);
          expect_once(t.kv, kv_width(c), "kv, " + what);
        }
}

TEST(HeadTables, PairsAreNeverSplit) {
  for (const int64_t kv : {1, 2, 3, 5})
    for (const int64_t head_dim : {2, 6, 20})
      for (const int W : kWidths) {
        const HeadTables t = head_tables(model(2 * kv, kv, head_dim), W);
        for (const Lists& lists : {t.q, t.kv})
          for (const auto& ranges : lists)
            for (const Range& r : ranges) EXPECT_TRUE(r.begin % 2 == 0 && r.end % 2 == 0);
      }
}

// A column holds the same dims of every query head of its KV heads as of K and V.
TEST(HeadTables, QueriesFollowTheirKeys) {
  for (const int64_t kv : {1, 2, 3, 5})
    for (const int64_t group : {1, 3})
      for (const int W : kWidths) {
        const ModelConfig c = model(kv * group, kv, 12);
        const HeadTables t = head_tables(c, W);
        for (size_t x = 0; x < static_cast<size_t>(W); x++) {
          std::vector<Range> q;
          for (const Range& r : t.kv[x])
            for (int64_t h = r.begin / c.head_dim; h * c.head_dim < r.end; h++)
              for (int64_t m = h * group; m < (h + 1) * group; m++) {
                const int64_t shift = m * c.head_dim - h * c.head_dim;
                append(q, {std::max(r.begin, h * c.head_dim) + shift, std::min(r.end, (h + 1) * c.head_dim) + shift});
              }
          EXPECT_EQ(t.q[x], q) << "column " << x << " of " << W;
          EXPECT_EQ(count(t.q[x]), group * count(t.kv[x]));
        }
      }
}

// KV heads 0 .. 3 with 2 query heads each, 8 dims, on 12 columns: a head owns three columns with 1, 1 and 2 of its 4 pairs.
TEST(HeadTables, AHeadOwnsARunOfColumns) {
  const HeadTables t = head_tables(model(8, 4, 8), 12);
  EXPECT_EQ(t.runs, (std::vector<Range>{{0, 3}, {3, 6}, {6, 9}, {9, 12}}));
  EXPECT_EQ(t.q[4], (std::vector<Range>{{2 * 8 + 2, 2 * 8 + 4}, {3 * 8 + 2, 3 * 8 + 4}}));
  EXPECT_EQ(t.kv[5], (std::vector<Range>{{8 + 4, 8 + 8}}));
  EXPECT_EQ(t.heads[4], (std::vector<Range>{{2, 4}}));
  EXPECT_EQ(t.kv_heads[4], (std::vector<Range>{{1, 2}}));
  EXPECT_EQ(t.pairs[5], (std::vector<Range>{{2, 4}}));
}

// Columns past the pairs of a head are empty.
TEST(HeadTables, MoreColumnsThanPairs) {
  const HeadTables t = head_tables(model(2, 1, 4), 5);
  int64_t empty = 0;
  for (const auto& ranges : t.kv) empty += ranges.empty();
  EXPECT_EQ(empty, 3);
  for (const auto& heads : t.heads) EXPECT_EQ(heads, (std::vector<Range>{{0, 2}}));  // they take part in the head's sums
}

// Fewer columns than KV heads, not a divisor: 5 heads on 3 columns, whole heads 1, 2, 2.
TEST(HeadTables, FewerColumnsThanHeads) {
  const HeadTables t = head_tables(model(10, 5, 4), 3);
  EXPECT_EQ(t.kv, (Lists{{{0, 4}}, {{4, 12}}, {{12, 20}}}));
  EXPECT_EQ(t.q, (Lists{{{0, 8}}, {{8, 24}}, {{24, 40}}}));
  EXPECT_EQ(t.heads, (Lists{{{0, 2}}, {{2, 6}}, {{6, 10}}}));
  EXPECT_EQ(t.runs, (std::vector<Range>{{0, 1}, {1, 2}, {2, 3}}));
}

// ---- buffers ---------------------------------------------------------------------------------------------------------------------

const Extent kMeshes[] = {{1, 1}, {1, 5}, {5, 1}, {2, 2}, {3, 3}, {7, 5}, {5, 7}, {13, 11}, {11, 13}, {20, 3}, {3, 20}};

const DimCut* cut_of(const Buffer& b, int d) {
  const auto it = std::find_if(b.cuts.begin(), b.cuts.end(), [&](const DimCut& c) { return c.dim == d; });
  return it == b.cuts.end() ? nullptr : &*it;
}

// Weights and caches: each dimension that is cut is cut along an axis of its own, and holds every index once.
TEST(Place, WeightsAndCachesLieOnce) {
  for (const Extent e : kMeshes) {
    const Placement placed = place(model(6, 3, 8), uniform_types(TensorType::f16), plan_on(e, e), {32, 32});
    for (const Buffer& b : placed.program.buffers) {
      if (b.kind != BufferKind::weights && b.kind != BufferKind::cache) continue;
      if (b.name.ends_with("turns")) continue;  // every run has the angles of its own pairs
      const Tensor& t = placed.program.tensors[b.tensor];
      if (b.cuts.size() == 2) {
        EXPECT_NE(b.cuts[0].axis, b.cuts[1].axis) << b.name;
      }
      for (const DimCut& cut : b.cuts) {
        const int64_t n = t.dims[static_cast<size_t>(cut.dim)].size.limit;
        EXPECT_EQ(cut.cut.positions, side(e, cut.axis)) << b.name;
        Lists lists;
        for (int p = 0; p < cut.cut.positions; p++) lists.push_back(ranges_at(cut.cut, n, p));
        expect_once(lists, n, b.name + " on " + std::to_string(e.w) + "x" + std::to_string(e.h));
      }
    }
  }
}

// Every layer of every tensor lies in exactly one region of each phase.
TEST(Place, EveryCopyHasOneRegion) {
  Plan plan = plan_on({3, 3}, {2, 2});
  plan.prefill.regions = {{.rect = {0, 0, 3, 3}, .first_layer = 0, .layers = 2},
                          {.rect = {3, 0, 3, 3}, .first_layer = 2, .layers = 1},
                          {.rect = {6, 0, 3, 3}, .head = true}};
  const Placement placed = place(model(6, 3, 8), uniform_types(TensorType::f16), plan, {32, 32});
  std::map<std::pair<std::string, int>, int> copies;  // (buffer, copy) -> times
  for (const Buffer& b : placed.program.buffers)
    if (b.kind == BufferKind::weights || b.kind == BufferKind::cache)
      for (int i = 0; i < b.copies; i++) copies[{b.name, b.first_copy + i}]++;
  for (const std::string phase : {"prefill.", "decode."})
    for (const std::string name : {"attn_norm", "wq", "wk", "wv", "wo", "ffn_norm", "wgate", "wup", "wdown", "k_cache", "v_cache"})
      for (int layer = 0; layer < 3; layer++) EXPECT_EQ((copies[{phase + name, layer}]), 1) << phase << name << " " << layer;
}

// A product C = A B needs A's k tiles along x and B's k tiles along y to be the same lists of indices: the core of ring position c on
// either axis holds the tiles of its logical positions.
void expect_same_k(const Program& p, const Extent e, BufferId a, int a_dim, BufferId b, int b_dim) {
  const Buffer &left = p.buffers[a], &right = p.buffers[b];
  const DimCut *x = cut_of(left, a_dim), *y = cut_of(right, b_dim);
  ASSERT_TRUE(x != nullptr && y != nullptr);
  EXPECT_EQ(x->axis, Axis::x);
  EXPECT_EQ(y->axis, Axis::y);
  const int64_t n = p.tensors[left.tensor].dims[static_cast<size_t>(a_dim)].size.limit;
  const int L = std::max(e.w, e.h);
  const Lists tiles = logical_tiles(x->cut, n, L);
  for (int c = 0; c < e.h; c++) {
    std::vector<Range> of_core;
    const Range own = logical_positions(c, e.h, L);
    for (int64_t l = own.begin; l < own.end; l++)
      for (const Range& r : tiles[static_cast<size_t>(l)]) append(of_core, r);
    EXPECT_EQ(ranges_at(y->cut, n, ring_to_position(c, e.h)), of_core) << left.name << " x " << right.name << " on " << e.w << "x" << e.h;
  }
}

TEST(Place, ProductsMeetTheSameInputsOnBothSides) {
  for (const Extent e : kMeshes)
    for (const int64_t kv : {1, 3, 6}) {
      const Placement placed = place(model(2 * kv, kv, 10), uniform_types(TensorType::f16), plan_on(e, e), {32, 32});
      const PrefillBuffers& b = placed.prefill[0];
      for (const BufferId w : {b.w.q, b.w.k, b.w.v, b.w.gate, b.w.up}) expect_same_k(placed.program, e, b.xn, 1, w, 0);
      expect_same_k(placed.program, e, b.o_op, 1, b.w.o, 0);
      expect_same_k(placed.program, e, b.a, 1, b.w.down, 0);
    }
}

// The slot for the arriving weights' tile holds the largest of them, also where a head has more columns than pairs.
TEST(Place, TheSlotOfArrivingTilesHoldsEveryMatrix) {
  ModelConfig c = model(8, 4, 8);
  c.dim = 64;
  c.ffn = 172;
  const Placement placed = place(c, uniform_types(TensorType::f16), plan_on({60, 60}, {8, 8}), {64, 64});
  const Program& p = placed.program;
  const auto most_of = [&](const Buffer& b) {
    int64_t n = 0;
    for (int y = 0; y < 60; y++)
      for (int x = 0; x < 60; x++) n = std::max(n, buffer_bytes(p, b, x, y) / b.copies);
    return n;
  };
  const auto slot = std::find_if(p.buffers.begin(), p.buffers.end(), [](const Buffer& b) { return b.name == "prefill.b_slot"; });
  ASSERT_NE(slot, p.buffers.end());
  const LayerWeights& w = placed.prefill[0].w;
  for (const BufferId b : {w.q, w.k, w.v, w.o, w.gate, w.up, w.down}) EXPECT_LE(most_of(p.buffers[b]), most_of(*slot)) << p.buffers[b].name;
}

// On 2 x 2 cores, core (0,0) has 10 of the 20 dims, 18 of the 37 inner ones and 2 of 4 experts' router columns. In f16 a matrix of an
// expert is 10 * 18 * 2 = 360 bytes there.
TEST(Place, BytesOfExpertsByHand) {
  const ModelConfig dense = model(2, 1, 4);
  ModelConfig mixture = dense;
  mixture.experts = 4;
  mixture.experts_used = 2;
  const auto placed = [](const ModelConfig& c) { return place(c, uniform_types(TensorType::f16), plan_on({2, 2}, {2, 2}), {32, 32}); };
  const Placement d = placed(dense), m = placed(mixture);
  const auto more = [&](RegionId region, PhaseId phase, BufferKind kind) {
    const auto bytes = [&](const Placement& p) { return core_bytes(p.program, region, phase, 0, 0, 0).by_kind[static_cast<size_t>(kind)]; };
    return bytes(m) - bytes(d);
  };
  const RegionId prefill = m.prefill_regions[0], decode = m.decode_regions[0];
  const int64_t weights = 3 * (3 * 3 * 360 + 10 * 2 * 2);  // of 3 layers: 3 matrices of 3 experts more, and the router
  EXPECT_EQ(more(prefill, m.prefill_phases.rows, BufferKind::weights), weights);
  EXPECT_EQ(more(decode, m.decode_phases.layer, BufferKind::weights), weights);
  // The second expert's g and u in f32 and a in f16; the router's 4 numbers.
  EXPECT_EQ(more(decode, m.decode_phases.layer, BufferKind::activations), 18 * (4 + 4 + 2) + 4 * 4);
  // One expert at a time: 4 numbers of the router for each of at most 4 of 7 rows.
  EXPECT_EQ(more(prefill, m.prefill_phases.rows, BufferKind::activations), 4 * 4 * 4);
  // The tile that arrives, and the matrices on their way to decode, are one expert's.
  EXPECT_EQ(more(prefill, m.prefill_phases.rows, BufferKind::staging), 0);
  EXPECT_EQ(more(decode, m.transition_phase, BufferKind::staging), 0);
  EXPECT_EQ(more(decode, m.transition_phase, BufferKind::cache), 0);
}

// Of a random plan: every layer moves once; in turn, no region of the phase with more of them is a layer ahead of another.
TEST(Place, TheTransitionMovesEachLayerOnce) {
  Rng rng(83);
  const auto below = [&](int n) { return static_cast<int>(next_below(rng, static_cast<uint64_t>(n))); };
  for (int run = 0; run < 300; run++) {
    const int layers = 1 + below(40);
    Plan plan{.regions_in_turn = run % 2 == 1};
    for (PhasePlan* phase : {&plan.prefill, &plan.decode}) {
      for (int first = 0; first < layers;) {
        const int n = std::min(layers - first, 1 + below(layers));
        phase->regions.push_back({.first_layer = first, .layers = n});
        first += n;
      }
      phase->regions.push_back({.head = true});
    }
    const std::vector<int> order = transition_order(plan, layers);
    std::vector<int> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (int l = 0; l < layers; l++) {
      EXPECT_EQ(sorted[static_cast<size_t>(l)], l);
      if (!plan.regions_in_turn) {
        EXPECT_EQ(order[static_cast<size_t>(l)], l);
      }
    }
    if (!plan.regions_in_turn) continue;
    const PhasePlan& more = layer_regions(plan.prefill) > layer_regions(plan.decode) ? plan.prefill : plan.decode;
    std::vector<double> moved(more.regions.size(), 0);
    for (const int l : order) {
      moved[static_cast<size_t>(region_of_layer(more, l))]++;
      for (size_t a = 0; a < moved.size(); a++)
        for (size_t b = 0; b < moved.size(); b++)
          if (const int of_a = more.regions[a].layers, of_b = more.regions[b].layers; of_a > 0 && of_b > 0) {
            EXPECT_LE((moved[a] - 1) / of_a, moved[b] / of_b);
          }
    }
  }
}

// One region, then several that lie over it, as the planner would deal layers: a core is always at the same share of what it holds before
// and of what it holds after, but for a layer and the head's tables. In order the first region of decode has all its layers while half of
// the others' still lie there.
TEST(Place, RegionsInTurnNeedLittleMoreThanBothPhases) {
  ModelConfig c = model(2, 1, 4);
  c.layers = 16;
  c.ffn = 64;
  c.dim = 32;
  c.vocab = 8;
  const auto one = [&](PhasePlan& p) { p.regions = {{.rect = {0, 0, 8, 8}, .layers = 16, .head = true}}; };
  const auto two = [&](PhasePlan& p) {
    p.regions = {{.rect = {0, 0, 8, 4}, .layers = 8, .head = true}, {.rect = {0, 4, 8, 4}, .first_layer = 8, .layers = 8}};
  };
  for (const bool prefill_is_one : {true, false}) {
    Plan plan{.context = 19, .chunk = 7, .max_prompt = 19};
    one(prefill_is_one ? plan.prefill : plan.decode);
    two(prefill_is_one ? plan.decode : plan.prefill);
    const auto stored = [](const CoreBytes& b) {
      return b.by_kind[static_cast<size_t>(BufferKind::weights)] + b.by_kind[static_cast<size_t>(BufferKind::cache)];
    };
    const auto most = [&](bool in_turn) {
      plan.regions_in_turn = in_turn;
      const Placement p = place(c, uniform_types(TensorType::f16), plan, {8, 8});
      return stored(fullest(phase_bytes(p.program, 0, p.transition_phase)).fullest);
    };
    plan.regions_in_turn = false;
    const Placement p = place(c, uniform_types(TensorType::f16), plan, {8, 8});
    int64_t before = 0, after = 0;
    for (const PhaseBytes& row : phase_bytes(p.program, 0, p.prefill_phases.rows)) before = std::max(before, stored(row.fullest));
    for (const PhaseBytes& row : phase_bytes(p.program, 0, p.decode_phases.layer)) after = std::max(after, stored(row.fullest));
    const int64_t larger = std::max(before, after), layer = larger / 8;
    EXPECT_LE(most(true), larger + 2 * layer) << before << " " << after;
    EXPECT_GT(most(false), larger + 3 * layer) << before << " " << after;
  }
}

// Decode: x is cut along y and the first weights with it, the second ones along x: nothing is transposed in between.
TEST(Place, DecodeNeedsNoTranspose) {
  const Placement placed = place(model(6, 3, 8), uniform_types(TensorType::f16), plan_on({5, 7}, {5, 7}), {32, 32});
  const Program& p = placed.program;
  const DecodeBuffers& d = placed.decode[0];
  const auto axis = [&](BufferId buffer, int dim) {
    const DimCut* c = cut_of(p.buffers[buffer], dim);
    return c == nullptr ? std::string("whole") : std::string(name(c->axis));
  };
  for (const BufferId v : {d.x, d.xn, d.h}) EXPECT_EQ(axis(v, 0), "y");
  for (const BufferId v : {d.q, d.k, d.v, d.o, d.o_op, d.g, d.u, d.a}) EXPECT_EQ(axis(v, 0), "x");
  for (const BufferId w : {d.w.q, d.w.k, d.w.v, d.w.gate, d.w.up}) EXPECT_EQ(axis(w, 0) + axis(w, 1), "yx");
  for (const BufferId w : {d.w.o, d.w.down}) EXPECT_EQ(axis(w, 0) + axis(w, 1), "xy");
  for (const BufferId k : {d.k_cache, d.v_cache}) {
    EXPECT_EQ(axis(k, 0) + axis(k, 1), "yx");
    EXPECT_EQ(cut_of(p.buffers[k], 0)->cut.kind, CutKind::shift);
  }
}

}  // namespace
}  // namespace wafer
