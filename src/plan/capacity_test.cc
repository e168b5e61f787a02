// The cache that fits, counted by hand on a few cores.
#include "plan/capacity.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace wafer {
namespace {

using namespace mesh;

ModelConfig shape() {
  return {.name = "shape",
          .architecture = "llama",
          .layers = 2,
          .dim = 32,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 8,
          .ffn = 64,
          .vocab = 64,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

// Bytes of the fullest core of decode with n positions on the rows: everything else does not depend on n.
int64_t bytes_with(const ModelConfig& c, const Device& d, Extent e, int64_t context) {
  Plan plan = empty_plan({.context = context, .max_prompt = 1});
  plan.decode.regions = {{.rect = {0, 0, e.w, e.h}, .first_layer = 0, .layers = static_cast<int>(c.layers), .head = true}};
  return fullest(phase_bytes(place(c, uniform_types(TensorType::f16), plan, limits_of(d).mesh).program, d.code_and_system_bytes))
      .fullest.total();
}

TEST(KvCapacity, ByHandOnFourColumnsAndThreeRows) {
  Device d = load_device("tiny");
  d.mesh_width = 4;  // one region of 4 x 3 has all the room
  d.mesh_height = 3;
  const ModelConfig c = shape();
  const Extent e{4, 3};
  // Two KV heads on four columns: two columns a head, two pairs each, so 4 dims of K and 4 of V in f16 on a core, in 2 layers: 32 bytes a
  // position. On the way from prefill one layer's K and V are staged beside them: 16. (In decode itself the scores of 2 query heads in
  // f32 and their weights in f16 are there instead: 12.)
  const int64_t each = 32 + 16, rows = 3;
  const int64_t empty = bytes_with(c, d, e, rows) - each;  // one position on each row
  EXPECT_EQ(bytes_with(c, d, e, 10 * rows), empty + 10 * each);
  const int64_t in_a_row = (d.sram_bytes_per_core - empty) / each;
  const KvCapacity k = kv_capacity(c, uniform_types(TensorType::f16), d, {.context = 64}, e);
  EXPECT_EQ(k.shift, in_a_row * rows);
  EXPECT_EQ(k.concat, in_a_row);
  EXPECT_EQ(k.regions, 1);
  EXPECT_EQ(k.layers_per_region, 2);
  EXPECT_EQ(k.position_bytes, 2 * 16 * 2 * 2);
}

TEST(KvCapacity, AllExpertsTakeRoom) {
  const Device d = load_device("tiny");
  ModelConfig c = shape();
  const KvCapacity dense = kv_capacity(c, uniform_types(TensorType::f16), d, {.context = 64}, {16, 12});
  c.experts = 4;
  c.experts_used = 1;
  const KvCapacity mixture = kv_capacity(c, uniform_types(TensorType::f16), d, {.context = 64}, {16, 12});
  EXPECT_LT(mixture.shift, dense.shift);
}

TEST(KvCapacity, AnotherRegionHoldsMore) {
  const Device d = load_device("tiny");
  const WeightTypes types = uniform_types(TensorType::f16);
  const KvCapacity one = kv_capacity(shape(), types, d, {.context = 64}, {16, 12});
  const KvCapacity four = kv_capacity(shape(), types, d, {.context = 64}, {8, 6});
  EXPECT_EQ(one.regions, 1);
  EXPECT_EQ(four.regions, 2);  // and the head in one more
  EXPECT_GT(four.concat, 0);
  EXPECT_GT(one.shift / one.concat, four.shift / four.concat);  // 12 rows against 6
}

TEST(KvCapacity, NothingFits) {
  ModelConfig c = shape();
  c.dim = 4096;
  c.ffn = 16384;
  const KvCapacity k = kv_capacity(c, uniform_types(TensorType::f16), load_device("tiny"), {.context = 64}, {16, 12});
  EXPECT_EQ(k.shift, 0);
  EXPECT_EQ(k.concat, 0);
}

TEST(Groups, ThatMakeNoSenseAreRefused) {
  const Device d = load_device("tiny");
  const WeightTypes types = uniform_types(TensorType::f16);
  const auto plan = [&](std::vector<int> groups) {
    return make_plan(shape(), types, d, {.context = 64, .decode_mesh = Extent{8, 6}, .groups = groups});
  };
  EXPECT_EQ(plan({4, 2}).plan.groups, (std::vector<int>{4, 2}));
  EXPECT_EQ(plan({8}).plan.groups, std::vector<int>{8});
  for (const std::vector<int>& bad : {std::vector<int>{0}, {-1}, {9}, {2, 2}, {2, 4}}) EXPECT_THROW(plan(bad), Error);
}

}  // namespace
}  // namespace wafer
