// Lowered programs of random small models on random meshes keep every rule of verify().
#include "lower/lower.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "mesh/locality.h"
#include "mesh/verify.h"

namespace wafer {
namespace {

using namespace mesh;

constexpr Extent kMesh{750, 994};  // of the wse2: the regions below are small and lie in its corner
constexpr Limits kLimits{.mesh = kMesh, .sram_bytes = 49152, .code_bytes = 8528, .colours = 21};

struct Case {
  ModelConfig config;
  WeightTypes types;
  Plan plan;
};

int64_t below(Rng& rng, int64_t n) { return static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(n))); }

ModelConfig random_model(Rng& rng) {
  ModelConfig c{.name = "random", .architecture = "llama"};
  c.layers = 1 + below(rng, 4);
  c.dim = 8 + below(rng, 80);
  c.kv_heads = 1 + below(rng, 5);
  c.heads = c.kv_heads * (1 + below(rng, 4));
  c.head_dim = 2 * (1 + below(rng, 8));
  c.ffn = 8 + below(rng, 200);
  c.vocab = 10 + below(rng, 300);
  c.context = 64;
  c.norm_epsilon = 1e-5f;
  c.rope_base = 10000;
  c.tied_embedding = below(rng, 2) == 0;
  return c;
}

// `count` regions of one size side by side; the layers are dealt in order, the head has the last region or shares it.
PhasePlan regions(int64_t layers, Extent e, int count, bool own_head) {
  PhasePlan p;
  const int with_layers = own_head ? count - 1 : count;
  for (int i = 0; i < count; i++) {
    PlacedRegion r{.rect = {i * e.w, 0, e.w, e.h}, .head = i == count - 1};
    if (i < with_layers) {
      const Range own = part(layers, i, with_layers);
      r.first_layer = static_cast<int>(own.begin);
      r.layers = static_cast<int>(own.size());
    }
    p.regions.push_back(r);
  }
  return p;
}

PhasePlan random_phase(Rng& rng, int64_t layers, Extent e) {
  const int count = 1 + static_cast<int>(below(rng, std::min<int64_t>(3, layers)));
  return below(rng, 3) == 0 ? regions(layers, e, count + 1, true) : regions(layers, e, count, false);
}

Extent random_mesh(Rng& rng) { return {1 + static_cast<int>(below(rng, 13)), 1 + static_cast<int>(below(rng, 11))}; }

Case random_case(Rng& rng, Extent prefill, Extent decode) {
  Case c{.config = random_model(rng), .types = {}, .plan = {}};
  const TensorType types[] = {TensorType::f32, TensorType::f16, TensorType::q8_0, TensorType::q4_0};
  const TensorType type = types[below(rng, 4)];
  // Rows of a quantised matrix are whole blocks.
  if (type == TensorType::q8_0 || type == TensorType::q4_0) {
    c.config.dim = 32 * (1 + below(rng, 3));
    c.config.ffn = 32 * (1 + below(rng, 5));
    c.config.head_dim = 32;
  }
  c.types = uniform_types(type);
  c.plan.numerics = static_cast<Numerics>(below(rng, 3));
  c.plan.context = 1 + below(rng, 60);
  c.plan.chunk = 1 + below(rng, c.plan.context);
  c.plan.max_prompt = 1 + below(rng, c.plan.context);
  c.plan.keep_scores = below(rng, 2) == 0;
  c.plan.host_choice = below(rng, 2) == 0;
  c.plan.regions_in_turn = below(rng, 2) == 0;
  c.plan.tree_levels = 1 + static_cast<int>(below(rng, 2));
  c.plan.prefill = random_phase(rng, c.config.layers, prefill);
  c.plan.decode = random_phase(rng, c.config.layers, decode);
  return c;
}

void expect_legal(const Case& c) {
  const Lowered lowered = lower(c.config, c.types, c.plan, kMesh);
  const Program& p = lowered.program();
  for (const Diagnostic& d : verify(p, kLimits))
    if (d.rule != Rule::bytes) {
      const Rect& a = c.plan.prefill.regions[0].rect;
      const Rect& b = c.plan.decode.regions[0].rect;
      ADD_FAILURE() << name(d.rule) << ": " << d.where << ": " << d.text << " (prefill " << a.w << "x" << a.h << ", decode " << b.w << "x"
                    << b.h << ", " << c.config.kv_heads << " KV heads)";
    }
  EXPECT_LE(colours_max(p), 21);
  for (const Diagnostic& d : check_locality(p)) ADD_FAILURE() << name(d.rule) << ": " << d.where << ": " << d.text;
}

TEST(Lower, RandomModelsOnRandomMeshesAreLegal) {
  Rng rng(2024);
  for (int round = 0; round < 120; round++) {
    const Extent prefill = random_mesh(rng), decode = random_mesh(rng);
    expect_legal(random_case(rng, prefill, decode));
  }
}

