// Every norm of a lowered program is the same two steps, whichever part of the model it stands in.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "lower/lower.h"
#include "mesh/visit.h"

namespace wafer {
namespace {

using namespace mesh;

const ModelConfig kModel{.name = "small",
                         .architecture = "llama",
                         .layers = 2,
                         .dim = 48,
                         .heads = 4,
                         .kv_heads = 2,
                         .head_dim = 12,
                         .ffn = 100,
                         .vocab = 90,
                         .context = 64,
                         .norm_epsilon = 3e-6f,
                         .rope_base = 10000};

// The steps of one list, each with the one before it: inside a loop or a group, of the same body.
template <class See>
void for_each_pair(const Steps& steps, const See& see) {
  for (size_t i = 0; i < steps.size(); i++) {
    see(i == 0 ? nullptr : &steps[i - 1], steps[i]);
    for_each_pair(body_of(steps[i]), see);
  }
}

// The parts of a norm: x and the gain that it reads, and how often it stands in the program.
struct Norms {
  const Program& p;
  std::map<std::string, int> seen{};

  void check(const Step* before, const Step& step) {
    const auto* op = std::get_if<Local>(&step.what);
    if (op == nullptr || op->op != LocalOp::normalise) return;
    seen[step.name + " by " + p.tensors[p.buffers[op->in[2]].tensor].name]++;
    EXPECT_EQ(op->epsilon, kModel.norm_epsilon) << step.name;
    EXPECT_EQ(op->size, kModel.dim) << step.name;
    ASSERT_NE(before, nullptr) << step.name;
    EXPECT_EQ(before->name, step.name + ".sum");
    EXPECT_EQ(before->phase, step.phase) << step.name;
    const Steps& parts = body_of(*before);
    ASSERT_EQ(parts.size(), 2u) << step.name;
    const Local& squares = std::get<Local>(parts[0].what);
    const Reduce& sum = std::get<Reduce>(parts[1].what);
    EXPECT_EQ(squares.op, LocalOp::square_sum);
    EXPECT_EQ(squares.in, std::vector<BufferId>{op->in[0]}) << step.name;
    EXPECT_EQ(squares.out, std::vector<BufferId>{op->in[1]}) << step.name;
    EXPECT_EQ(sum.parts, std::vector<ReducePart>{{.buffer = squares.out[0]}}) << step.name;
    // The sum goes along the axis on which x is cut; another would add up tokens, or copies.
    const Buffer& x = p.buffers[op->in[0]];
    EXPECT_EQ(sum.axis, x.cuts.back().axis) << step.name;
    EXPECT_EQ(x.cuts.back().dim, static_cast<int>(p.tensors[x.tensor].dims.size()) - 1);
  }
};

TEST(Norm, IsTheSameInDecodePrefillAndHead) {
  Plan plan{.context = 64, .chunk = 20, .max_prompt = 60};
  plan.prefill.regions = {{.rect = {0, 0, 9, 7}, .layers = 2, .head = true}};
  plan.decode.regions = {{.rect = {0, 0, 6, 8}, .layers = 2, .head = true}};
  const Lowered l = lower(kModel, uniform_types(TensorType::f16), plan, {750, 994});
  Norms norms{l.program()};
  for (const Entry& e : l.program().entries)
    for (const RegionSteps& list : e.lists)
      for_each_pair(list.steps, [&](const Step* before, const Step& step) { norms.check(before, step); });
  const std::map<std::string, int> expected = {
      {"attn_norm by attn_norm", 2}, {"ffn_norm by ffn_norm", 2}, {"final_norm by output_norm", 2}};  // of prefill and of decode
  EXPECT_EQ(norms.seen, expected);
}

}  // namespace
}  // namespace wafer
