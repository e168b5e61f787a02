// What buffers hold from step to step: programs with a step too few or too many, in another order, joined in another way.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "mesh/locality.h"
#include "support/broken_program.h"

namespace wafer::mesh {
namespace {

// ---- the state of buffers --------------------------------------------------------------------------------------------------------------

TEST(Locality, StepsLeftOut) {
  const struct {
    const char *entry, *step;
    Rule rule;
    const char* where;
  } cases[] = {
      {"decode", "qkv.reduce", Rule::partial, "step rope_q"},
      {"decode", "attn_norm.sum.reduce", Rule::partial, "step attn_norm"},
      {"decode", "scores.reduce", Rule::partial, "step max.own"},
      {"decode", "max.reduce", Rule::partial, "step softmax.exp"},
      {"decode", "softmax.reduce", Rule::partial, "step divide"},
      {"decode", "choice.reduce", Rule::partial, "step token.to_host"},
      {"decode", "embedding.cast", Rule::not_everywhere, "step embedding.send"},
      {"decode", "kv_shift", Rule::cache_rows, "step store_k"},
      {"decode", "store_v", Rule::cache_rows, "step values.weigh"},
      {"decode", "clear_max", Rule::undefined, "step max.own"},
      {"decode", "rope_k", Rule::undefined, "step store_k"},
      {"decode", "residual_1", Rule::never_read, "step down.product"},
      {"prefill", "max", Rule::partial, "step softmax.exp"},
      {"prefill", "softmax.reduce", Rule::partial, "step softmax.add"},
      {"prefill", "clear_sums", Rule::undefined, "step softmax.add"},
      {"prefill", "values.add", Rule::incomplete, "step divide"},
      {"prefill", "max.own", Rule::partial, "step max"},
      {"prefill", "store_k", Rule::never_read, "step clear_max"},
      {"decode", "ffn_norm.sum", Rule::stale, "step ffn_norm"},
      {"prefill", "up", Rule::aligned, "step gate"},
      {"row", "logits.product", Rule::undefined, "step logits.reduce"},
  };
  for (const auto& c : cases) expect_fault(without(c.entry, c.step), c.rule, c.where);
}

TEST(Locality, StepsDoneTwice) {
  const struct {
    const char *entry, *step;
    Rule rule;
    const char* where;
  } cases[] = {
      {"decode", "residual_1", Rule::never_read, "step residual_1"},
      {"decode", "rope_q", Rule::never_read, "step rope_q"},
      {"decode", "qkv.reduce", Rule::partial, "step qkv.reduce"},
      {"decode", "kv_shift", Rule::cache_rows, "step kv_shift"},
      {"decode", "store_k", Rule::cache_rows, "step store_k"},
      {"decode", "silu", Rule::never_read, "step silu"},
      {"decode", "embedding.cast", Rule::not_everywhere, "step embedding.cast"},
      {"decode", "token.to_host", Rule::never_read, "step token.to_host"},
      {"prefill", "softmax.add", Rule::never_read, "step softmax.add"},
      {"prefill", "scores", Rule::never_read, "step scores"},
      {"prefill", "divide", Rule::never_read, "step divide"},
      {"prefill", "down", Rule::aligned, "step down"},
      {"prefill", "second_pass", Rule::incomplete, "step softmax.add"},
  };
  for (const auto& c : cases) expect_fault(twice(c.entry, c.step), c.rule, c.where);
}

TEST(Locality, StepsInAnotherOrder) {
  expect_fault(before("decode", "rope_q", "qkv"), Rule::undefined, "step rope_q");
  expect_fault(before("decode", "scores", "store_k"), Rule::cache_rows, "step scores.dots");
  expect_fault(before("decode", "store_k", "kv_shift"), Rule::cache_rows, "step store_k");
  expect_fault(before("prefill", "k", "q"), Rule::aligned, "step k");
  expect_fault(before("prefill", "gate", "up"), Rule::aligned, "step gate");
}

// Every leaf of every entry, left out or done twice, is a fault of this rule set or of verify()'s; but the host may take an output itself.
TEST(Locality, AnyStepLeftOutOrDoneTwice) {
  for (const bool host : {false, true}) {
    const Program whole = small_program(host, !host);
    const Limits roomy{.mesh = kBrokenMesh, .sram_bytes = 1 << 20, .colours = 24};
    ASSERT_TRUE(verify(whole, roomy).empty()) << text_of(verify(whole, roomy));
    for (size_t e = 0; e < whole.entries.size(); e++)
      for (size_t l = 0; l < whole.entries[e].lists.size(); l++) {
        const auto number_of_lists = [&](Program& p) {
          std::vector<Steps*> lists;
          for_lists(p.entries[e].lists[l].steps, [&](Steps& s) { lists.push_back(&s); });
          return lists;
        };
        Program again = whole;
        const size_t lists = number_of_lists(again).size();
        for (size_t n = 0; n < lists; n++)
          for (size_t i = 0; i < number_of_lists(again)[n]->size(); i++)
            for (const bool doubled : {false, true}) {
              Program p = whole;
              Steps& list = *number_of_lists(p)[n];
              const Step step = list[i];
              const Host* to_host = std::get_if<Host>(&step.what);
              if (!doubled && to_host != nullptr && to_host->to_host) continue;
              if (doubled)
                list.insert(list.begin() + static_cast<ptrdiff_t>(i), step);
              else
                list.erase(list.begin() + static_cast<ptrdiff_t>(i));
              EXPECT_FALSE(check_locality(p).empty() && verify(p, roomy).empty())
                  << whole.entries[e].name << ": " << step.name << (doubled ? " twice" : " left out");
            }
      }
  }
}

TEST(Locality, AResultThatIsNotHandedToAll) {
  Program p = small_program();
  step_of<Reduce>(p, "decode", "qkv.reduce").parts[0].broadcast = false;
  expect_fault(p, Rule::not_everywhere, "step rope_q", "buffer decode.q is read on all cores, but lies along y at the roots alone");
}

TEST(Locality, AnotherOperationOfAReduction) {
  Program p = small_program();
  step_of<Reduce>(p, "decode", "softmax.reduce").parts[0].op = ReduceOp::max;
  expect_fault(p, Rule::partial, "step softmax.reduce", "joined by max, its parts are those of add");
  p = small_program();
  step_of<Reduce>(p, "decode", "down.reduce").axis = Axis::y;
  expect_fault(p, Rule::partial, "step down.reduce");
}

TEST(Locality, ForestsThatDoNotJoinAll) {
  Program p = small_program();
  step_of<Reduce>(p, "decode", "scores.reduce").forest = line_forest(4, {});  // over the runs of two heads
  expect_fault(p, Rule::partial, "step scores.reduce", "there is no element to which both add");
  p = small_program();
  Tree& lost = step_of<Reduce>(p, "decode", "qkv.reduce").forest.trees[0];
  Chain& chain = lost.levels[0].front();
  const int first = chain.front();
  chain.erase(chain.begin());
  expect_fault(p, Rule::partial, "step qkv.reduce", fmt::format("the value of position {} of a run does not reach the root", first));
  p = small_program();
  Tree& doubled = step_of<Reduce>(p, "decode", "qkv.reduce").forest.trees[0];
  doubled.levels.push_back({doubled.levels[0].front()});
  expect_fault(p, Rule::partial, "step qkv.reduce", "is passed on twice");
  p = small_program();
  Tree& root = step_of<Reduce>(p, "decode", "qkv.reduce").forest.trees[0];
  root.root = root.root == 0 ? 1 : 0;
  expect_fault(p, Rule::partial, "step qkv.reduce", "the root at position");
  p = small_program();
  step_of<Reduce>(p, "decode", "scores.reduce").forest.runs.pop_back();
  expect_fault(p, Rule::partial, "step scores.reduce", "the runs along x do not go on at position 2 of 4");
}

// Dims of a head on a column outside its run.
TEST(Locality, SharesThatDoNotMakeAWhole) {
  Program p = small_program();
  for (const char* name : {"decode.q", "decode.q_op", "decode.wq"}) {
    for (DimCut& c : p.buffers[buffer_of(p, name)].cuts) {
      if (c.cut.kind != CutKind::table) continue;
      auto table = *c.cut.table;
      std::swap(table[0], table[1]);
      c.cut = table_cut(table);
    }
  }
  EXPECT_FALSE(check_locality(p).empty());
}

TEST(Locality, AProductThatSaysItIsAligned) {
  Program p = small_program();
  step_of<Product>(p, "prefill", "up").a_aligned = true;
  expect_fault(p, Rule::aligned, "step up", "said to lie aligned, and does not");
  p = small_program();
  step_of<Product>(p, "prefill", "k").a_aligned = false;
  expect_fault(p, Rule::aligned, "step k", "aligned a second time");
  p = small_program();
  step_of<Product>(p, "prefill", "values").b_aligned = true;
  expect_fault(p, Rule::aligned, "step values");
}

TEST(Locality, AlignedTilesThatALocalStepReads) {
  Program p = small_program();
  step_of<Local>(p, "prefill", "residual_2").in = {buffer_of(p, "prefill.xn")};
  expect_fault(p, Rule::aligned, "step residual_2", "buffer prefill.xn is read where its tiles lie aligned");
}

TEST(Locality, ARingOverTwoHeads) {
  Program p = small_program();
  step_of<Product>(p, "prefill", "values").runs = {{0, 5}};
  expect_fault(p, Rule::elsewhere, "step values");
}

TEST(Locality, LoopsOfAnotherLength) {
  for (const int64_t more : {-1, 1}) {
    Program p = small_program();
    step_of<Loop>(p, "prefill", "members").fixed += more;
    EXPECT_FALSE(check_locality(p).empty()) << more;
    p = small_program();
    step_of<Loop>(p, "decode", "layers").fixed += more;
    EXPECT_FALSE(check_locality(p).empty()) << more;
    p = small_program();
    step_of<Loop>(p, "prefill", "layers").begin += more;
    EXPECT_FALSE(check_locality(p).empty()) << more;
  }
  Program p = small_program();
  step_of<Loop>(p, "prefill", "second_pass").count = CountKind::fixed;
  EXPECT_FALSE(check_locality(p).empty());
}

TEST(Locality, ScoresOfAnotherChunk) {
  Program p = small_program(false, false);  // one buffer for the scores of all chunks
  Steps& second = step_of<Loop>(p, "prefill", "second_pass").body;
  ASSERT_EQ(second.front().name, "scores");
  second.erase(second.begin());
  expect_fault(p, Rule::incomplete, "step softmax.exp", "the keys of chunk 1, where those of chunk 0 are read");
}

TEST(Locality, ABufferWithBytesForNothing) {
  const Program whole = small_program();
  for (const BufferId b : whole.buffers.ids()) {
    if (whole.buffers[b].kind == BufferKind::staging) continue;
    for (const PhaseId phase : whole.phases.ids()) {
      Program p = whole;
      std::vector<PhaseId>& phases = p.buffers[b].phases;
      const auto has = std::find(phases.begin(), phases.end(), phase);
      if (has == phases.end() && (p.buffers[b].leaves_in == phase || p.buffers[b].arrives_in == phase)) continue;
      if (has == phases.end())
        phases.push_back(phase);
      else if (phases.size() == 1)
        continue;
      else
        phases.erase(has);
      EXPECT_FALSE(check_locality(p).empty()) << whole.buffers[b].name << ", " << whole.phases[phase].name;
    }
  }
  Program p = whole;
  p.buffers[buffer_of(p, "decode.q")].phases.push_back(PhaseId{6});
  expect_fault(p, Rule::phases, "region decode.0", "buffer decode.q has bytes in phase decode.head, in which it holds nothing");
}

TEST(Locality, SlotsForTilesThatArrive) {
  Program p = small_program();
  p.buffers[buffer_of(p, "prefill.xn")].slots = 1;
  expect_fault(p, Rule::operands, "step q",
               "tiles of buffer prefill.xn have 1 slots, where a product during which the next ones arrive needs 2");
  p = small_program();
  step_of<Product>(p, "prefill", "down").b_slot = {};
  expect_fault(p, Rule::operands, "step down", "tiles of buffer prefill.wdown have 1 slots");
  p = small_program();
  step_of<Product>(p, "prefill", "down").overlap = false;
  expect_fault(p, Rule::operands, "step down");
}

TEST(Locality, ABufferWithoutBytes) {
  Program p = small_program();
  std::vector<PhaseId>& phases = p.buffers[buffer_of(p, "prefill.q_op")].phases;
  phases = {phases.front()};
  expect_fault(p, Rule::never_read, "step clear_max", "buffer prefill.q_op has no bytes in phase prefill.attention");
}

// ---- inputs and outputs ----------------------------------------------------------------------------------------------------------------

TEST(Locality, InputsAndOutputsBothWays) {
  Program p = small_program();
  const BufferId best = buffer_of(p, "decode.best"), h = buffer_of(p, "decode.h");
  std::erase(entry_of(p, "decode").inputs, best);
  expect_fault(p, Rule::interface, "entry decode, region decode.1", "buffer decode.best is read as it was before the entry");
  p = small_program();
  entry_of(p, "decode").inputs.push_back(h);
  expect_fault(p, Rule::interface, "entry decode, region decode.0", "buffer decode.h is an input of the entry, which never reads it");
  p = small_program();
  entry_of(p, "row").outputs.push_back(buffer_of(p, "prefill.token"));
  expect_fault(p, Rule::interface, "entry row", "is an output of the entry, which never writes it");
  p = small_program();
  std::erase(entry_of(p, "prefill").outputs, buffer_of(p, "prefill.x"));
  expect_fault(p, Rule::never_read, "entry prefill", "is written by entry prefill, region prefill.0, step residual_2 for nobody");
  p = small_program();
  std::erase(entry_of(p, "decode").outputs, buffer_of(p, "decode.k_cache"));
  expect_fault(p, Rule::interface, "entry decode", "is a cache that the entry writes");
}

}  // namespace
}  // namespace wafer::mesh
