// The scalar functions against double and against exact arithmetic, over their whole ranges.
#include "base/scalar_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace wafer {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kTau = 6.283185307179586476925286766559;

// The distance of `got` from `exact` in units in the last place of a float near `exact` (subnormals: 2^-149).
double ulps(float got, double exact) {
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::fabs(static_cast<double>(got) - exact) / std::ldexp(1.0, exponent - 23);
}

TEST(ScalarMath, ExpIsWithinTwoUlpOverTheWholeRange) {
  double worst = 0;
  // Every 997th float of each sign, from the smallest subnormal to where the result leaves the range.
  for (const float limit : {-104.0f, 88.72284f}) {
    const uint32_t last = std::bit_cast<uint32_t>(limit);
    for (uint32_t bits = last & 0x80000000u; bits <= last; bits += 997) {
      const float x = std::bit_cast<float>(bits);
      if (x <= -103.97f) continue;  // below half the smallest subnormal
      worst = std::max(worst, ulps(exp_f32(x), std::exp(static_cast<double>(x))));
    }
  }
  EXPECT_LT(worst, 2.0);
}

TEST(ScalarMath, ExpAtTheEnds) {
  EXPECT_EQ(exp_f32(0), 1.0f);
  EXPECT_EQ(exp_f32(-0.0f), 1.0f);
  EXPECT_EQ(exp_f32(-kInf), 0.0f);
  EXPECT_EQ(exp_f32(-1000), 0.0f);
  EXPECT_EQ(exp_f32(-104), 0.0f);
  EXPECT_EQ(exp_f32(kInf), kInf);
  EXPECT_EQ(exp_f32(88.73f), kInf);
  EXPECT_TRUE(std::isfinite(exp_f32(88.72283f)));
  EXPECT_TRUE(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(exp_f32(-103.5f), std::numeric_limits<float>::denorm_min());
  EXPECT_GT(exp_f32(-90), 0.0f);  // subnormal, kept
  EXPECT_LT(exp_f32(-90), std::numeric_limits<float>::min());
}

TEST(ScalarMath, ExpNeverFalls) {
  float before = 0;
  for (float x = -105; x < 89; x += 0.00037f) {
    const float y = exp_f32(x);
    EXPECT_GE(y, before) << x;
    before = y;
  }
}

TEST(ScalarMath, RsqrtIsWithinOneAndAHalfUlp) {
  Rng rng(3);
  for (int i = 0; i < 200000; i++) {
    // Any normal positive float whose results are normal too.
    const float x = std::bit_cast<float>(static_cast<uint32_t>(0x01000000u + next_below(rng, 0x7e000000u - 0x01000000u)));
    EXPECT_LE(ulps(rsqrt_f32(x), 1 / std::sqrt(static_cast<double>(x))), 1.5);
  }
}

// The angle in long double, where n * turns has error below 2^-40 turns even for n = 2^24.
void expect_sincos(float n, double turns) {
  const float hi = static_cast<float>(turns), lo = static_cast<float>(turns - static_cast<double>(hi));
  const long double exact = static_cast<long double>(n) * static_cast<long double>(turns);
  const double fraction = static_cast<double>(exact - std::floor(exact));
  const SinCos got = sincos_turns(n, hi, lo);
  EXPECT_NEAR(got.sin, std::sin(kTau * fraction), 1e-6) << n << " * " << turns;
  EXPECT_NEAR(got.cos, std::cos(kTau * fraction), 1e-6) << n << " * " << turns;
}

TEST(ScalarMath, SinCosOfRopeAngles) {
  for (double base : {1e4, 5e5, 1e6})
    for (int pair = 0; pair < 64; pair++) {
      const double turns = std::pow(base, -pair / 64.0) / kTau;
      for (float n : {0.0f, 1.0f, 2.0f, 3.0f, 1000.0f, 4095.0f, 32767.0f, 131071.0f, 1048575.0f, 16777215.0f}) expect_sincos(n, turns);
    }
}

TEST(ScalarMath, SinCosOfRandomAngles) {
  Rng rng(4);
  for (int i = 0; i < 200000; i++) {
    const float n = static_cast<float>(next_below(rng, uint64_t{1} << (1 + next_below(rng, 24))));
    expect_sincos(n, next_double(rng) / kTau);
  }
}

TEST(ScalarMath, SinCosOfQuarterTurnsIsExact) {
  EXPECT_EQ(sincos_turns(0, 0.25f, 0).cos, 1.0f);
  EXPECT_EQ(sincos_turns(1, 0.25f, 0).sin, 1.0f);
  EXPECT_EQ(sincos_turns(2, 0.25f, 0).cos, -1.0f);
  EXPECT_EQ(sincos_turns(3, 0.25f, 0).sin, -1.0f);
  EXPECT_EQ(sincos_turns(4, 0.25f, 0).cos, 1.0f);
}

// a * b + c exactly, then one rounding to fp16. Every finite fp16 value is an integer times 2^-24 below 2^41, so the product
// is an integer times 2^-48 and everything fits 128 bits.
uint16_t exact_fma_f16(float a, float b, float c) {
  __extension__ using Wide = __int128;
  const Wide p = static_cast<Wide>(std::ldexp(a, 24)) * static_cast<Wide>(std::ldexp(b, 24));
  const Wide sum = p + static_cast<Wide>(std::ldexp(static_cast<double>(c), 24)) * (Wide{1} << 24);
  if (sum == 0) return f32_to_f16(a * b + c);  // the sign of zero: exact in fp32
  Wide magnitude = sum < 0 ? -sum : sum;
  const uint16_t sign = sum < 0 ? 0x8000 : 0;
  int top = 0;
  while ((magnitude >> top) > 1) top++;
  // A unit in the last place of the result, in units of 2^-48: 10 bits below the top one, at least 2^-24.
  const int unit = std::max(top - 10, 24);
  Wide q = magnitude >> unit;
  const Wide rest = magnitude - (q << unit), half = Wide{1} << (unit - 1);
  if (rest > half || (rest == half && (q & 1))) q++;
  const double value = std::ldexp(static_cast<double>(q), unit - 48);
  if (value > 65504) return static_cast<uint16_t>(sign | 0x7c00);
  return static_cast<uint16_t>(sign | f32_to_f16(static_cast<float>(value)));
}

void expect_fma(uint16_t a, uint16_t b, uint16_t c) {
  const float x = f16_to_f32(a), y = f16_to_f32(b), z = f16_to_f32(c);
  const float got = fma_f16(x, y, z);
  ASSERT_EQ(f32_to_f16(got), exact_fma_f16(x, y, z)) << std::hexfloat << x << " * " << y << " + " << z;
  ASSERT_EQ(f16_to_f32(f32_to_f16(got)), got);  // it is in fp16
}

TEST(FmaF16, RoundsOnceOnRandomValues) {
  Rng rng(5);
  for (int i = 0; i < 500000; i++) {
    const uint64_t r = next_u64(rng);
    const uint16_t a = static_cast<uint16_t>(r), b = static_cast<uint16_t>(r >> 16), c = static_cast<uint16_t>(r >> 32);
    const auto finite = [](uint16_t h) { return (h & 0x7c00) != 0x7c00; };
    if (finite(a) && finite(b) && finite(c)) expect_fma(a, b, c);
  }
}

TEST(FmaF16, RoundsOnceWhereTheSumIsNearAMidpoint) {
  // c large, a * b about half a unit of c or a little off: where rounding twice would fail.
  Rng rng(6);
  for (int i = 0; i < 500000; i++) {
    const uint32_t exponent = 12 + static_cast<uint32_t>(next_below(rng, 18));
    const uint16_t c = static_cast<uint16_t>((exponent << 10) | (next_u64(rng) & 0x83ff));
    // The product's exponent: 11 below c's, give or take 2; split over a and b.
    const int wanted = static_cast<int>(exponent) - 15 - 11 + static_cast<int>(next_below(rng, 5)) - 2;
    const int ea = std::clamp(wanted / 2 + static_cast<int>(next_below(rng, 5)) - 2, -14, 15), eb = std::clamp(wanted - ea, -14, 15);
    const uint16_t mask = next_below(rng, 2) ? 0x83ff : 0x8201;  // few bits make exact ties likely
    const uint16_t a = static_cast<uint16_t>((static_cast<uint32_t>(ea + 15) << 10) | (next_u64(rng) & mask));
    const uint16_t b = static_cast<uint16_t>((static_cast<uint32_t>(eb + 15) << 10) | (next_u64(rng) & mask));
    expect_fma(a, b, c);
  }
}

TEST(FmaF16, RoundsOnceOnEdgeValues) {
  std::vector<uint16_t> edges;
  for (uint16_t sign : {0x0000, 0x8000})
    for (uint16_t h :
         {0x0000, 0x0001, 0x0002, 0x0003, 0x01ff, 0x0200, 0x03fe, 0x03ff, 0x0400, 0x0401, 0x07ff, 0x0800, 0x1000, 0x13ff, 0x1400,
          0x2800, 0x3800, 0x3bff, 0x3c00, 0x3c01, 0x3fff, 0x4000, 0x5000, 0x57ff, 0x5bff, 0x5c00, 0x6400, 0x7800, 0x7bfe, 0x7bff})
      edges.push_back(static_cast<uint16_t>(sign | h));
  for (uint16_t a : edges)
    for (uint16_t b : edges)
      for (uint16_t c : edges) expect_fma(a, b, c);
}

TEST(FmaF16, InfinitiesAndNan) {
  EXPECT_EQ(fma_f16(kInf, 1, 0), kInf);
  EXPECT_EQ(fma_f16(2, 3, kInf), kInf);
  EXPECT_EQ(fma_f16(2, 3, -kInf), -kInf);
  EXPECT_TRUE(std::isnan(fma_f16(kInf, 1, -kInf)));
  EXPECT_TRUE(std::isnan(fma_f16(kInf, 0, 1)));
  EXPECT_EQ(fma_f16(65504, 65504, 0), kInf);
  EXPECT_EQ(fma_f16(65504, 65504, -65504), kInf);
  EXPECT_EQ(fma_f16(65504, 1, 15.9921875f), 65504.0f);  // just below the midpoint to 65536
}

TEST(AddF16, RoundsOnce) {
  Rng rng(7);
  for (int i = 0; i < 300000; i++) {
    const uint64_t r = next_u64(rng);
    const uint16_t a = static_cast<uint16_t>(r), c = static_cast<uint16_t>(r >> 32);
    if ((a & 0x7c00) == 0x7c00 || (c & 0x7c00) == 0x7c00) continue;
    ASSERT_EQ(f32_to_f16(add_f16(f16_to_f32(a), f16_to_f32(c))), exact_fma_f16(f16_to_f32(a), 1, f16_to_f32(c)));
  }
}

}  // namespace
}  // namespace wafer