TEST(Lower, OneCoreALineASquareAndNarrowerThanItsHeads) {
  Rng rng(5);
  for (const Extent e :
       {Extent{1, 1}, Extent{1, 11}, Extent{13, 1}, Extent{7, 7}, Extent{13, 11}, Extent{5, 11}, Extent{2, 3}, Extent{3, 2}})
    for (int round = 0; round < 4; round++) {
      Case c = random_case(rng, e, e);
      if (round > 0) {  // W < KV heads, and then a multiple
        c.config.kv_heads = e.w * round + (round == 1 ? 1 : 0);
        c.config.heads = 2 * c.config.kv_heads;
      }
      expect_legal(c);
    }
}

// The runs of the heads, the rings and the trees at their full width: what a wafer-sized mesh needs.
TEST(Lower, ColoursOnAWideMesh) {
  Rng rng(9);
  Case c = random_case(rng, {60, 48}, {60, 48});
  c.config.kv_heads = 2;
  c.config.heads = 4;
  c.plan.host_choice = false;
  c.plan.tree_levels = 2;
  expect_legal(c);
  const Lowered lowered = lower(c.config, c.types, c.plan, kMesh);
  IdVector<PhaseId, std::set<int>> used(lowered.program().phases.size());
  for (const Route& r : lowered.program().routes) used[r.phase].insert(r.colours.begin(), r.colours.end());
  const auto count = [&](PhaseId phase) { return used[phase].size(); };
  const PrefillPhases& pp = lowered.placement.prefill_phases;
  const DecodePhases& dp = lowered.placement.decode_phases;
  EXPECT_EQ(count(pp.rows), 14u);       // tree along x 2 + 2 + 1, rings: x down 3, x up 3, y down 3
  EXPECT_EQ(count(pp.attention), 21u);  // rings x 6, y 6, row sums 2 + 2, tree in the run 5
  EXPECT_EQ(count(pp.head), 14u);       // trees 5 + 5, embedding row 2 + 2
  EXPECT_EQ(count(dp.layer), 17u);      // trees along y, x and in the run 5 + 5 + 5, KV shift 2
  EXPECT_EQ(count(dp.head), 14u);
}

TEST(Lower, GivenGroupsShapeTheTreesOfWholeLines) {
  Rng rng(9);
  Case c = random_case(rng, {60, 48}, {60, 48});
  c.config.kv_heads = 2;
  c.config.heads = 4;
  c.plan.tree_levels = 2;
  const auto tree_of_lines = [&](std::vector<int> groups) {
    c.plan.groups = std::move(groups);
    const Lowered lowered = lower(c.config, c.types, c.plan, kMesh);
    std::set<std::vector<size_t>> chains;  // of each level, of the trees along y
    const auto look = [&](const auto& self, const Steps& steps) -> void {
      for (const Step& s : steps) {
        if (const auto* l = std::get_if<Loop>(&s.what)) self(self, l->body);
        if (const auto* g = std::get_if<Group>(&s.what)) self(self, g->body);
        const auto* r = std::get_if<Reduce>(&s.what);
        if (r == nullptr || r->axis != Axis::y) continue;
        std::vector<size_t> of_levels;
        for (const Level& level : r->forest.trees.front().levels) of_levels.push_back(level.size());
        chains.insert(of_levels);
      }
    };
    for (const RegionSteps& list : entry(lowered.program(), "decode").lists) look(look, list.steps);
    return chains;
  };
  using Chains = std::set<std::vector<size_t>>;
  EXPECT_EQ(tree_of_lines({}), (Chains{{14, 2}}));   // round(sqrt(48)) groups
  EXPECT_EQ(tree_of_lines({6}), (Chains{{12, 2}}));  // two chains a group
  EXPECT_EQ(tree_of_lines({16, 4}), (Chains{{32, 8, 2}}));
  EXPECT_EQ(tree_of_lines({1}), (Chains{{2}}));
  // Three levels along whole lines and two inside the runs of the heads are just as many colours as there are.
  c.plan.groups = {16, 4};
  c.plan.host_choice = false;
  expect_legal(c);
  EXPECT_EQ(colours_max(lower(c.config, c.types, c.plan, kMesh).program()), 21);
}

TEST(Lower, MixturesOfExpertsAreRefused) {
  Rng rng(9);
  Case c = random_case(rng, {60, 48}, {60, 48});
  c.config.experts = 4;
  EXPECT_THROW(lower(c.config, c.types, c.plan, kMesh), Error);
}

// What verify() is for: trees of three levels ask for more than the device has.
TEST(Lower, ThreeLevelsOfTreesNeedTooManyColours) {
  Rng rng(9);
  Case c = random_case(rng, {60, 48}, {60, 48});
  c.config.kv_heads = 2;
  c.config.heads = 4;
  c.plan.tree_levels = 3;
  const Lowered lowered = lower(c.config, c.types, c.plan, kMesh);
  EXPECT_EQ(colours_max(lowered.program()), 23);
  std::set<std::string> phases;
  for (const Diagnostic& d : verify(lowered.program(), kLimits))
    if (d.rule != Rule::bytes) {
      EXPECT_EQ(d.rule, Rule::colours);
      phases.insert(d.where.substr(0, d.where.find(',')));
    }
  EXPECT_EQ(phases, (std::set<std::string>{"phase prefill.attention", "phase decode.layer"}));
}

}  // namespace
}  // namespace wafer
