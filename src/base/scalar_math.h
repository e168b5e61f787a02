// The functions of the mesh, one element at a time: 2^y, 1/x, SiLU, 1/sqrt, sine and cosine, one source for every reading of a program. The
// first three are sequences of vector operations (vector_functions-inl.h); a core calls the others element by element. e^x is the host's.
//
// Only fp32 additions, products, fused multiply-adds and (correctly rounded) divisions and square roots are used, so every
// compiler, instruction set and vector width gives the same bits. libm is never called (std::fma excepted, being exact).
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/half.h"

#define WAFER_VECTOR_NAMESPACE wafer::vector_scalar
#include "base/vector_functions-inl.h"

namespace wafer {

// Vectors of one float.
struct OneFloat {
  using V = float;
  static float max(float v, float c) { return v < c ? c : v; }
  static float add(float v, float w) { return v + w; }
  static float sub(float v, float w) { return v - w; }
  static float mul(float v, float w) { return v * w; }
  static float fma(float w, float v, float k) { return wafer::fma(v, k, w); }
  static float scale(float v, float t) {
    // In two factors, so that results in the subnormal range are rounded once at the end; beyond 2^256 nothing changes.
    const int32_t low = static_cast<int16_t>(std::bit_cast<uint32_t>(t) & 0xffffu), n = low < 256 ? low : 256;
    const int32_t half = n >> 1;
    return (v * power(half)) * power(n - half);
  }
  static float high_from(uint16_t high, float d) {
    return std::bit_cast<float>((uint32_t{high} << 16) - (std::bit_cast<uint32_t>(d) & 0xffff0000u));
  }
  // 2^n. Requires: -127 < n <= 128.
  static float power(int32_t n) { return std::bit_cast<float>(static_cast<uint32_t>(n + 127) << 23); }
};

inline float exp2_f32(float y) {
  OneFloat m;
  return vector_scalar::exp2(m, y);
}
inline float reciprocal_f32(float d) {
  OneFloat m;
  return vector_scalar::reciprocal(m, d);
}
inline float silu_f32(float g) {
  OneFloat m;
  return vector_scalar::silu(m, g);
}

// e^x, relative error below 2 ulp (tested against double over the whole range). 0 below -104, inf above 88.73; subnormal results are kept.
inline float exp_f32(float x) {
  if (!(x > -104.0f)) return x != x ? x : 0.0f;
  if (x > 88.72284f) return std::bit_cast<float>(0x7f800000u);
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = fma(x, 1.44269504f, magic) - magic;
  float r = fma(n, -0.693145752f, x);
  r = fma(n, -1.42860677e-6f, r);
  float p = 1.98756915e-4f;  // Cephes expf
  p = fma(p, r, 1.39819995e-3f);
  p = fma(p, r, 8.33345205e-3f);
  p = fma(p, r, 4.16657962e-2f);
  p = fma(p, r, 1.66666655e-1f);
  p = fma(p, r, 5.00000013e-1f);
  p = fma(p, r * r, r) + 1.0f;
  // 2^n in two factors, so that results in the subnormal range are rounded once at the end.
  const int32_t e = static_cast<int32_t>(n);
  const int32_t half = e / 2;
  const float s1 = std::bit_cast<float>(static_cast<uint32_t>(half + 127) << 23);
  const float s2 = std::bit_cast<float>(static_cast<uint32_t>(e - half + 127) << 23);
  return (p * s1) * s2;
}

inline float rsqrt_f32(float x) { return 1.0f / std::sqrt(x); }

struct SinCos {
  float sin;
  float cos;
};

// Sine and cosine of 2*pi*n*(turns_hi + turns_lo): a frequency in turns per position as an unevaluated sum of two floats, so that
// the reduction to one turn is exact enough for any position n < 2^24 (absolute error below 1e-6).
inline SinCos sincos_turns(float n, float turns_hi, float turns_lo) {
  const float t = n * turns_hi;
  const float t_lo = fma(n, turns_hi, -t) + n * turns_lo;
  const float magic = 12582912.0f;
  // |t| may pass 2^22 only for absurd positions; the sum with magic still rounds to an integer below that.
  const float whole = (t + magic) - magic;
  const float r = (t - whole) + t_lo;
  const float q = fma(r, 4.0f, magic) - magic;  // quarter turns
  const float u = fma(q, -0.25f, r);            // [-1/8, 1/8]
  const float u2 = u * u;
  float s = 42.0586939f;  // Taylor of sin(2 pi u); the next term, 15.1 u^11, is below 2e-9
  s = fma(s, u2, -76.7058598f);
  s = fma(s, u2, 81.6052493f);
  s = fma(s, u2, -41.3417022f);
  s = fma(s, u2, 6.28318531f);
  s = s * u;
  float c = -26.4262568f;  // Taylor of cos(2 pi u)
  c = fma(c, u2, 60.2446414f);
  c = fma(c, u2, -85.4568172f);
  c = fma(c, u2, 64.9393940f);
  c = fma(c, u2, -19.7392088f);
  c = fma(c, u2, 1.0f);
  switch (static_cast<int32_t>(q) & 3) {
    case 0: return {s, c};
    case 1: return {c, -s};
    case 2: return {-s, -c};
    default: return {-c, s};
  }
}

}  // namespace wafer
