// The planner's own meshes where squares do not do: narrow devices. And what it says where nothing does.
#include "plan/planner.h"

#include <gtest/gtest.h>

namespace wafer {
namespace {

using namespace mesh;

ModelConfig shape(int64_t layers) {
  return {.name = "shape",
          .architecture = "llama",
          .layers = layers,
          .dim = 192,
          .heads = 6,
          .kv_heads = 3,
          .head_dim = 32,
          .ffn = 512,
          .vocab = 1000,
          .context = 128,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Device narrow(int w, int h) {
  Device d = load_device("tiny");
  d.mesh_width = w;
  d.mesh_height = h;
  return d;
}

PlanResult plan_on(const Device& d, int64_t layers, std::optional<Extent> mesh = std::nullopt) {
  return make_plan(shape(layers), uniform_types(TensorType::f16), d, {.context = 128, .prefill_mesh = mesh, .decode_mesh = mesh});
}

TEST(Planner, ANarrowDeviceGetsARectangle) {
  for (const auto& [w, h] : {std::pair(3, 200), std::pair(200, 3), std::pair(2, 400), std::pair(5, 120), std::pair(1, 500)}) {
    const Device d = narrow(w, h);
    const PlanResult r = plan_on(d, 6);
    ASSERT_FALSE(r.whole) << w << "x" << h << ": " << r.reason;
    EXPECT_TRUE(r.fits);
    for (const PhasePlan* phase : {&r.plan.prefill, &r.plan.decode})
      for (const PlacedRegion& region : phase->regions) {
        EXPECT_GE(region.rect.x, 0);
        EXPECT_LE(region.rect.x + region.rect.w, w);
        EXPECT_LE(region.rect.y + region.rect.h, h);
        EXPECT_EQ(std::min(region.rect.w, region.rect.h), std::min(w, h)) << "as near to a square as it can be";
      }
    if (r.plan.prefill.regions.size() > 1) continue;
    // The next smaller one does not hold both phases and the way between them.
    Extent e = extent(r.plan.prefill.regions.front().rect);
    (e.w > e.h ? e.w : e.h)--;
    const PlanResult less = plan_on(d, 6, e);
    const bool single = less.plan.prefill.regions.size() == 1 && less.plan.decode.regions.size() == 1;
    EXPECT_FALSE(less.fits && single) << e.w << "x" << e.h;
  }
}

TEST(Planner, SquaresComeFirst) {
  const PlanResult r = plan_on(narrow(40, 200), 6);
  ASSERT_TRUE(r.fits) << r.reason;
  EXPECT_EQ(r.plan.decode.regions.front().rect.w, r.plan.decode.regions.front().rect.h);
}

// A chip of little memory and many layers: one region, whose cores would need the staging of all layers, is too small.
TEST(Planner, SeveralRectanglesWhereOneDoesNotHoldAll) {
  int several = 0;
  for (const auto& [w, h] : {std::pair(3, 400), std::pair(400, 3), std::pair(7, 120), std::pair(120, 7), std::pair(2, 600)})
    for (int64_t layers = 3; layers <= 40; layers += 6) {
      const PlanResult r = plan_on(narrow(w, h), layers);
      if (!r.fits) {
        EXPECT_NE(r.reason.find("--mesh"), std::string::npos) << r.reason;
        continue;
      }
      const std::vector<PlacedRegion>& regions = r.plan.decode.regions;
      several += regions.size() > 1 && regions.front().rect.w != regions.front().rect.h ? 1 : 0;
      int64_t held = 0;
      for (const PlacedRegion& region : regions) held += region.layers;
      EXPECT_EQ(held, layers);
    }
  EXPECT_GT(several, 0);
}

TEST(Planner, ARefusalNamesTheWayToForceASizeAndShowsThreeDigits) {
  const PlanResult r = plan_on(narrow(1, 1), 6);
  ASSERT_TRUE(r.whole);
  EXPECT_NE(r.reason.find("--mesh WxH forces a size"), std::string::npos) << r.reason;
  EXPECT_NE(r.reason.find("40.62 KB"), std::string::npos) << r.reason;
  EXPECT_EQ(r.reason.find(" 0.0"), std::string::npos) << r.reason;
}

TEST(SizeText, ShowsAtLeastThreeDigits) {
  for (const auto& [bytes, text] : {std::pair<int64_t, const char*>{0, "0 bytes"},
                                    {7, "7 bytes"},
                                    {999, "999 bytes"},
                                    {1000, "1.00 KB"},
                                    {40624, "40.62 KB"},
                                    {2'450'000, "2.45 MB"},
                                    {30'285'192'000, "30.29 GB"},
                                    {145'410'000'000, "145.41 GB"}})
    EXPECT_EQ(size_text(bytes), text);
}

// Meshes of the two phases that differ: layers are dealt alike and every layer stays at its corner, as does the head. Where there is no
// room for that, each phase is as it would be alone.
TEST(Planner, PhasesOnDifferentMeshesLieOnOneGrid) {
  const Device d = load_device("wse2");
  const ModelConfig model = load_shape(WAFER_SOURCE_DIR "/models/llama3-8b.toml");
  const WeightTypes types = uniform_types(TensorType::q4_0);
  for (const auto& [a, b] : {std::pair(Extent{100, 90}, Extent{100, 91}), std::pair(Extent{230, 191}, Extent{230, 192}),
                             std::pair(Extent{90, 110}, Extent{120, 70}), std::pair(Extent{300, 200}, Extent{150, 160})}) {
    const PlanResult r = make_plan(model, types, d, {.context = 64, .prefill_mesh = a, .decode_mesh = b});
    const std::vector<PlacedRegion>&prefill = r.plan.prefill.regions, &decode = r.plan.decode.regions;
    ASSERT_EQ(prefill.size(), decode.size()) << r.reason;
    for (size_t i = 0; i < prefill.size(); i++) {
      EXPECT_EQ(prefill[i].first_layer, decode[i].first_layer);
      EXPECT_EQ(prefill[i].layers, decode[i].layers);
      EXPECT_EQ(std::pair(prefill[i].rect.x, prefill[i].rect.y), std::pair(decode[i].rect.x, decode[i].rect.y));
      EXPECT_EQ(extent(prefill[i].rect), prefill[i].head ? b : a);
      EXPECT_EQ(extent(decode[i].rect), b);
    }
  }
  const PlanResult r = make_plan(model, types, d, {.context = 64, .prefill_mesh = Extent{700, 700}, .decode_mesh = Extent{230, 191}});
  EXPECT_EQ(r.plan.prefill.regions.size(), 1u) << "no room for another";
  EXPECT_GT(r.plan.decode.regions.size(), 1u);
}

}  // namespace
}  // namespace wafer
