// The naive executor against the clean transformer: the mesh program computes the model, whatever the mesh, and no core reads what it
// does not hold.
#include "support/naive_executor.h"

#include <gtest/gtest.h>

#include "mesh/verify.h"
#include "model/reference.h"
#include "support/mesh_case.h"
#include "support/oracle.h"

namespace wafer {
namespace {

// Distances from the reference, which computes in double with the checkpoint's own weights. fp16: 11 bits in every sum.
double bound(Numerics n) { return n == Numerics::fp32 ? 1e-5 : n == Numerics::mixed ? 2e-3 : 2e-2; }

std::vector<float> joined(const std::vector<std::vector<float>>& rows) {
  std::vector<float> all;
  for (const auto& r : rows) all.insert(all.end(), r.begin(), r.end());
  return all;
}

// Prompt, transition, decode: the logits after every token.
std::vector<std::vector<float>> logits_of_mesh(const BuiltCase& b) {
  const MeshCase& c = b.what;
  NaiveExecutor mesh(b.lowered, b.model);
  std::vector<std::vector<float>> out;
  for (mesh::Params p : prefill_chunks(c)) {
    mesh.run("prefill", p, tokens_of(b, p));
    for (p.row = 0; p.row < p.rows; p.row++) {
      mesh.run("row", p, {});
      out.push_back(mesh.logits());
    }
  }
  mesh.run("transition", transition_params(c), {});
  for (int64_t at = c.prompt; at < c.prompt + c.decode; at++) {
    mesh.run("decode", decode_params(c, at), tokens_of(b, decode_params(c, at)));
    out.push_back(mesh.logits());
    const std::vector<float>& l = out.back();
    EXPECT_EQ(mesh.chosen(), std::max_element(l.begin(), l.end()) - l.begin());
  }
  return out;
}

std::vector<std::vector<float>> logits_of_reference(const BuiltCase& b) {
  Reference reference{.model = b.model};
  std::vector<std::vector<float>> out;
  for (int32_t token : b.tokens) out.push_back(step(reference, token));
  return out;
}

class NaiveExecutorIs : public testing::TestWithParam<Numerics> {};

TEST_P(NaiveExecutorIs, TheModelOnRandomMeshes) {
  for (uint64_t seed = 0; seed < 40; seed++) {
    const MeshCase c = random_case(seed, GetParam(), 7);
    SCOPED_TRACE(describe(c));
    try {
      const BuiltCase b = build(c);
      for (const auto& d :
           mesh::verify(b.lowered.program(), {.mesh = b.lowered.program().mesh, .sram_bytes = 1 << 20, .code_bytes = 0, .colours = 21}))
        ADD_FAILURE() << d.where << ": " << d.text;
      EXPECT_LT(rel_rms(joined(logits_of_mesh(b)), joined(logits_of_reference(b))), bound(GetParam()));
    } catch (const std::logic_error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

// A cache that prefill filled and the transition moved, and one that decode filled token by token: the same up to the order of sums.
TEST_P(NaiveExecutorIs, TheSameByPrefillAndByDecode) {
  for (uint64_t seed = 100; seed < 112; seed++) {
    const MeshCase c = random_case(seed, GetParam(), 5);
    SCOPED_TRACE(describe(c));
    const BuiltCase b = build(c);
    NaiveExecutor by_prefill(b.lowered, b.model), by_decode(b.lowered, b.model, NaiveExecutor::Start::decode);
    for (const mesh::Params& p : prefill_chunks(c)) by_prefill.run("prefill", p, tokens_of(b, p));
    mesh::Params last = prefill_chunks(c).back();
    last.row = last.rows - 1;
    by_prefill.run("row", last, {});
    const std::vector<float> logits = by_prefill.logits();
    by_prefill.run("transition", transition_params(c), {});
    for (int64_t at = 0; at < c.prompt; at++) by_decode.run("decode", decode_params(c, at), tokens_of(b, decode_params(c, at)));
    for (const char* cache : {"k_cache", "v_cache"})
      for (int layer = 0; layer < c.model.layers; layer++)
        EXPECT_LT(rel_rms(by_prefill.gather(cache, layer, transition_params(c)), by_decode.gather(cache, layer, transition_params(c))),
                  bound(GetParam()))
            << cache << layer;
    EXPECT_LT(rel_rms(logits, by_decode.logits()), 2 * bound(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Numerics, NaiveExecutorIs, testing::Values(Numerics::fp32, Numerics::mixed, Numerics::fp16), [](const auto& test) {
  return test.param == Numerics::fp32 ? "fp32" : test.param == Numerics::mixed ? "mixed" : "fp16";
});

}  // namespace
}  // namespace wafer
