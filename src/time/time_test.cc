// Cycles by hand on meshes small enough to count, exact on both sides; and laws that every program keeps.
#include "time/time.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "kernels/mesh_gemm.h"
#include "kernels/reduce.h"
#include "lower/lower.h"
#include "mesh/builder.h"
#include "model/config.h"

namespace wafer::time {
namespace {

using namespace mesh;

// A region of its own size with one f32 vector of n elements on every core, reduced along y.
struct ReduceBench {
  Program program;
  PhaseId phase;
  RegionId region;
  BufferId buffer;

  ReduceBench(Extent e, int64_t n) {
    program.mesh = e;
    region = add_region(program, {.name = "line", .rect = {0, 0, e.w, e.h}});
    phase = add_phase(program, "reduce");
    const TensorId tensor = add_tensor(program, {.name = "v", .dtype = Dtype::f32, .dims = {dim("n", n)}});
    buffer = add_buffer(program, {.name = "v", .tensor = tensor, .region = region, .phases = {phase}});
  }

  int64_t cycles(const Device& d, Axis axis, const Tree& tree, bool broadcast) {
    kernels::Site site{program, region, phase};
    const kernels::ReduceLine line = kernels::add_reduce_line(site, "tree", axis, {.runs = {{0, tree.size}}, .trees = {tree}});
    Step step = kernels::reduce(site, "reduce", line, {{.buffer = buffer, .broadcast = broadcast}});
    program.entries = {{.name = "go", .lists = {{.region = region, .steps = {step}}}}};
    const TimeReport report = time_entry(program, d, "go", {});
    EXPECT_EQ(report.wavelets_sent == 0, tree.size == 1);
    EXPECT_EQ(report.steps.front().cycles, report.cycles);
    return report.cycles;
  }
};

Tree chain_to_first(int size) {
  Tree t{.size = size, .root = 0, .levels = {}};
  Chain chain;
  for (int p = size - 1; p >= 0; p--) chain.push_back(p);
  if (size > 1) t.levels = {{chain}};
  return t;
}

TEST(Time, AChainTakesAWordACycleAndSixCyclesACore) {
  const Device d = load_device("wse2");
  for (int64_t n : {1, 2, 7, 64, 1000})
    for (int p : {2, 3, 5, 32, 512})
      for (Axis axis : {Axis::x, Axis::y}) {
        ReduceBench bench(axis == Axis::x ? Extent{p, 2} : Extent{2, p}, n);
        // issue, then the measured slope N + 6 (P - 1): wse-facts 2, less the constant of its harness
        EXPECT_EQ(bench.cycles(d, axis, chain_to_first(p), false), stream_issue_cycles(d) + n + 6 * (p - 1) - 1)
            << n << " words, " << p << " cores";
      }
}

TEST(Time, ABroadcastTakesAHopACore) {
  const Device d = load_device("wse2");
  for (int p : {2, 3, 9, 100}) {
    ReduceBench bench({1, p}, 5);
    const int64_t chain = bench.cycles(d, Axis::y, chain_to_first(p), false);
    ReduceBench both({1, p}, 5);
    // The root sends at once; the farthest core has been ready for long: out of a ramp, P - 1 hops, into a ramp, the last of 5 words.
    EXPECT_EQ(both.cycles(d, Axis::y, chain_to_first(p), true), chain + stream_issue_cycles(d) + 2 * d.ramp_cycles + (p - 1) + 5);
  }
}

TEST(Time, ATwoSidedChainIsAsLongAsItsLongerSideAndOneMoreReceive) {
  const Device d = load_device("wse2");
  const int64_t issue = stream_issue_cycles(d), n = 8;
  for (int p : {3, 5, 9, 41}) {
    ReduceBench bench({1, p}, n);
    const int side = p / 2;  // on both sides of the middle
    const int64_t one_side = issue + n + 6 * side - 1;
    // The second vector waits at the root: it is taken in after the first, word by word.
    EXPECT_EQ(bench.cycles(d, Axis::y, two_sided_chain(p, side), false), one_side + issue + n) << p;
  }
}

TEST(Time, ATreeOfTwoLevelsStoresAtTheRootsOfTheFirst) {
  const Device d = load_device("wse2");
  const int64_t issue = stream_issue_cycles(d), n = 4;
  // 9 cores in 3 groups of 3: roots 1, 4, 7. Level 1: one core on each side. Level 2: 3 hops from root to root.
  ReduceBench bench({1, 9}, n);
  const int64_t level_1 = (issue + n + 6 - 1) + issue + n;
  const int64_t level_2 = issue + n + (3 + 5) - 1;
  EXPECT_EQ(bench.cycles(d, Axis::y, k_tree(9, {3}), false), level_1 + level_2 + issue + n);
}

TEST(Time, ChangingAConstantChangesWhatItShould) {
  Device d = load_device("wse2");
  ReduceBench a({1, 20}, 3);
  const int64_t before = a.cycles(d, Axis::y, chain_to_first(20), false);
  d.ramp_cycles++;
  ReduceBench b({1, 20}, 3);
  EXPECT_EQ(b.cycles(d, Axis::y, chain_to_first(20), false), before + 2 * 19);
  d.ramp_cycles--;
  d.exp_cycles += 1000;
  ReduceBench c({1, 20}, 3);
  EXPECT_EQ(c.cycles(d, Axis::y, chain_to_first(20), false), before);
}

// ---- whole models ------------------------------------------------------------------------------------------------------------------

ModelConfig small_shape() {
  return {.name = "small",
          .architecture = "llama",
          .layers = 4,
          .dim = 60,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 10,
          .ffn = 130,
          .vocab = 200,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Lowered lowered(Extent prefill, Extent decode, int64_t chunk) {
  const ModelConfig c = small_shape();
  Plan plan{.numerics = Numerics::mixed, .context = 40, .chunk = chunk, .max_prompt = 24};
  plan.prefill.regions = {{.rect = {0, 0, prefill.w, prefill.h}, .first_layer = 0, .layers = 4, .head = true}};
  plan.decode.regions = {{.rect = {0, 0, decode.w, decode.h}, .first_layer = 0, .layers = 4, .head = true}};
  return lower(c, uniform_types(TensorType::f16), plan, {750, 994});
}

void expect_sound(const TimeReport& r) {
  int64_t sum = 0;
  for (const StepTime& s : r.steps) {
    EXPECT_GE(s.cycles, 0) << s.name;
    EXPECT_GE(s.wait, 0) << s.name;
    sum += s.cycles;
  }
  EXPECT_EQ(sum, r.cycles) << "the steps add up to the whole";
  EXPECT_EQ(r.wavelets_sent, r.wavelets_received);
}

TEST(Time, StepsOfAModelAddUp) {
  const Device d = load_device("wse2");
  for (Extent e : {Extent{1, 1}, Extent{1, 5}, Extent{5, 1}, Extent{7, 5}, Extent{5, 7}, Extent{13, 13}}) {
    const Lowered l = lowered(e, e, 10);
    for (int64_t cached : {0, 10, 20})
      expect_sound(time_entry(l.program(), d, "prefill", {.cached = cached, .rows = std::min<int64_t>(10, 24 - cached), .chunk = 10}));
    expect_sound(time_entry(l.program(), d, "decode", {.cached = 24, .rows = 1, .chunk = 10}));
  }
}

TEST(Time, RegionsPassTheTokenOn) {
  const Device d = load_device("wse2");
  const ModelConfig c = small_shape();
  Plan plan{.numerics = Numerics::mixed, .context = 40, .chunk = 24, .max_prompt = 24};
  plan.prefill.regions = {{.rect = {0, 0, 5, 5}, .first_layer = 0, .layers = 2},
                          {.rect = {5, 0, 5, 5}, .first_layer = 2, .layers = 2},
                          {.rect = {5, 5, 5, 5}, .first_layer = 4, .layers = 0, .head = true}};
  plan.decode = plan.prefill;
  const Lowered several = lower(c, uniform_types(TensorType::f16), plan, {750, 994});
  const Lowered one = lowered({5, 5}, {5, 5}, 24);
  for (const char* entry : {"prefill", "decode"}) {
    const Params p = entry[0] == 'p' ? Params{.cached = 0, .rows = 24, .chunk = 24} : Params{.cached = 24, .rows = 1, .chunk = 24};
    const TimeReport r = time_entry(several.program(), d, entry, p);
    expect_sound(r);
    // A token has nothing to overlap with: the hand-over takes time. The rows of a prompt leave the head while it looks up the next.
    if (p.rows == 1) {
      EXPECT_GT(r.cycles, time_entry(one.program(), d, entry, p).cycles);
    }
  }
}

TEST(Time, LayersOfEqualRegionsAreTimedOnce) {
  // A watcher wants to see every region's steps: nothing is taken over from another region then.
  const Device d = load_device("wse2");
  ModelConfig c = small_shape();
  c.layers = 11;
  Plan plan{.numerics = Numerics::mixed, .context = 40, .chunk = 24, .max_prompt = 24};
  plan.prefill.regions = {{.rect = {0, 0, 5, 6}, .first_layer = 0, .layers = 4},
                          {.rect = {5, 0, 5, 6}, .first_layer = 4, .layers = 4},
                          {.rect = {5, 6, 5, 6}, .first_layer = 8, .layers = 3},
                          {.rect = {0, 6, 5, 6}, .first_layer = 11, .layers = 0, .head = true}};
  plan.decode = plan.prefill;
  const Lowered l = lower(c, uniform_types(TensorType::f16), plan, {750, 994});
  for (const char* entry : {"prefill", "decode"}) {
    const Params p = entry[0] == 'p' ? Params{.cached = 0, .rows = 24, .chunk = 24} : Params{.cached = 24, .rows = 1, .chunk = 24};
    const TimeReport once = time_entry(l.program(), d, entry, p),
                     each = time_entry(l.program(), d, entry, p, {.watch = [](const StepClocks&) {}});
    expect_sound(once);
    EXPECT_EQ(once.cycles, each.cycles);
    ASSERT_EQ(once.steps.size(), each.steps.size());
    for (size_t i = 0; i < once.steps.size(); i++) {
      EXPECT_EQ(once.steps[i].name, each.steps[i].name);
      EXPECT_EQ(once.steps[i].count, each.steps[i].count) << once.steps[i].name;
      EXPECT_EQ(once.steps[i].cycles, each.steps[i].cycles) << once.steps[i].name;
      EXPECT_EQ(once.steps[i].wavelets, each.steps[i].wavelets) << once.steps[i].name;
      EXPECT_NEAR(once.steps[i].wait, each.steps[i].wait, 1) << once.steps[i].name;
    }
  }
}

TEST(Time, FasterPartsAreNeverSlower) {
  const Lowered l = lowered({6, 6}, {5, 4}, 24);
  const Device slow = load_device("wse2");
  const auto all = [&](const Device& d) {
    return time_entry(l.program(), d, "prefill", {.cached = 0, .rows = 24, .chunk = 24}).cycles +
           time_entry(l.program(), d, "decode", {.cached = 24, .rows = 1, .chunk = 24}).cycles;
  };
  const int64_t before = all(slow);
  for (int64_t Device::*field : {&Device::ramp_cycles, &Device::stream_op_overhead_cycles, &Device::task_activation_cycles,
                                 &Device::descriptor_load_cycles, &Device::map_iteration_cycles, &Device::rsqrt_cycles}) {
    Device fast = slow;
    fast.*field -= 1;
    EXPECT_LT(all(fast), before);
  }
  for (int64_t Device::*field :
       {&Device::fmac_mixed_elements_per_cycle, &Device::add_f32_elements_per_cycle, &Device::max_f32_elements_per_cycle}) {
    Device fast = slow;
    fast.*field *= 2;
    EXPECT_LE(all(fast), before);
  }
}

TEST(Time, RepeatedTurnsAreTimedAsIfEachWere) {
  // A loop over layers that stops when its pattern repeats gives what the layers one by one give.
  const Device d = load_device("wse2");
  const Lowered l = lowered({5, 7}, {7, 5}, 24);
  Program unrolled = l.program();
  const TimeReport together = time_entry(l.program(), d, "decode", {.cached = 24, .rows = 1, .chunk = 24});
  for (Entry& e : unrolled.entries)
    for (RegionSteps& list : e.lists) {
      Steps flat;
      for (const Step& s : list.steps) {
        const auto* loop = std::get_if<Loop>(&s.what);
        if (loop == nullptr || loop->var != LoopVar::layer) {
          flat.push_back(s);
          continue;
        }
        for (int64_t i = 0; i < loop->fixed; i++)
          for (const Step& inner : loop->body) flat.push_back(inner);
      }
      list.steps = flat;
    }
  const TimeReport one_by_one = time_entry(unrolled, d, "decode", {.cached = 24, .rows = 1, .chunk = 24});
  EXPECT_EQ(together.cycles, one_by_one.cycles);
  const auto by_name = [](const TimeReport& r) {
    std::map<std::string, std::pair<int64_t, int64_t>> sums;  // count, cycles
    for (const StepTime& s : r.steps) {
      sums[s.name].first += s.count;
      sums[s.name].second += s.cycles;
    }
    return sums;
  };
  EXPECT_EQ(by_name(together), by_name(one_by_one));
}

}  // namespace
}  // namespace wafer::time
