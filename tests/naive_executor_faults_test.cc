// What the naive executor proves: a program with a fault in it does not run to its end.
#include <gtest/gtest.h>

#include <functional>

#include "support/mesh_case.h"
#include "support/naive_executor.h"

namespace wafer {
namespace {

using namespace mesh;

BuiltCase small_case() {
  return build(make_case(tiny_config(4, 2, 4, 10, 9, 7, 1), Numerics::mixed, {.mesh = {5, 4}, .own_head = true},
                         {.mesh = {4, 3}, .own_head = true}, 3, 5, 2));
}

// The reason why the case stops; empty if it runs to its end.
std::string fault_of(const BuiltCase& b, const naive::Expansion& expansion = expand) {
  const MeshCase& c = b.what;
  try {
    NaiveExecutor naive(b.lowered, b.model);
    naive.set_expansion(expansion);
    for (const Params& p : prefill_chunks(c)) naive.run("prefill", p, tokens_of(b, p));
    naive.run("row", prefill_chunks(c).back(), {});
    naive.run("transition", transition_params(c), {});
    for (int64_t at = c.prompt; at < c.prompt + c.decode; at++)
      naive.run("decode", decode_params(c, at), tokens_of(b, decode_params(c, at)));
  } catch (const std::logic_error& e) {
    return e.what();
  }
  return "";
}

// Visits all lists of steps of an entry.
void visit(Steps& steps, const std::function<void(Steps&)>& f) {
  f(steps);
  for (Step& s : steps) {
    if (auto* loop = std::get_if<Loop>(&s.what)) visit(loop->body, f);
    if (auto* group = std::get_if<Group>(&s.what)) visit(group->body, f);
  }
}

// The steps of products without those of that name.
naive::Expansion without(const std::string& name) {
  return [name](const Program& p, const Step& step) {
    Steps steps = expand(p, step);
    visit(steps, [&](Steps& list) { std::erase_if(list, [&](const Step& s) { return s.name == name; }); });
    return steps;
  };
}

// Takes out all steps of that name, in all entries.
void remove_steps(BuiltCase& b, const std::string& name) {
  size_t removed = 0;
  for (Entry& e : b.lowered.placement.program.entries)
    for (RegionSteps& r : e.lists)
      visit(r.steps, [&](Steps& steps) { removed += std::erase_if(steps, [&](const Step& s) { return s.name == name; }); });
  ASSERT_GT(removed, 0u) << name;
}

// The last step of that name and kind.
template <class What>
What& step_of(BuiltCase& b, const std::string& name) {
  What* found = nullptr;
  for (Entry& e : b.lowered.placement.program.entries)
    for (RegionSteps& r : e.lists)
      visit(r.steps, [&](Steps& steps) {
        for (Step& s : steps)
          if (auto* what = std::get_if<What>(&s.what); what && s.name == name) found = what;
      });
  if (!found) throw std::runtime_error("no step " + name);
  return *found;
}

Buffer& buffer_of(BuiltCase& b, const std::string& name) {
  for (Buffer& buffer : b.lowered.placement.program.buffers)
    if (buffer.name == name) return buffer;
  throw std::runtime_error("no buffer " + name);
}

void expect_fault(const BuiltCase& b, const std::string& part) {
  const std::string fault = fault_of(b);
  EXPECT_NE(fault.find(part), std::string::npos) << "found: " << (fault.empty() ? "no fault" : fault);
}

TEST(NaiveExecutorFaults, NoneInTheLoweredProgram) { EXPECT_EQ(fault_of(small_case()), ""); }

TEST(NaiveExecutorFaults, AResultThatIsNotHandedToAll) {
  BuiltCase b = small_case();
  step_of<Reduce>(b, "qkv.reduce").parts[0].broadcast = false;
  expect_fault(b, "of buffer decode.q, which it does not hold");
}

TEST(NaiveExecutorFaults, AWeightThatLiesElsewhere) {
  BuiltCase b = small_case();
  // Rows of W_Q in the order of the ring, where x lies in natural order.
  for (DimCut& c : buffer_of(b, "decode.wq").cuts)
    if (c.axis == Axis::y) c.cut = ring_cut(3, 3);
  expect_fault(b, "of buffer decode.xn, which it does not hold");
}

TEST(NaiveExecutorFaults, ACacheThatDoesNotShift) {
  BuiltCase b = small_case();
  remove_steps(b, "kv_shift");
  expect_fault(b, "of buffer decode.k_cache, its placement says");
}

TEST(NaiveExecutorFaults, AProductThatIsNotAligned) {
  for (const char* name : {"q.align_a", "values.align_a", "values.align_b"}) EXPECT_NE(fault_of(small_case(), without(name)), "") << name;
}

TEST(NaiveExecutorFaults, AProductThatSaysItIsAligned) {
  BuiltCase b = small_case();
  step_of<Product>(b, "up").a_aligned = true;
  expect_fault(b, "is not aligned");
}

TEST(NaiveExecutorFaults, ATileThatDoesNotTravel) {
  for (const char* name : {"down.shift_a", "values.shift_b", "scores.shift_b", "down.product", "down.steps", "scores.row_sum"})
    EXPECT_NE(fault_of(small_case(), without(name)), "") << name;
}

// One turn fewer, or one more, of each loop of every product.
TEST(NaiveExecutorFaults, ALoopOfAnotherLength) {
  for (const char* name : {"q.align_a", "values.align_b", "down.steps", "scores.steps"})
    for (const int more : {-1, 1}) {
      const std::string fault = fault_of(small_case(), [&](const Program& p, const Step& step) {
        Steps steps = expand(p, step);
        for (Step& s : steps)
          if (s.name == name) std::get<Loop>(s.what).fixed += more;
        return steps;
      });
      EXPECT_NE(fault.find("turns of a loop"), std::string::npos) << name << " " << more << " " << fault;
    }
}

TEST(NaiveExecutorFaults, ARingOverTwoHeads) {
  BuiltCase b = small_case();
  step_of<Product>(b, "values").runs = {{0, 5}};
  expect_fault(b, "inner indices");
}

TEST(NaiveExecutorFaults, ABufferWithoutBytes) {
  BuiltCase b = small_case();
  std::erase(buffer_of(b, "prefill.q_op").phases, b.lowered.placement.prefill_phases.attention);
  expect_fault(b, "has no bytes in phase prefill.attention");
}

TEST(NaiveExecutorFaults, AValueThatNobodySends) {
  BuiltCase b = small_case();
  remove_steps(b, "last_row.send");
  expect_fault(b, "wait for each other");
}

TEST(NaiveExecutorFaults, ASumThatEachCoreHasForItself) {
  for (const char* name : {"softmax.reduce", "max", "qkv.reduce", "attn_norm.sum.reduce"}) {
    BuiltCase b = small_case();
    remove_steps(b, name);
    expect_fault(b, "another core");
  }
}

}  // namespace
}  // namespace wafer
