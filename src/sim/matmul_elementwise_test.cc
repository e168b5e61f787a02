#include "sim/matmul_elementwise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/half.h"
#include "base/isa.h"
#include "base/scalar_math.h"

namespace wafer::sim {
namespace {

// Bit patterns over the whole range of floats, and the places where the functions change.
std::vector<float> many_floats() {
  std::vector<float> values;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 16411) values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (float x = -110; x < 95; x += 0.00731f) values.push_back(x);
  for (float edge : {-104.0f, 88.72284f, 65504.0f, 65520.0f, 0x1p-14f, 0x1p-24f, 0x1p-25f, 0.0f}) {
    for (float x : {edge, -edge, std::nextafter(edge, 1e9f), std::nextafter(edge, -1e9f)}) values.push_back(x);
  }
  values.push_back(std::numeric_limits<float>::infinity());
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  return values;
}

bool same(float a, float b) { return (a != a && b != b) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

TEST(Elementwise, EqualsTheScalarFunctions) {
  const std::vector<float> from = many_floats();
  const int64_t count = static_cast<int64_t>(from.size());
  std::vector<float> want_exp(count), want_half(count);
  int64_t want_overflows = 0;
  for (int64_t i = 0; i < count; i++) {
    want_exp[i] = wafer::exp_f32(from[i]);
    want_half[i] = wafer::round_f16(from[i]);
    want_overflows += std::isfinite(from[i]) && std::isinf(want_half[i]);
  }
  const Isa before = current_isa();
  for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (!isa_available(isa)) continue;
    force_isa(isa);
    std::vector<float> to(count);
    exp_array(from.data(), to.data(), count);
    for (int64_t i = 0; i < count; i++) ASSERT_TRUE(same(to[i], want_exp[i])) << isa_name(isa) << " exp " << from[i];
    EXPECT_EQ(round_f16_array(from.data(), to.data(), count), want_overflows);
    for (int64_t i = 0; i < count; i++) ASSERT_TRUE(same(to[i], want_half[i])) << isa_name(isa) << " half " << from[i];
  }
  force_isa(before);
}

}  // namespace
}  // namespace wafer::sim
