// The vector functions against double over all floats, and the operations that they are charged with.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/scalar_math.h"
#include "base/vector_ops.h"

namespace wafer {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMin = std::numeric_limits<float>::min(), kDenorm = std::numeric_limits<float>::denorm_min();

// Calls f(x) for floats of all exponents between lo and hi, of both signs: every 499th pattern of bits.
template <class F>
void for_floats(float lo, float hi, F f) {
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 499) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (x >= lo && x <= hi) f(x);
  }
}

double relative(float got, double exact) { return std::fabs(static_cast<double>(got) / exact - 1); }

TEST(VectorFunctions, Exp2OverTheWholeRange) {
  double worst = 0, worst_below = 0;
  const auto see = [&](float y) {
    const double exact = std::exp2(static_cast<double>(y));
    if (exact >= static_cast<double>(kMin))
      worst = std::max(worst, relative(exp2_f32(y), exact));
    else  // in units of the smallest subnormal
      worst_below = std::max(worst_below, std::fabs(static_cast<double>(exp2_f32(y)) - exact) / static_cast<double>(kDenorm));
  };
  for_floats(-kInf, 127.99f, see);
  for (float y = -152; y < 127.99f; y += 0.00013f) see(y);
  EXPECT_LE(worst, 4e-7);
  EXPECT_LE(worst_below, 2.5);  // where the relative error is 4e-7, of 2^23 units at most, and a rounding
}

TEST(VectorFunctions, Exp2AtTheEnds) {
  for (int n = -149; n < 128; n++) EXPECT_EQ(exp2_f32(static_cast<float>(n)), std::ldexp(1.0f, n)) << n;
  EXPECT_EQ(exp2_f32(-0.0f), 1.0f);
  EXPECT_EQ(exp2_f32(-149.4f), kDenorm);
  EXPECT_GT(exp2_f32(-130.5f), 0.0f);  // subnormal, kept
  for (const float y : {-150.5f, -151.0f, -1000.0f, -1e9f, -3e38f, -kInf}) EXPECT_EQ(exp2_f32(y), 0.0f) << y;
  for (const float y : {128.0f, 129.5f, 255.0f, 256.0f, 300.0f, 32767.0f}) EXPECT_EQ(exp2_f32(y), kInf) << y;
  EXPECT_TRUE(std::isfinite(exp2_f32(127.99f)));
  EXPECT_TRUE(std::isnan(exp2_f32(kNan)));
}

// A softmax's weights: those of larger scores are no smaller, but for the last bits where two pieces of the polynomial meet.
TEST(VectorFunctions, Exp2HardlyFalls) {
  float before = 0;
  for (float y = -151; y < 127; y += 0.0011f) {
    const float now = exp2_f32(y);
    EXPECT_GE(now, before) << y;
    before = now;
  }
}

TEST(VectorFunctions, ReciprocalOverItsRange) {
  double worst = 0;
  for_floats(-0x1p125f, 0x1p125f, [&](float d) {
    if (std::fabs(d) >= kMin) worst = std::max(worst, relative(reciprocal_f32(d), 1 / static_cast<double>(d)));
  });
  EXPECT_LE(worst, 2e-7);
  EXPECT_EQ(reciprocal_f32(1.0f), 1.0f);
  EXPECT_TRUE(std::isfinite(reciprocal_f32(kMin)));
  EXPECT_TRUE(std::isnan(reciprocal_f32(kNan)));
  for (const float d : {0.0f, -0.0f, kInf, -kInf}) EXPECT_FALSE(std::isfinite(reciprocal_f32(d))) << d;
}

TEST(VectorFunctions, SiluOverTheWholeRange) {
  double worst = 0, worst_below = 0;
  const auto see = [&](float g) {
    const double x = static_cast<double>(g), exact = x / (1 + std::exp(-x)), error = std::fabs(static_cast<double>(silu_f32(g)) - exact);
    if (std::fabs(exact) < static_cast<double>(kMin))
      worst_below = std::max(worst_below, error);
    else if (g >= -86.5f)
      worst = std::max(worst, error / std::fabs(exact));
    else
      worst_below = std::max(worst_below, error);
  };
  for_floats(-std::numeric_limits<float>::max(), std::numeric_limits<float>::max(), see);
  for (float g = -90; g < 90; g += 0.00017f) see(g);
  EXPECT_LE(worst, 1e-6);
  EXPECT_LE(worst_below, 2.5e-36);
}

TEST(VectorFunctions, SiluAtTheEnds) {
  EXPECT_EQ(silu_f32(0.0f), 0.0f);
  EXPECT_TRUE(std::signbit(silu_f32(-0.0f)));
  EXPECT_EQ(silu_f32(kInf), kInf);
  EXPECT_EQ(silu_f32(3e38f), 3e38f);
  EXPECT_EQ(silu_f32(kDenorm * 100), kDenorm * 50);
  EXPECT_EQ(silu_f32(-kInf), silu_f32(-86.5f));
  EXPECT_TRUE(std::isnan(silu_f32(kNan)));
}

// What a core is charged, by hand; docs/cost-model.md has the same.
TEST(VectorFunctions, ConsistOfTheseOperations) {
  constexpr VectorOps exp2 = exp2_ops(), reciprocal = reciprocal_ops(), silu = silu_ops();
  EXPECT_EQ(exp2.all(), 13);
  EXPECT_EQ(reciprocal.all(), 11);
  EXPECT_EQ(silu.all(), 29);
  const auto units = [](const VectorOps& ops) {
    std::array<int, kOpUnits> n{};
    for (size_t unit = 0; unit < kOpUnits; unit++) n[unit] = ops.count[unit][0] + ops.count[unit][1] + ops.count[unit][2];
    return n;
  };
  // multiply_add, add, multiply, max, scale, integer_16, move_16
  EXPECT_EQ(units(exp2), (std::array{3, 5, 3, 1, 1, 0, 0}));
  EXPECT_EQ(units(reciprocal), (std::array{0, 3, 6, 0, 0, 1, 1}));
  EXPECT_EQ(units(silu), (std::array{6, 8, 10, 2, 1, 1, 1}));
  EXPECT_EQ(exp2.of(OpUnit::multiply_add, 1), 3) << "by a number, to a number";
  EXPECT_EQ(silu.of(OpUnit::multiply_add, 2), 2) << "by a number, to a vector";
  EXPECT_EQ(reciprocal.of(OpUnit::multiply, 2), 6);
}

}  // namespace
}  // namespace wafer
