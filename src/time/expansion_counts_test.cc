// What time() charges for products is what their expansions do: counted core by core and tile by tile on random products of all five
// algorithms, and equal to the last wavelet. And what runs beside what is read off the expansion too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "kernel_bench/gemm_program.h"
#include "mesh/visit.h"
#include "support/expansion_walk.h"
#include "support/mesh_case.h"
#include "time/product_schedule.h"
#include "time/time.h"

namespace wafer::time {
namespace {

using namespace mesh;
using kernels::GemmAlgorithm;
using kernels::GemmShape;

constexpr GemmAlgorithm kAlgorithms[] = {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather};

// The product alone, or in a loop over chunks of keys.
void expect_counts(Program program, const Step& product, bool in_chunks, const Params& params, const Device& device) {
  const RegionId region = program.buffers[std::get<Product>(product.what).a].region;
  Steps steps = {product};
  if (in_chunks)
    steps = {{.name = "chunks", .phase = product.phase, .what = Loop{.var = LoopVar::chunk, .count = CountKind::chunks, .body = steps}}};
  program.entries = {{.name = "one", .lists = {{.region = region, .steps = std::move(steps)}}}};
  const TimeReport report = time_entry(program, device, "one", params);
  WalkCounts walk;
  for (int64_t chunk = 0; chunk < (in_chunks ? params.cached / params.chunk + 1 : 1); chunk++)
    add(walk, walk_expansion(program, product, expand(program, product), params, chunk, device));
  StepTime all;
  for (const StepTime& s : report.steps) {
    all.actions = all.actions + s.actions;
    all.multiply_adds += s.multiply_adds;
    all.wavelets += s.wavelets;
    all.wavelet_hops += s.wavelet_hops;
  }
  EXPECT_EQ(all.actions.stream_ops, walk.actions.stream_ops);
  EXPECT_EQ(all.actions.descriptor_loads, walk.actions.descriptor_loads);
  EXPECT_EQ(all.actions.descriptor_edits, walk.actions.descriptor_edits);
  EXPECT_EQ(all.actions.tasks, walk.actions.tasks);
  EXPECT_EQ(all.actions.route_changes, 0);
  EXPECT_EQ(all.actions.scalar_calls, 0);
  EXPECT_EQ(all.multiply_adds, walk.multiply_adds);
  EXPECT_EQ(all.wavelets, walk.sent);
  EXPECT_EQ(report.wavelets_sent, walk.sent);
  EXPECT_EQ(report.wavelets_received, walk.received);
  EXPECT_EQ(all.wavelet_hops, walk.hops());
}

struct Draw {
  Rng& rng;
  int64_t below(uint64_t n) { return static_cast<int64_t>(next_below(rng, n)); }
  int64_t size() { return below(6) == 0 ? 1 : 1 + below(uint64_t{1} << (1 + below(7))); }
  Extent mesh() {
    const int w = static_cast<int>(1 + below(12)), h = static_cast<int>(1 + below(12));
    return {below(3) == 0 ? h : below(5) == 0 ? 1 : w, below(5) == 0 ? 1 : h};
  }
  Device device() {
    Device d = load_device(below(2) == 0 ? "wse2" : "wse3");
    if (below(3) == 0) d.wavelets_per_cycle_per_link = d.wavelets_per_cycle_per_ramp = 2;
    return d;
  }
};

TEST(ExpansionCounts, OfProductsOnOneRectangle) {
  Rng rng(401);
  Draw draw{rng};
  for (int run = 0; run < 1200; run++) {
    const GemmShape s{.m = draw.size(),
                      .k = draw.size(),
                      .n = draw.size(),
                      .mesh = draw.mesh(),
                      .numerics = static_cast<Numerics>(draw.below(3)),
                      .algorithm = kAlgorithms[draw.below(4)]};
    Program program = kernels::gemm_program(s, {750, 994});
    Step step = program.entries[0].lists[0].steps[0];
    Product& product = std::get<Product>(step.what);
    product.a_aligned = draw.below(2) == 0;
    product.b_aligned = draw.below(2) == 0;
    product.overlap = draw.below(3) != 0;
    SCOPED_TRACE(fmt::format("run {}: {} {}x{}x{} on {}x{}, aligned {} {}, overlap {}", run, kernels::name(s.algorithm), s.m, s.k, s.n,
                             s.mesh.w, s.mesh.h, product.a_aligned, product.b_aligned, product.overlap));
    expect_counts(program, step, false, {.rows = s.m}, draw.device());
    if (HasFailure()) return;
  }
}

// Every product of random models' prefills: rectangles side by side with their own rings, several heads on a column, caches by chunks.
TEST(ExpansionCounts, OfProductsOfModels) {
  Rng rng(402);
  Draw draw{rng};
  int64_t several_runs = 0, several_heads = 0, wide_runs = 0;
  for (uint64_t seed = 1; seed <= 150; seed++) {
    const MeshCase c = random_case(seed, static_cast<Numerics>(seed % 3), 13);
    const BuiltCase b = build(c);
    const Program& program = b.lowered.program();
    for (const Params& params : prefill_chunks(c)) {
      const Device d = draw.device();
      for (const RegionSteps& list : entry(program, "prefill").lists) {
        const auto walk = [&](const auto& self, const Steps& steps, bool in_chunks) -> void {
          for (const Step& step : steps) {
            const Loop* loop = std::get_if<Loop>(&step.what);
            self(self, body_of(step), in_chunks || (loop != nullptr && loop->var == LoopVar::chunk));
            const Product* product = std::get_if<Product>(&step.what);
            if (product == nullptr || HasFailure()) continue;
            const Rect r = program.regions[list.region].rect;
            several_runs += product->runs.size() > 1;
            several_heads += product->heads > r.w;
            wide_runs += product->algorithm == Algorithm::gemm_t && product->runs[0].size() > r.h;
            SCOPED_TRACE(fmt::format("{} on {}x{}, {} heads, rows {} at {}, {}", step.name, r.w, r.h, product->heads, params.rows,
                                     params.cached, describe(c)));
            expect_counts(program, step, in_chunks, params, d);
          }
        };
        walk(walk, list.steps, false);
      }
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(several_runs, 100);
  EXPECT_GT(several_heads, 50);
  EXPECT_GT(wide_runs, 50);
}

// The walk itself, by hand. Two by two cores, tiles of one element; every turn each core sends two wavelets and takes two, over one link
// each; then two tasks for the transfers and two for the turn.
TEST(ExpansionCounts, ByHand) {
  const Device d = load_device("wse2");
  const auto walk = [&](GemmShape s) {
    const Program p = kernels::gemm_program(s, {750, 994});
    const Step step = p.entries[0].lists[0].steps[0];
    return walk_expansion(p, step, expand(p, step), {.rows = s.m}, 0, d);
  };
  GemmShape s{.m = 2, .k = 2, .n = 2, .mesh = {2, 2}};
  WalkCounts c = walk(s);
  // Two turns, and row 1 of A is aligned once.
  EXPECT_EQ(c.actions.stream_ops, 4 * 2 * 4 + 2 * 2);
  EXPECT_EQ(c.actions.tasks, 4 * 2 * 4 + 2);
  EXPECT_EQ(c.actions.descriptor_loads, c.actions.stream_ops + 3 * 8);
  EXPECT_EQ(c.multiply_adds, 8);
  EXPECT_EQ(c.sent, 4 * 2 * 2 + 2);
  EXPECT_EQ(c.hops(), c.sent);
  EXPECT_EQ(c.links.size(), 8u) << "both ways between four pairs of neighbours";
  // A row of two: the one block of each column and its product; then the other. Nothing moves along y.
  s = {.m = 1, .k = 2, .n = 2, .mesh = {2, 1}, .algorithm = GemmAlgorithm::summa};
  c = walk(s);
  EXPECT_EQ(c.actions.stream_ops, 2 * 2);
  EXPECT_EQ(c.actions.tasks, 2 * 2 + 2 * 2 * 2);
  EXPECT_EQ(c.sent, 2);
  EXPECT_EQ(c.received, 2);
  // One core: two tasks a turn of a loop, none without one.
  for (const GemmAlgorithm a : kAlgorithms) {
    c = walk({.m = 3, .k = 5, .n = 7, .mesh = {1, 1}, .algorithm = a});
    EXPECT_EQ(c.actions.stream_ops, 0);
    EXPECT_EQ(c.actions.tasks, a == GemmAlgorithm::allgather ? 0 : 2);
    EXPECT_EQ(c.actions.descriptor_edits, 3 * 5);
    EXPECT_EQ(c.sent, 0);
    EXPECT_EQ(c.multiply_adds, 3 * 5 * 7);
  }
}

// ---- what runs beside what -------------------------------------------------------------------------------------------------------

template <class F>
void change(Steps& steps, const F& f) {
  for (Step& step : steps) {
    f(step);
    if (Loop* loop = std::get_if<Loop>(&step.what)) change(loop->body, f);
    if (Group* group = std::get_if<Group>(&step.what)) change(group->body, f);
  }
}

// time() knows of overlap, of steps together and of alignments only what schedule_of() reads: another expansion is another schedule.
TEST(ProductSchedule, IsReadOffTheExpansion) {
  for (const GemmAlgorithm a : kAlgorithms) {
    const Program p = kernels::gemm_program({.m = 9, .k = 9, .n = 9, .mesh = {3, 3}, .algorithm = a}, {750, 994});
    const Step step = p.entries[0].lists[0].steps[0];
    const Steps steps = expand(p, step);
    const ProductSchedule as_written = schedule_of(steps);
    const bool rings = a == GemmAlgorithm::meshgemm || a == GemmAlgorithm::cannon;
    EXPECT_EQ(as_written.align_a, rings);
    EXPECT_FALSE(as_written.align_b);
    EXPECT_EQ(as_written.overlap, a != GemmAlgorithm::allgather) << "after all transfers, not beside them";
    EXPECT_EQ(as_written.together, a == GemmAlgorithm::cannon || a == GemmAlgorithm::summa);

    Steps other = steps;
    change(other, [](Step& s) {
      if (Loop* loop = std::get_if<Loop>(&s.what); loop != nullptr && any_of_kind<Local>(loop->body)) loop->together = !loop->together;
    });
    EXPECT_EQ(schedule_of(other).together, a == GemmAlgorithm::meshgemm) << "allgather has no loop";
    other = steps;
    change(other, [](Step& s) {
      if (Group* group = std::get_if<Group>(&s.what)) group->kind = GroupKind::block;
    });
    EXPECT_FALSE(schedule_of(other).overlap);
    other = steps;
    change(other, [](Step& s) {
      if (Shift* shift = std::get_if<Shift>(&s.what); shift != nullptr && shift->kind == ShiftKind::align_rows)
        shift->kind = ShiftKind::align_cols;
    });
    EXPECT_EQ(schedule_of(other).align_b, rings);
    EXPECT_FALSE(schedule_of(other).align_a);
  }
}

// And what it reads moves the clocks, of every algorithm: without overlap a turn takes the product and then the transfers.
TEST(ProductSchedule, MovesTheClocks) {
  const Device d = load_device("wse2");
  for (const GemmAlgorithm a : kAlgorithms)
    for (const StepStart start : {StepStart::apart, StepStart::together}) {
      Program p = kernels::gemm_program({.m = 60, .k = 60, .n = 60, .mesh = {6, 6}, .algorithm = a}, {750, 994});
      Step& step = p.entries[0].lists[0].steps[0];
      const auto cycles = [&] { return time_entry(p, d, "gemm", {.rows = 60}, {.step_start = start}).cycles; };
      const int64_t beside = cycles();
      std::get<Product>(step.what).overlap = false;
      const int64_t after = cycles();
      if (a == GemmAlgorithm::allgather)
        EXPECT_EQ(after, beside);
      else
        EXPECT_GT(after, beside) << kernels::name(a);
    }
}

}  // namespace
}  // namespace wafer::time
