// run() and the naive executor give the same bits: after every entry, in every tensor that is whole at that time.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "run/run.h"
#include "support/mesh_case.h"
#include "support/naive_executor.h"

namespace wafer {
namespace {

using mesh::Params;

// The first element that differs; -1 if none does.
int64_t first_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return static_cast<int64_t>(std::min(a.size(), b.size()));
  for (size_t i = 0; i < a.size(); i++)
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return static_cast<int64_t>(i);
  return -1;
}

struct Pair {
  const BuiltCase& built;
  NaiveExecutor naive;
  std::unique_ptr<run::Machine, void (*)(run::Machine*)> machine;
  int64_t compared = 0;  // elements

  explicit Pair(const BuiltCase& b, NaiveExecutor::Start start = NaiveExecutor::Start::prefill)
      : built(b), naive(b.lowered, b.model, start), machine(run::make_machine(b.lowered, run::pack_model(b.model, b.what.plan.numerics))) {}

  void expect_same(std::string_view what, std::span<const float> naive_values, std::span<const float> run_values) {
    compared += static_cast<int64_t>(naive_values.size());
    const int64_t i = first_difference(naive_values, run_values);
    if (i < 0) return;
    const size_t at = static_cast<size_t>(i);
    ADD_FAILURE() << what << ": element " << i << " of " << naive_values.size() << " (run() has " << run_values.size() << "): naive "
                  << (at < naive_values.size() ? naive_values[at] : NAN) << ", run() " << (at < run_values.size() ? run_values[at] : NAN);
  }

  void expect_same_tensor(const std::string& name, int copy, const Params& params) {
    if (!naive.holds(name, copy, params)) return;
    expect_same(name + "." + std::to_string(copy), naive.gather(name, copy, params), run::tensor_values(*machine, name, copy, params));
  }

  void run(const std::string& entry, const Params& params, std::span<const int32_t> tokens) {
    SCOPED_TRACE("after " + entry + " at position " + std::to_string(params.cached));
    naive.run(entry, params, tokens);
    run::run(*machine, entry, params, tokens);
    const std::string prefix = entry == "decode" ? "decode." : "prefill.";
    for (const mesh::Tensor& t : built.lowered.program().tensors) {
      const bool cache = t.name == "k_cache" || t.name == "v_cache";
      const bool whole_after =
          t.name.starts_with(prefix) && t.dtype != mesh::Dtype::best && t.dtype != mesh::Dtype::i32 &&
          std::none_of(t.dims.begin(), t.dims.end(), [](const mesh::Dim& d) { return d.size.kind == mesh::SizeKind::keys; });
      if ((entry == "row" && !cache) || entry == "transition") continue;
      if (cache || whole_after)
        for (int copy = 0; copy < t.copies; copy++) expect_same_tensor(t.name, copy, params);
    }
    if (entry != "row" && entry != "decode") return;
    expect_same("logits", naive.logits(), run::logits(*machine));
    if (!built.what.plan.host_choice) {
      EXPECT_EQ(naive.chosen(), run::chosen(*machine));
    }
  }

