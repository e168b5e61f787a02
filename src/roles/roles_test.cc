// Roles against the actions of every single core, found by walking the program core by core.
#include "roles/roles.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/rng.h"
#include "kernel_bench/gemv_program.h"
#include "lower/lower.h"
#include "mesh/expand.h"

namespace wafer::roles {
namespace {

using namespace mesh;

ModelConfig shape(int layers, int kv, int group, int head_dim) {
  return {.name = "small",
          .architecture = "llama",
          .layers = layers,
          .dim = kv * group * head_dim,
          .heads = kv * group,
          .kv_heads = kv,
          .head_dim = head_dim,
          .ffn = 50,
          .vocab = 90,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Lowered lowered(const ModelConfig& c, Extent prefill, Extent decode) {
  Plan plan{.numerics = Numerics::mixed, .context = 40, .chunk = 10, .max_prompt = 20};
  plan.prefill.regions = {{.rect = {0, 0, prefill.w, prefill.h}, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
  plan.decode.regions = {{.rect = {0, 0, decode.w, decode.h}, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
  return lower(c, uniform_types(TensorType::f16), plan, {750, 994});
}

// All that one core does in one phase, step by step, equal entries once; loops and routes left out.
std::vector<std::string> actions_of_core(const Program& p, RegionId region, PhaseId phase, int x, int y) {
  std::set<std::string> seen;
  std::vector<std::string> out;
  std::function<void(const Steps&)> walk = [&](const Steps& steps) {
    for (const Step& s : steps) {
      if (const auto* g = std::get_if<Group>(&s.what)) {
        walk(g->body);
      } else if (std::holds_alternative<Product>(s.what)) {
        walk(mesh::expand(p, s));
      } else if (const auto* l = std::get_if<Loop>(&s.what)) {
        walk(l->body);
      } else if (s.phase == phase) {
        std::string text = kind_text(p, s);
        for (const RoleAction& a :
             actions(p, s, places(p, s, region, Axis::x)[static_cast<size_t>(x)], places(p, s, region, Axis::y)[static_cast<size_t>(y)]))
          text += std::string("|") + name(a.kind) + a.operation + a.operands;
        if (seen.insert(text).second) out.push_back(text);
      }
    }
  };
  for (const Entry& e : p.entries)
    for (const RegionSteps& list : e.lists)
      if (list.region == region) walk(list.steps);
  return out;
}

TEST(Roles, CoresOfARoleDoTheSameAndCountAll) {
  for (Extent e : {Extent{1, 1}, Extent{1, 5}, Extent{7, 5}, Extent{9, 13}}) {
    const Lowered l = lowered(shape(2, 2, 2, 6), e, e);
    const Program& p = l.program();
    const RoleTable t = roles(p);
    for (const PhaseRoles& phase : t.phases) {
      int64_t sum = 0;
      for (const Role& r : phase.roles) sum += r.cores;
      EXPECT_EQ(sum, phase.cores);
      PhaseId id;
      for (const PhaseId one : p.phases.ids())
        if (p.phases[one].name == phase.phase) id = one;
      // The number of different action lists, core by core, is at most the number of roles, and every list has its cores.
      std::map<std::vector<std::string>, int64_t> lists;
      int64_t cores = 0;
      for (const RegionId region : p.regions.ids()) {
        const Rect r = p.regions[region].rect;
        if (actions_of_core(p, region, id, 0, 0).empty()) continue;
        for (int y = 0; y < r.h; y++)
          for (int x = 0; x < r.w; x++) {
            lists[actions_of_core(p, region, id, x, y)]++;
            cores++;
          }
      }
      EXPECT_EQ(cores, phase.cores) << phase.phase;
      EXPECT_LE(lists.size(), phase.roles.size()) << phase.phase;
      for (const Role& r : phase.roles) EXPECT_GT(r.code_bytes, 0);
    }
  }
}

TEST(Roles, NeitherMoreCoresNorRaggedSizesAddRoles) {
  auto count = [](Extent e, int head_dim) { return roles(lowered(shape(3, 1, 2, head_dim), e, e).program()).whole.size(); };
  const size_t small = count({25, 25}, 16);
  EXPECT_LE(count({100, 100}, 16), 2 * small);
  EXPECT_LE(count({225, 225}, 16), 2 * small);
  EXPECT_EQ(count({25, 25}, 18), small);  // sizes that divide nothing
  EXPECT_EQ(count({25, 25}, 22), small);
}

TEST(Roles, LayersShareTheirCode) {
  const RoleTable one = roles(lowered(shape(1, 2, 2, 6), {9, 9}, {9, 9}).program()),
                  many = roles(lowered(shape(9, 2, 2, 6), {9, 9}, {9, 9}).program());
  EXPECT_EQ(one.whole.size(), many.whole.size());
  EXPECT_EQ(code_estimate(one, 8528).code_bytes_max, code_estimate(many, 8528).code_bytes_max);
}

TEST(Roles, AllCoresOfARingDoTheSame) {
  for (int h : {1, 2, 7, 40}) {
    const Program p = kernels::gemv_program({.k = 50, .n = 30, .mesh = {3, h}, .allreduce = "ring", .groups = {}}, {750, 994});
    const RoleTable t = roles(p);
    ASSERT_EQ(t.whole.size(), 1u) << h;
    EXPECT_EQ(t.whole[0].cores, 3 * h);
  }
}

TEST(Roles, AnEstimateSaysWhetherItFits) {
  const RoleTable t = roles(lowered(shape(2, 2, 2, 6), {9, 9}, {9, 9}).program());
  const CodeEstimate e = code_estimate(t, 8528);
  EXPECT_EQ(e.code_bytes_max, t.whole.front().code_bytes);
  EXPECT_TRUE(code_estimate(t, e.code_bytes_max + e.system_bytes).fits);
  EXPECT_FALSE(code_estimate(t, e.code_bytes_max + e.system_bytes - 1).fits);
}

}  // namespace
}  // namespace wafer::roles
