// MeshGEMM against the vendor's simulator of the WSE-3 (csl MeshGEMM of the authors, fp16, K = N = 8 P): cycles by tokens of a tile and by
// how often a step computes its product (0: only moves tiles). Source: junesookang/WaferLLM, MeshGEMM/WSE-3-col-major/col-major-gemm.json.
#include <gtest/gtest.h>

#include <cmath>

#include "device/device.h"
#include "time/product_steps.h"

namespace wafer::time {
namespace {

struct MeasuredGemm {
  int side;
  int64_t tile_rows;
  double cycles[3];  // by products a step
};
constexpr MeasuredGemm kMeasured[] = {
    {3, 1, {524.0, 2095.8, 3716.0}},    {3, 2, {530.4, 2104.8, 3724.2}},    {3, 3, {544.5, 2129.0, 3794.4}},
    {3, 4, {557.1, 2148.7, 3813.7}},    {3, 5, {568.3, 2166.7, 3831.7}},    {3, 6, {581.1, 2184.1, 3849.7}},
    {3, 7, {602.4, 2202.0, 3867.0}},    {3, 8, {619.9, 2211.7, 3831.7}},    {3, 9, {641.4, 2560.5, 4544.5}},
    {3, 10, {661.8, 2543.6, 4487.6}},   {3, 11, {682.9, 2679.8, 4736.4}},   {3, 12, {707.7, 2631.1, 4615.4}},
    {3, 13, {736.0, 2743.6, 4820.0}},   {3, 14, {762.5, 2759.8, 4829.0}},   {3, 15, {790.7, 2941.9, 5173.9}},
    {3, 16, {813.6, 2801.4, 4823.9}},   {9, 1, {1465.2, 6173.2, 11034.3}},  {9, 2, {1499.4, 6201.6, 11062.5}},
    {9, 3, {1545.4, 6282.2, 11277.9}},  {9, 4, {1580.5, 6334.2, 11329.7}},  {9, 5, {1629.6, 6404.9, 11399.9}},
    {9, 6, {1675.6, 6459.4, 11454.2}},  {9, 7, {1739.4, 6520.2, 11515.1}},  {9, 8, {1798.2, 6558.6, 11418.6}},
    {9, 9, {1877.4, 7601.3, 13548.2}},  {9, 10, {1939.3, 7558.8, 13390.8}}, {9, 11, {2006.1, 7972.8, 14144.4}},
    {9, 12, {2084.1, 7830.5, 13788.5}}, {9, 13, {2172.9, 8176.3, 14404.3}}, {9, 14, {2259.1, 8225.7, 14438.4}},
    {9, 15, {2354.0, 8790.7, 15497.6}}, {9, 16, {2452.2, 8362.7, 14438.6}}};

// 3x3, one row a tile, without the exchange (prev_sim_res.json).
constexpr MeasuredGemm kWithoutExchange = {3, 1, {215.0, 1846.0, 3469.0}};

double cycles(const Device& d, int side, int64_t tile_rows, int64_t products, bool exchange = true) {
  const std::vector<int64_t> rows(static_cast<size_t>(side), tile_rows), eight(static_cast<size_t>(side), 8);
  ProductSteps p = gemm_setup({side, side}, d, Numerics::fp16,
                              {.columns = {0, side}, .rows = rows, .k = eight, .n = eight, .a = mesh::Dtype::f16, .b = mesh::Dtype::f16});
  if (!exchange) {  // no transfer is issued, and of the tasks at the end of a step the one that a transfer starts is not there
    p.issue = p.latency = p.steal = 0;
    p.a.bits = p.b.bits = 0;
    p.finish = 3 * d.task_activation_cycles;
  }
  for (TileRate& rate : p.rate) rate = {.per_k = products * rate.per_k, .per_kn = products * rate.per_kn};
  AlignLine line{.hops = {},
                 .issue = static_cast<uint32_t>(2 * stream_issue_cycles(d)),
                 .finish = static_cast<uint32_t>(d.task_activation_cycles),
                 .latency = static_cast<uint32_t>(2 * d.ramp_cycles)};
  for (int64_t h : p.x_hops) line.hops.push_back(static_cast<uint32_t>(h));
  std::vector<uint32_t> one(static_cast<size_t>(side) + 1, 0), scratch;
  // The kernel shifts every row as often as the row that has farthest to go.
  align_line(line, one, scratch, static_cast<uint32_t>(wavelets(d, mesh::Dtype::f16, tile_rows * 8)), side / 2);
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
  const auto add = [&](double ours, double measured) {
    const double error = ours / measured - 1;
    sum += std::abs(error);
    worst = std::max(worst, std::abs(error));
    count++;
  };
  for (const MeasuredGemm& m : kMeasured)
    for (int products = 0; products < 3; products++) add(cycles(d, m.side, m.tile_rows, products), m.cycles[products]);
  for (int products = 0; products < 3; products++)
    add(cycles(d, kWithoutExchange.side, kWithoutExchange.tile_rows, products, false), kWithoutExchange.cycles[products]);
  EXPECT_EQ(count, 99);
  EXPECT_LE(sum / count, 0.06);
  EXPECT_LE(worst, 0.17);  // tiles of 15 rows
}

}  // namespace
}  // namespace wafer::time