  // The prompt in chunks, the logits of the last row and of one other, the transition, then tokens one by one.
  void run_all() {
    const MeshCase& c = built.what;
    for (Params p : prefill_chunks(c)) {
      run("prefill", p, tokens_of(built, p));
      for (int64_t row : {p.rows / 2, p.rows - 1}) {
        p.row = row;
        run("row", p, {});
      }
    }
    run("transition", transition_params(c), {});
    int32_t token = naive.chosen();
    for (int64_t at = c.prompt; at < c.prompt + c.decode; at++) {
      run("decode", decode_params(c, at), std::span(&token, 1));
      token = naive.chosen();
    }
  }
};

void expect_equal(const MeshCase& c) {
  SCOPED_TRACE(describe(c));
  try {
    const BuiltCase b = build(c);
    Pair pair(b);
    pair.run_all();
    // Caches of all layers, and logits, at least.
    EXPECT_GT(pair.compared, 0);
  } catch (const std::logic_error& e) {
    ADD_FAILURE() << e.what();
  }
}

class RunEqualsNaive : public testing::TestWithParam<Numerics> {};

TEST_P(RunEqualsNaive, OnRandomMeshes) {
  for (uint64_t seed = 1000; seed < 1040; seed++) expect_equal(random_case(seed, GetParam(), 7));
}

// Sides: one, equal, prime, either longer; W below, at and above the number of KV heads; more cores than dims.
TEST_P(RunEqualsNaive, OnChosenMeshes) {
  const mesh::Extent meshes[] = {{1, 1}, {1, 5}, {5, 1}, {2, 2}, {3, 3}, {7, 5}, {5, 7}, {11, 2}, {2, 11}, {6, 4}, {4, 6}, {12, 13}};
  uint64_t seed = 0;
  for (const mesh::Extent& m : meshes)
    for (bool keep : {true, false}) {
      const mesh::Extent turned{m.h, m.w};
      MeshCase c = make_case(tiny_config(6, 3, 6, 11, 13, 17, 2), GetParam(), {.mesh = m}, {.mesh = keep ? m : turned}, keep ? 9 : 4, 9, 3);
      c.plan.keep_scores = keep;
      c.seed = ++seed;
      expect_equal(c);
    }
}

// Rectangles wider than they are high, and higher than they are wide: a core holds several logical rows or columns of its product, each
// with an order of sums of its own. That order shows: a column of cores more gives other scores, and so other values in the next layer's
// cache.
TEST_P(RunEqualsNaive, WhereOrdersOfSumsDiffer) {
  uint64_t seed = 400;
  int others = 0, meshes = 0;
  for (const mesh::Extent& m : {mesh::Extent{9, 2}, {13, 3}, {7, 1}, {2, 9}, {5, 13}, {8, 5}}) {
    const auto make = [&](mesh::Extent prefill) {
      MeshCase c = make_case(tiny_config(4, 2, 16, 19, 23, 9, 2), GetParam(), {.mesh = prefill}, {.mesh = {2, 2}}, 6, 11, 1);
      c.seed = seed;
      return c;
    };
    seed++;
    expect_equal(make(m));
    const auto activations = [&](mesh::Extent prefill) {
      const MeshCase c = make(prefill);
      const BuiltCase b = build(c);
      const auto machine = run::make_machine(b.lowered, run::pack_model(b.model, c.plan.numerics));
      const Params all{.cached = 0, .rows = 6, .row = 0, .chunk = 6};
      run::run(*machine, "prefill", all, tokens_of(b, all));
      return run::tensor_values(*machine, "prefill.x", 0, all);
    };
    others += first_difference(activations(m), activations({m.w + 1, m.h})) >= 0;
    meshes++;
  }
  EXPECT_EQ(others, meshes);
}

// One query head for all; one KV head; as many KV heads as query heads.
TEST_P(RunEqualsNaive, ForEveryGrouping) {
  uint64_t seed = 100;
  for (const auto& [heads, kv_heads] : {std::pair{1, 1}, {4, 1}, {4, 4}, {5, 5}, {6, 2}})
    for (const mesh::Extent& m : {mesh::Extent{3, 4}, {4, 3}, {7, 2}}) {
      MeshCase c = make_case(tiny_config(heads, kv_heads, 4, 10, 7, 9, 1), GetParam(), {.mesh = m, .own_head = true}, {.mesh = m}, 3, 7, 2);
      c.seed = ++seed;
      expect_equal(c);
    }
}

TEST_P(RunEqualsNaive, ForEveryWeightType) {
  uint64_t seed = 200;
  for (TensorType t : {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::q8_0, TensorType::q4_0})
    for (const mesh::Extent& m : {mesh::Extent{3, 5}, {5, 3}, {4, 4}}) {
      MeshCase c = make_case(tiny_config(4, 2, 16, 64, 96, 33, 2), GetParam(), {.mesh = m}, {.mesh = m, .regions = 2}, 5, 6, 2);
      c.types = c.odd_types = uniform_types(t);
      c.seed = ++seed;
      expect_equal(c);
    }
}

// The cache grows from nothing, past twice the number of rows.
TEST_P(RunEqualsNaive, WhereDecodeFillsTheCache) {
  uint64_t seed = 300;
  for (const mesh::Extent& m : {mesh::Extent{2, 1}, {1, 3}, {3, 4}, {2, 7}}) {
    MeshCase c = make_case(tiny_config(4, 2, 4, 9, 5, 9, 2), GetParam(), {.mesh = m}, {.mesh = m}, 1, 16, 0);
    c.seed = ++seed;
    SCOPED_TRACE(describe(c));
    const BuiltCase b = build(c);
    Pair pair(b, NaiveExecutor::Start::decode);
    for (int64_t at = 0; at < c.prompt; at++) {
      // The mesh feeds itself with its own choice: the first token is the one that a fresh machine starts from.
      const int32_t token = at == 0 ? 0 : pair.naive.chosen();
      pair.run("decode", decode_params(c, at), std::span(&token, 1));
    }
  }
}

// More positions, outputs and rows than run() takes at a time.
TEST_P(RunEqualsNaive, PastTheBlocksOfTheHost) {
  MeshCase c = make_case(tiny_config(2, 1, 4, 6, 5, 301, 1), GetParam(), {.mesh = {3, 2}}, {.mesh = {2, 3}}, 120, 270, 2);
  c.plan.keep_scores = false;
  expect_equal(c);
}

INSTANTIATE_TEST_SUITE_P(Numerics, RunEqualsNaive, testing::Values(Numerics::fp32, Numerics::mixed, Numerics::fp16), [](const auto& test) {
  return test.param == Numerics::fp32 ? "fp32" : test.param == Numerics::mixed ? "mixed" : "fp16";
});

}  // namespace
}  // namespace wafer
