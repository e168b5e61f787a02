// Values of a GEMV's programs: run() and the naive executor give the same bits, on every core that should have them, however the sums are
// joined.
#include <gtest/gtest.h>

#include <bit>

#include "base/half.h"
#include "base/rng.h"
#include "kernel_bench/gemv_program.h"
#include "mesh/verify.h"
#include "run/machine.h"
#include "support/naive_executor_state.h"

namespace wafer::run {
namespace {

using kernels::GemvShape;

struct Values {
  std::vector<float> x, w;  // [k], [k][n]
};

Values random_values(const GemvShape& s, Rng& rng) {
  Values v;
  const auto value = [&] {
    const float f = static_cast<float>(next_double(rng) * 2 - 1);
    return s.numerics == Numerics::fp32 ? f : round_f16(f);
  };
  for (int64_t i = 0; i < s.k; i++) v.x.push_back(value());
  for (int64_t i = 0; i < s.k * s.n; i++) v.w.push_back(value());
  return v;
}

mesh::BufferId buffer_named(const mesh::Program& p, const std::string& name) {
  for (const mesh::BufferId b : p.buffers.ids())
    if (p.buffers[b].name == name) return b;
  return {};
}

std::vector<float> by_run(const Lowered& lowered, const GemvShape& s, const Values& v) {
  auto packed = std::make_shared<PackedModel>();
  packed->numerics = s.numerics;
  PanelMatrix w = make_panels(PanelType::f32, s.k, s.n);
  pack_columns(w, v.w.data(), s.n);
  packed->matrices["w"].push_back(std::move(w));
  const auto machine = make_machine(lowered, packed);
  std::copy(v.x.begin(), v.x.end(), array(*machine, buffer_named(lowered.program(), "x"), {}));
  run(*machine, "gemv", {}, {});
  return tensor_values(*machine, "y", 0, {});
}

// What every core holds of y after the entry.
struct Held {
  std::vector<float> y;                  // of the last core that has an element
  std::vector<std::vector<int>> holder;  // [n] rows whose core has it
};

Held by_cores(const Lowered& lowered, const GemvShape& s, const Values& v) {
  const Model model;
  naive::State state(lowered, model);
  const mesh::BufferId x = buffer_named(lowered.program(), "x"), w = buffer_named(lowered.program(), "w"),
                       y = buffer_named(lowered.program(), "y");
  const auto fill = [&](mesh::BufferId buffer, int cx, int cy, const std::vector<float>& values) {
    const auto own = naive::own_indices(state.program, state.buffer(buffer), cx, cy, {});
    for (int64_t i : own[0]) {
      if (own.size() == 1) state.holding(buffer, 0, cx, cy).put(i, {.value = values[static_cast<size_t>(i)]});
      if (own.size() == 2)
        for (int64_t j : own[1]) state.holding(buffer, 0, cx, cy).put(i * s.n + j, {.value = values[static_cast<size_t>(i * s.n + j)]});
    }
  };
  for (int cy = 0; cy < s.mesh.h; cy++)
    for (int cx = 0; cx < s.mesh.w; cx++) {
      fill(x, cx, cy, v.x);
      fill(w, cx, cy, v.w);
      state.region_phase.front() = mesh::PhaseId{0};
    }
  naive::run_entry(state, mesh::entry(lowered.program(), "gemv"), {});
  Held out{.y = std::vector<float>(static_cast<size_t>(s.n)), .holder = std::vector<std::vector<int>>(static_cast<size_t>(s.n))};
  for (int cy = 0; cy < s.mesh.h; cy++)
    for (int cx = 0; cx < s.mesh.w; cx++)
      for (int64_t i : state.holding(y, 0, cx, cy).indices()) {
        const size_t at = static_cast<size_t>(i);
        const float value = state.holding(y, 0, cx, cy).find(i)->value;
        if (!out.holder[at].empty()) {
          EXPECT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(out.y[at])) << "core (" << cx << "," << cy << ")";
        }
        out.y[at] = value;
        out.holder[at].push_back(cy);
      }
  return out;
}

TEST(GemvValues, RunAndEveryCoreAgreeToTheBit) {
  Rng rng(73);
  for (int turn = 0; turn < 160; turn++) {
    const char* ways[] = {"ktree", "pipeline", "ring", "two-phase"};
    const auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
    const GemvShape s{.k = 1 + below(60),
                      .n = 1 + below(turn % 5 == 0 ? 300 : 40),
                      .mesh = {.w = 1 + below(9), .h = 1 + below(12)},
                      .numerics = static_cast<Numerics>(below(3)),
                      .allreduce = ways[turn % 4],
                      .groups = {},
                      .broadcast = below(3) > 0};
    SCOPED_TRACE(testing::Message() << s.allreduce << " " << s.k << "x" << s.n << " on " << s.mesh.w << "x" << s.mesh.h << ", numerics "
                                    << static_cast<int>(s.numerics) << (s.broadcast ? "" : ", no broadcast"));
    Lowered lowered;
    lowered.placement.plan.context = 1;
    lowered.placement.program = kernels::gemv_program(s, s.mesh);
    for (const mesh::Diagnostic& d : mesh::verify(lowered.program(), {.mesh = s.mesh, .sram_bytes = 1 << 20, .colours = 21}))
      ADD_FAILURE() << d.where << ": " << d.text;
    const Values v = random_values(s, rng);
    const std::vector<float> y = by_run(lowered, s, v);
    const Held held = by_cores(lowered, s, v);
    ASSERT_EQ(y.size(), held.y.size());
    for (size_t i = 0; i < y.size(); i++) {
      ASSERT_EQ(std::bit_cast<uint32_t>(y[i]), std::bit_cast<uint32_t>(held.y[i])) << "element " << i;
      ASSERT_EQ(held.holder[i].size(), s.broadcast ? static_cast<size_t>(s.mesh.h) : 1u) << "element " << i;
      if (!s.broadcast && s.allreduce == "ktree") {
        ASSERT_EQ(held.holder[i][0], mesh::k_tree(s.mesh.h, mesh::even_groups(s.mesh.h, 2)).root);
      }
      if (!s.broadcast && (s.allreduce == "pipeline" || s.allreduce == "two-phase")) {
        ASSERT_EQ(held.holder[i][0], 0);
      }
    }
  }
}

// Part j of what a column holds is summed from ring position j-1 downwards: with three cores in ring order 0, 2, 1.
TEST(GemvValues, TheOrderOfARing) {
  const GemvShape s{.k = 3, .n = 3, .mesh = {1, 3}, .numerics = Numerics::fp32, .allreduce = "ring", .groups = {}, .broadcast = true};
  Lowered lowered;
  lowered.placement.plan.context = 1;
  lowered.placement.program = kernels::gemv_program(s, s.mesh);
  const float big = 0x1p24f;  // big + 1 rounds to big, but big + 2 does not
  const Values v{.x = {1, 1, 1}, .w = {big, big, big, 1, 1, 1, 1, 1, 1}};
  // Position 0 holds `big`, positions 1 and 2 a one. Part 0 ends at position 0: 1 + 1 first. Part 1 ends at ring position 1 (position 2)
  // and starts at ring position 0: big first. Part 2 starts at ring position 1 (position 2), then position 0, then 1.
  EXPECT_EQ(by_run(lowered, s, v), (std::vector<float>{big + 2, big, big}));
  EXPECT_EQ(by_cores(lowered, s, v).y, (std::vector<float>{big + 2, big, big}));
}

}  // namespace
}  // namespace wafer::run
