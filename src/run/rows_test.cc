#include "run/rows.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/half.h"
#include "base/isa.h"
#include "base/rng.h"
#include "base/scalar_math.h"

namespace wafer::run {
namespace {

// Bit patterns over the whole range of floats, and the places where the functions change.
std::vector<float> many_floats() {
  std::vector<float> values;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 16411) values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (float x = -160; x < 135; x += 0.00731f) values.push_back(x);
  for (float edge : {-151.0f, -126.0f, 128.0f, 86.5f, 65504.0f, 65520.0f, 0x1p-14f, 0x1p-24f, 0x1p-25f, 0.0f})
    for (float x : {edge, -edge, std::nextafter(edge, 1e9f), std::nextafter(edge, -1e9f)}) values.push_back(x);
  values.push_back(std::numeric_limits<float>::infinity());
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  return values;
}

bool same(float a, float b) { return (a != a && b != b) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

// Runs a test body on every instruction set that the machine has.
template <class Fn>
void on_each_isa(Fn fn) {
  const Isa before = current_isa();
  for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (!isa_available(isa)) continue;
    force_isa(isa);
    SCOPED_TRACE(isa_name(isa));
    fn();
  }
  force_isa(before);
}

TEST(Rows, FunctionsAndRoundingEqualTheScalarFunctions) {
  const std::vector<float> from = many_floats();
  const int64_t n = static_cast<int64_t>(from.size());
  on_each_isa([&] {
    std::vector<float> to(from.size());
    exp2_row(false, from.data(), 1.0f, 0.0f, to.data(), n);
    for (size_t i = 0; i < from.size(); i++) ASSERT_TRUE(same(to[i], exp2_f32(from[i]))) << from[i];
    exp2_row(true, from.data(), 0.25f, 1.5f, to.data(), n);
    for (size_t i = 0; i < from.size(); i++) ASSERT_TRUE(same(to[i], round_f16(exp2_f32(from[i] * 0.25f - 1.5f)))) << from[i];
    const std::vector<float> up(from.rbegin(), from.rend());
    gate_row(from.data(), up.data(), to.data(), n);
    for (size_t i = 0; i < from.size(); i++) ASSERT_TRUE(same(to[i], silu_f32(from[i]) * up[i])) << from[i];
    to = from;
    round_row(to.data(), n);
    for (size_t i = 0; i < from.size(); i++) ASSERT_TRUE(same(to[i], round_f16(from[i]))) << from[i];
  });
}

TEST(Rows, MultiplyAddsAndSumsEqualPlainLoopsForEveryLength) {
  Rng rng(7);
  auto half = [&] { return round_f16(static_cast<float>(next_double(rng) * 8 - 4)); };
  for (int64_t n = 0; n < 70; n++) {
    std::vector<float> x(static_cast<size_t>(n + 1)), start(x.size());
    for (float& v : x) v = half();
    for (float& v : start) v = half();
    const float w = half();
    on_each_isa([&] {
      for (bool fp16 : {false, true}) {
        std::vector<float> acc = start, own = start;
        fma_row(fp16 ? Numerics::fp16 : Numerics::mixed, acc.data(), x.data(), w, n);
        add_row(fp16, own.data(), x.data(), n);
        for (size_t i = 0; i < static_cast<size_t>(n); i++) {
          EXPECT_EQ(acc[i], fp16 ? fma_f16(x[i], w, start[i]) : fma(x[i], w, start[i]));
          EXPECT_EQ(own[i], fp16 ? add_f16(start[i], x[i]) : start[i] + x[i]);
        }
        EXPECT_EQ(acc.back(), start.back()) << "the element past the end was touched";
        EXPECT_EQ(own.back(), start.back());
      }
    });
  }
}

}  // namespace
}  // namespace wafer::run
