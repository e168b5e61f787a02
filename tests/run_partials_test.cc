// What run() does with partial results: local steps before a reduction are executed as they are written, or refused.
#include <gtest/gtest.h>

#include <bit>
#include <stdexcept>
#include <string>

#include "run/run.h"
#include "support/mesh_case.h"

namespace wafer {
namespace {

using namespace mesh;

// The list of steps in which a step stands, and where.
struct Place {
  Steps* steps = nullptr;
  size_t at = 0;
};
Place find(Steps& steps, const std::string& name) {
  for (size_t i = 0; i < steps.size(); i++) {
    if (steps[i].name == name) return {&steps, i};
    Steps* body = std::holds_alternative<Loop>(steps[i].what)    ? &std::get<Loop>(steps[i].what).body
                  : std::holds_alternative<Group>(steps[i].what) ? &std::get<Group>(steps[i].what).body
                                                                 : nullptr;
    if (body == nullptr) continue;
    if (const Place p = find(*body, name); p.steps != nullptr) return p;
  }
  return {};
}

struct Decode {
  BuiltCase built = build(make_case(tiny_config(4, 2, 6, 11, 13, 17, 2), Numerics::fp32, {.mesh = {3, 2}}, {.mesh = {3, 4}}, 4, 3, 2));
  std::vector<float> expected = logits();

  Place place(const std::string& name) {
    for (Entry& e : built.lowered.placement.program.entries) {
      if (e.name != "decode") continue;
      for (RegionSteps& list : e.lists)
        if (const Place p = find(list.steps, name); p.steps != nullptr) return p;
    }
    throw std::runtime_error("no step " + name);
  }
  template <class Kind>
  Kind& step(const std::string& name) {
    const Place p = place(name);
    return std::get<Kind>((*p.steps)[p.at].what);
  }
  void drop(const std::string& name) {
    const Place p = place(name);
    p.steps->erase(p.steps->begin() + static_cast<std::ptrdiff_t>(p.at));
  }
  // Takes a step out and puts it before another.
  void move_before(const std::string& name, const std::string& other) {
    Place p = place(name);
    const Step moved = (*p.steps)[p.at];
    drop(name);
    p = place(other);
    p.steps->insert(p.steps->begin() + static_cast<std::ptrdiff_t>(p.at), moved);
  }
  std::vector<float> logits() {
    const auto machine = run::make_machine(built.lowered, run::pack_model(built.model, built.what.plan.numerics));
    std::vector<float> out;
    for (int64_t at = 0; at < 4; at++) {
      run::run(*machine, "decode", {.cached = at, .rows = 1, .chunk = 4}, std::span(built.tokens).subspan(static_cast<size_t>(at), 1));
      out.insert(out.end(), run::logits(*machine).begin(), run::logits(*machine).end());
    }
    return out;
  }
  void expect_refused(const char* words) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // run() has threads
    EXPECT_DEATH(logits(), words);
  }
};

const char* const kReductions[] = {"attn_norm.sum.reduce", "qkv.reduce", "scores.reduce", "max.reduce",   "softmax.reduce",
                                   "values.reduce",        "out.reduce", "down.reduce",   "logits.reduce"};

TEST(RunPartials, AReductionThatIsMissing) {
  for (const std::string name : kReductions) {
    SCOPED_TRACE(name);
    Decode d;
    d.drop(name);
    d.expect_refused("partial values");
  }
  Decode d;  // of the last one nothing reads the result
  d.drop("choice.reduce");
  d.expect_refused("partial values");
}

TEST(RunPartials, APartThatIsMissing) {
  for (const std::string name : kReductions) {
    SCOPED_TRACE(name);
    Decode d;
    d.step<Reduce>(name).parts.pop_back();
    d.expect_refused("partial values");
  }
}

TEST(RunPartials, AnotherOperation) {
  for (const std::string name : kReductions) {
    SCOPED_TRACE(name);
    Decode d;
    ReduceOp& op = d.step<Reduce>(name).parts[0].op;
    op = op == ReduceOp::add ? ReduceOp::max : ReduceOp::add;
    d.expect_refused("to be joined by");
  }
}

TEST(RunPartials, ALocalStepThatIsMissing) {
  for (const std::string name : {"attn_norm.square_sum", "qkv.product", "scores.dots", "max.own", "values.weigh", "choice.own"}) {
    SCOPED_TRACE(name);
    Decode d;
    d.drop(name);
    d.expect_refused("which has no partial values");
  }
}

// Steps that touch nothing of a partial result may stand before its reduction; the values stay.
TEST(RunPartials, StepsBetweenAreExecutedAsWritten) {
  Decode d;
  d.move_before("clear_max", "scores.reduce");
  d.move_before("kv_shift", "qkv.reduce");
  const std::vector<float> found = d.logits();
  ASSERT_EQ(found.size(), d.expected.size());
  for (size_t i = 0; i < found.size(); i++) EXPECT_EQ(std::bit_cast<uint32_t>(found[i]), std::bit_cast<uint32_t>(d.expected[i])) << i;
}

TEST(RunPartials, StepsThatReadOrOverwriteThem) {
  Decode reads;
  reads.move_before("rope_q", "qkv.reduce");
  reads.expect_refused("reads the partial values of buffer decode.q");
  Decode overwrites;
  overwrites.move_before("clear_max", "max.reduce");
  overwrites.expect_refused("overwrites the partial values");
  Decode changes;  // x of the next norm is what its squares are of
  changes.move_before("ffn_norm.square_sum", "out.reduce");
  changes.move_before("residual_1", "ffn_norm.sum.reduce");
  changes.expect_refused("is joined");
}

}  // namespace
}  // namespace wafer
