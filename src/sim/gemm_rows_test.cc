// MeshGEMM against the vendor's simulator of the WSE-3 (csl MeshGEMM of the authors, fp16, K = N = 8 P): cycles by tokens of a tile and by
// how often a step computes its product (0: only moves tiles). Source: junesookang/WaferLLM, MeshGEMM/WSE-3-col-major/col-major-gemm.json.
#include <gtest/gtest.h>

#include <cmath>

#include "device/device.h"
#include "sim/product_steps.h"

namespace wafer::sim {
namespace {

struct MeasuredGemm {
  int side;
  int64_t tile_rows;
  double cycles[3];  // by products a step
};
constexpr MeasuredGemm kMeasured[] = {
    {3, 1, {524.0, 2095.8, 3716.0}},   {3, 2, {530.4, 2104.8, 3724.2}},    {3, 4, {557.1, 2148.7, 3813.7}},
    {3, 7, {602.4, 2202.0, 3867.0}},   {3, 8, {619.9, 2211.7, 3831.7}},    {3, 9, {641.4, 2560.5, 4544.5}},
    {3, 12, {707.7, 2631.1, 4615.4}},  {3, 16, {813.6, 2801.4, 4823.9}},   {9, 1, {1465.2, 6173.2, 11034.3}},
    {9, 2, {1499.4, 6201.6, 11062.5}}, {9, 4, {1580.5, 6334.2, 11329.7}},  {9, 8, {1798.2, 6558.6, 11418.6}},
    {9, 9, {1877.4, 7601.3, 13548.2}}, {9, 11, {2006.1, 7972.8, 14144.4}}, {9, 13, {2172.9, 8176.3, 14404.3}},
    {9, 16, {2452.2, 8362.7, 14438.6}}};

double cycles(const Device& d, int side, int64_t tile_rows, int64_t products) {
  const std::vector<int64_t> rows(static_cast<size_t>(side), tile_rows), eight(static_cast<size_t>(side), 8);
  ProductSteps p = gemm_setup({.w = side, .h = side, .t = {}}, d, Numerics::fp16,
                              {.columns = {0, side}, .rows = rows, .k = eight, .n = eight, .a = mesh::Dtype::f16, .b = mesh::Dtype::f16});
  for (TileRate& rate : p.rate) rate = {.per_k = products * rate.per_k, .per_kn = products * rate.per_kn};
  AlignLine line{.hops = {},
                 .issue = static_cast<uint32_t>(p.issue / 2),
                 .finish = static_cast<uint32_t>(d.task_activation_cycles),
                 .latency = static_cast<uint32_t>(p.latency)};
  for (int64_t h : p.x_hops) line.hops.push_back(static_cast<uint32_t>(h));
  std::vector<uint32_t> one(static_cast<size_t>(side) + 1, 0), scratch;
  // The kernel shifts every row as often as the row that has farthest to go.
  align_line(line, one, scratch, static_cast<uint32_t>(p.a.wavelets(tile_rows * 8)), side / 2);
  std::vector<uint32_t> t;
  for (int y = 0; y < side; y++) t.insert(t.end(), one.begin(), one.end() - 1);
  gemm_steps(p, t, 0, side);
  double sum = 0;
  for (uint32_t v : t) sum += v;
  return sum / static_cast<double>(t.size());
}

TEST(GemmRows, WithinTenPercentOfTheWse3SimulatorOnTheMean) {
  const Device d = load_device("wse3");
  double sum = 0, worst = 0;
  int count = 0;
  for (const MeasuredGemm& m : kMeasured)
    for (int products = 0; products < 3; products++) {
      const double error = cycles(d, m.side, m.tile_rows, products) / m.cycles[products] - 1;
      sum += std::abs(error);
      worst = std::max(worst, std::abs(error));
      count++;
    }
  EXPECT_LE(sum / count, 0.10);
  EXPECT_LE(worst, 0.15);
}

}  // namespace
}  // namespace wafer::sim
