// Laws that times keep on random shapes and meshes, and what one core's clocks say.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <tuple>

#include "base/parallel.h"
#include "base/rng.h"
#include "kernel_bench/gemm_program.h"
#include "kernel_bench/reduce_program.h"
#include "lower/lower.h"
#include "mesh/verify.h"
#include "model/config.h"
#include "time/product_memo.h"
#include "time/product_steps.h"
#include "time/time.h"

namespace wafer::time {
namespace {

using namespace mesh;

struct RandomModel {
  Lowered lowered;
  Params prefill, decode;
};

RandomModel random_model(Rng& rng) {
  auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
  const int kv = 1 + below(3), group = 1 + below(3), head_dim = 2 * (1 + below(8));
  const ModelConfig c{.name = "random",
                      .architecture = "llama",
                      .layers = 1 + below(5),
                      .dim = kv * group * head_dim,
                      .heads = kv * group,
                      .kv_heads = kv,
                      .head_dim = head_dim,
                      .ffn = 1 + below(90),
                      .vocab = 10 + below(300),
                      .context = 64,
                      .norm_epsilon = 1e-5f,
                      .rope_base = 1e4};
  const int64_t prompt = 1 + below(30), chunk = 1 + below(static_cast<uint64_t>(prompt));
  Plan plan{.numerics = below(2) != 0 ? Numerics::mixed : Numerics::fp16,
            .context = 40,
            .chunk = chunk,
            .max_prompt = prompt,
            .tree_levels = 1 + below(3)};
  const Rect a{0, 0, 1 + below(11), 1 + below(11)}, b{0, 0, 1 + below(11), 1 + below(11)};
  plan.prefill.regions = {{.rect = a, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
  plan.decode.regions = {{.rect = b, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
  return {.lowered = lower(c, uniform_types(TensorType::f16), plan, {750, 994}),
          .prefill = {.cached = 0, .rows = std::min(chunk, prompt), .chunk = chunk},
          .decode = {.cached = prompt, .rows = 1, .chunk = chunk}};
}

TimeReport prefill_of(const RandomModel& m, const Device& d, const TimeOptions& o = {}) {
  return time_entry(m.lowered.program(), d, "prefill", m.prefill, o);
}
TimeReport decode_of(const RandomModel& m, const Device& d, const TimeOptions& o = {}) {
  return time_entry(m.lowered.program(), d, "decode", m.decode, o);
}

TEST(TimeLaws, WhatIsSentArrivesAndTheStepsAddUp) {
  const Device d = load_device("wse2");
  Rng rng(21);
  for (int run = 0; run < 40; run++) {
    const RandomModel m = random_model(rng);
    for (const TimeReport& r : {prefill_of(m, d), decode_of(m, d)}) {
      int64_t sum = 0, operations = 0;
      for (const StepTime& s : r.steps) {
        sum += s.cycles;
        operations += s.multiply_adds;
        EXPECT_GE(s.compute, 0) << s.name;
        EXPECT_GE(s.communicate, 0) << s.name;
        EXPECT_GE(s.wait, 0) << s.name;
      }
      EXPECT_EQ(sum, r.cycles);
      EXPECT_EQ(r.wavelets_sent, r.wavelets_received);
      EXPECT_GT(operations, 0);
    }
  }
}

TEST(TimeLaws, FasterActionsAreNeverSlower) {
  const Device slow = load_device("wse2");
  Rng rng(22);
  for (int run = 0; run < 25; run++) {
    const RandomModel m = random_model(rng);
    const int64_t prefill = prefill_of(m, slow).cycles, decode = decode_of(m, slow).cycles;
    for (int64_t Device::*field :
         {&Device::hop_cycles, &Device::ramp_cycles, &Device::stream_op_overhead_cycles, &Device::task_activation_cycles,
          &Device::descriptor_load_cycles, &Device::descriptor_edit_cycles, &Device::map_iteration_cycles, &Device::route_change_cycles,
          &Device::sincos_cycles, &Device::rsqrt_cycles}) {
      Device fast = slow;
      fast.*field -= 1;
      EXPECT_LE(prefill_of(m, fast).cycles, prefill);
      EXPECT_LE(decode_of(m, fast).cycles, decode);
    }
    // Twice the bandwidth of links and ramps: wider wavelets, or two a cycle. Of only one of the two, the other still binds.
    for (const auto& fields : {std::vector<int64_t Device::*>{&Device::wavelet_bits},
                               {&Device::wavelets_per_cycle_per_link, &Device::wavelets_per_cycle_per_ramp}}) {
      Device wide = slow;
      for (int64_t Device::*field : fields) wide.*field *= 2;
      EXPECT_LE(prefill_of(m, wide).cycles, prefill);
      EXPECT_LE(decode_of(m, wide).cycles, decode);
    }
    for (int64_t Device::*field : {&Device::wavelets_per_cycle_per_link, &Device::wavelets_per_cycle_per_ramp}) {
      Device wide = slow;
      wide.*field *= 2;
      EXPECT_EQ(prefill_of(m, wide).cycles, prefill);
    }
  }
}

// Trees of all kinds on lines of any length: the program fixes which vector comes first at every core.
TEST(TimeLaws, FasterPartsAndFewerHopsNeverSlowAReduction) {
  const Device slow = load_device("wse2");
  Rng rng(28);
  const auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
  for (int run = 0; run < 200; run++) {
    const std::string algorithm = std::vector<std::string>{"chain", "two-phase", "tree", "ktree"}[static_cast<size_t>(below(4))];
    kernels::ReduceShape shape{.size = 2 + below(200), .words = 1 + below(300), .algorithm = algorithm, .broadcast = below(2) != 0};
    if (below(2) != 0) shape.dtype = Dtype::f16;
    if (algorithm == "two-phase") shape.groups = {1 + below(static_cast<uint64_t>(shape.size))};
    const auto cycles = [&](const Device& d, const kernels::ReduceShape& s) {
      const TimeReport r = time_entry(kernels::reduce_program(s, {750, 994}), d, "reduce", {});
      EXPECT_EQ(r.wavelets_sent, r.wavelets_received);
      return r.cycles;
    };
    const int64_t before = cycles(slow, shape);
    for (int64_t Device::*field : {&Device::hop_cycles, &Device::ramp_cycles, &Device::stream_op_overhead_cycles,
                                   &Device::task_activation_cycles, &Device::descriptor_load_cycles, &Device::descriptor_edit_cycles}) {
      Device fast = slow;
      fast.*field -= 1;
      EXPECT_LE(cycles(fast, shape), before);
    }
    Device wide = slow;
    wide.wavelets_per_cycle_per_link = wide.wavelets_per_cycle_per_ramp = 4;
    EXPECT_LE(cycles(wide, shape), before);
    // Never below the bound of one core alone: the root takes each vector in, a word a cycle.
    EXPECT_GE(before, stream_issue_cycles(slow) + (shape.dtype == Dtype::f16 ? (shape.words + 1) / 2 : shape.words));
    if (shape.words > 1) {
      kernels::ReduceShape less = shape;
      less.words--;
      EXPECT_LE(cycles(slow, less), before);
    }
    if (algorithm == "chain" && shape.size > 2) {  // a shorter line is the same program with a hop and a core less
      kernels::ReduceShape shorter = shape;
      shorter.size--;
      EXPECT_LT(cycles(slow, shorter), before);
    }
  }
}

TEST(TimeLaws, ThreadsChangeNothing) {
  const Device d = load_device("wse2");
  Rng rng(23);
  for (int run = 0; run < 10; run++) {
    const RandomModel m = random_model(rng);
    const int64_t prefill = prefill_of(m, d).cycles, decode = decode_of(m, d).cycles;
    set_thread_count(1);
    EXPECT_EQ(prefill_of(m, d).cycles, prefill);
    EXPECT_EQ(decode_of(m, d).cycles, decode);
    set_thread_count(0);
  }
}

// Turns of a loop that are taken to last as long as the second, against all of them timed.
TEST(TimeLaws, TwoTurnsOfALoopStandForAll) {
  const Device d = load_device("wse2");
  Rng rng(24);
  double worst = 0;
  for (int run = 0; run < 40; run++) {
    const RandomModel m = random_model(rng);
    for (const auto& time : {prefill_of, decode_of}) {
      const double all = static_cast<double>(time(m, d, {.turns = 0}).cycles), two = static_cast<double>(time(m, d, {.turns = 2}).cycles);
      worst = std::max(worst, std::abs(two / all - 1));
    }
  }
  EXPECT_LE(worst, 0.002);
}

// What is known of products changes nothing but the host's time: chunk by chunk with one memo, against each by itself.
TEST(TimeLaws, AMemoOfProductsIsExact) {
  const Device d = load_device("wse2");
  Rng rng(30);
  size_t found = 0;
  for (int run = 0; run < 20; run++) {
    const RandomModel m = random_model(rng);
    ProductMemo memo{.core_steps = 0, .most_bytes = run % 2 == 0 ? int64_t{1} << 20 : 6000};
    const int64_t prompt = m.decode.cached, chunk = m.prefill.chunk;
    for (int64_t cached = 0; cached < prompt; cached += chunk) {
      const Params p{.cached = cached, .rows = std::min(chunk, prompt - cached), .chunk = chunk};
      const TimeReport with = time_entry(m.lowered.program(), d, "prefill", p, {.products = &memo}),
                       without = time_entry(m.lowered.program(), d, "prefill", p);
      EXPECT_EQ(with.cycles, without.cycles);
      ASSERT_EQ(with.steps.size(), without.steps.size());
      for (size_t i = 0; i < with.steps.size(); i++) {
        const StepTime &a = with.steps[i], &b = without.steps[i];
        EXPECT_EQ(std::tie(a.name, a.count, a.cycles, a.wavelets, a.wavelet_hops, a.multiply_adds),
                  std::tie(b.name, b.count, b.cycles, b.wavelets, b.wavelet_hops, b.multiply_adds));
        EXPECT_NEAR(a.compute, b.compute, 1e-9 * b.compute);
        EXPECT_NEAR(a.wait, b.wait, 1e-6 * (b.wait + b.compute));
      }
      int64_t bytes = 0;
      for (const auto& p_known : memo.products) bytes += static_cast<int64_t>(2 * sizeof(uint32_t) * p_known->before.size());
      EXPECT_LE(bytes, memo.most_bytes);
    }
    found += memo.products.size();
  }
  EXPECT_GT(found, 20u);
}

TEST(TimeLaws, AWatcherSeesEveryCoreOfEveryStep) {
  const Device d = load_device("wse2");
  Rng rng(25);
  const RandomModel m = random_model(rng);
  uint64_t latest = 0;
  int64_t steps = 0;
  const TimeReport r = decode_of(m, d, {.turns = 0, .watch = [&](const StepClocks& s) {
                                          ASSERT_EQ(s.start.size(), s.end.size());
                                          for (size_t i = 0; i < s.start.size(); i++) {
                                            EXPECT_LE(s.start[i], s.end[i]) << s.name;
                                            latest = std::max(latest, s.end[i]);
                                          }
                                          steps++;
                                        }});
  EXPECT_EQ(latest, static_cast<uint64_t>(r.cycles));
  EXPECT_GT(steps, 20);
}

// A constant of the device changes the steps that pay it, and no other.
TEST(TimeLaws, AScalarFunctionCostsTheStepsThatCallIt) {
  const Device d = load_device("wse2");
  Device slow = d;
  slow.rsqrt_cycles += 7;
  Rng rng(26);
  for (int run = 0; run < 10; run++) {
    const RandomModel m = random_model(rng);
    const TimeReport before = decode_of(m, d), after = decode_of(m, slow);
    ASSERT_EQ(before.steps.size(), after.steps.size());
    for (size_t i = 0; i < before.steps.size(); i++) {
      const StepTime &a = before.steps[i], &b = after.steps[i];
      if (a.name.ends_with("_norm"))
        EXPECT_GT(b.compute, a.compute);
      else
        EXPECT_EQ(b.compute, a.compute) << a.name;
      EXPECT_EQ(a.wavelets, b.wavelets) << a.name;
    }
  }
}

// For each constant the steps that pay it: they change, all others take exactly the same.
TEST(TimeLaws, AConstantChangesTheStepsThatPayItAndNoOther) {
  const Device d = load_device("wse2");
  struct Payers {
    int64_t Device::*field;
    std::vector<std::string> prefill, decode;  // starts of names
  };
  const std::vector<std::string> products = {"q", "k", "values", "v", "scores", "out", "up", "gate", "down"};
  const Payers table[] = {
      {&Device::sincos_cycles, {"angles"}, {"angles"}},
      {&Device::rsqrt_cycles, {"attn_norm", "ffn_norm"}, {"attn_norm", "ffn_norm", "final_norm"}},
      {&Device::reciprocal_cycles, {}, {}},  // of published kernels alone
      {&Device::exp_cycles, {}, {}},
      {&Device::scale_f32_elements_per_cycle, {"softmax.exp", "silu"}, {"softmax.exp", "silu"}},
      {&Device::integer_16_elements_per_cycle, {"divide", "silu"}, {"divide", "silu"}},
      {&Device::route_change_cycles, {"route_change"}, {"route_change"}},
      {&Device::exchange_step_cycles, products, {}},
      {&Device::move_16_elements_per_cycle, {"store_", "look_up", "divide", "silu"}, {"store_", "look_up", "divide", "silu"}},
      {&Device::fmac_f16_elements_per_cycle, {}, {}},  // numerics are mixed
      {&Device::forward_f16_cycles, {}, {}},
      {&Device::sram_read_bytes_per_cycle, {}, {}},
  };
  RandomModel m;
  for (Rng rng(29); m.lowered.placement.plan.numerics != Numerics::mixed || m.decode.cached < 12;) m = random_model(rng);
  // What a step does on its cores, whatever it waits for.
  const auto own = [](const StepTime& s) { return std::pair(s.compute, s.communicate); };
  for (const Payers& p : table) {
    Device other = d;
    other.*p.field = other.*p.field <= 4 ? 1 : other.*p.field + 7;  // rates fall, times grow
    for (const bool prefill : {true, false}) {
      const TimeReport before = prefill ? prefill_of(m, d) : decode_of(m, d), after = prefill ? prefill_of(m, other) : decode_of(m, other);
      const std::vector<std::string>& names = prefill ? p.prefill : p.decode;
      std::set<std::string> changed;
      ASSERT_EQ(before.steps.size(), after.steps.size());
      for (size_t i = 0; i < before.steps.size(); i++) {
        const StepTime &a = before.steps[i], &b = after.steps[i];
        const auto pays = std::find_if(names.begin(), names.end(), [&](const std::string& n) { return a.name.starts_with(n); });
        if (own(a) != own(b)) {
          EXPECT_NE(pays, names.end()) << a.name;
          changed.insert(pays == names.end() ? a.name : *pays);
        }
        EXPECT_EQ(a.wavelets, b.wavelets) << a.name;
        EXPECT_EQ(a.multiply_adds, b.multiply_adds) << a.name;
      }
      EXPECT_EQ(changed.size(), names.size()) << (prefill ? "prefill" : "decode") << ", constant " << &p - table;
      if (names.empty()) {
        EXPECT_EQ(before.cycles, after.cycles);
      }
    }
  }
}

TEST(TimeLaws, MovingTilesNeverMakesAProductFaster) {
  // Wavelets that take nothing from the core that computes: never slower. And never below its own machine actions.
  const Device d = load_device("wse2");
  Rng rng(27);
  for (int run = 0; run < 30; run++) {
    const int w = 2 + static_cast<int>(next_below(rng, 9)), h = 2 + static_cast<int>(next_below(rng, 9));
    const kernels::GemmShape shape{.m = 1 + static_cast<int64_t>(next_below(rng, 80)),
                                   .k = 1 + static_cast<int64_t>(next_below(rng, 80)),
                                   .n = 1 + static_cast<int64_t>(next_below(rng, 80)),
                                   .mesh = {w, h}};
    const Program p = kernels::gemm_program(shape, {750, 994});
    EXPECT_TRUE(verify(p, {.mesh = p.mesh, .sram_bytes = 1 << 24, .colours = 24}).empty());
    const int64_t both = time_entry(p, d, "gemm", {.rows = shape.m}).cycles;
    Device free = d;  // no cycles but the product's, and none of them
    free.background_wavelet_cycles = 0;
    EXPECT_LE(time_entry(p, free, "gemm", {.rows = shape.m}).cycles, both);
    const int L = std::max(w, h);
    // The bound: every core's own product and machine actions.
    EXPECT_GE(both, L * 4 * (stream_issue_cycles(d) + d.task_activation_cycles));
  }
}

}  // namespace
}  // namespace wafer::time
