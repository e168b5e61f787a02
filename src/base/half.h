// fp16 and bf16: bit conversions and the fp16 fused multiply-add, scalar and exact.
//
// A value that is "in fp16" is kept in a float that fp16 can hold; round_f16 puts it there. All roundings are to nearest
// even, subnormals are kept, overflow gives infinity.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace wafer {

inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1fu;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

inline uint16_t f32_to_f16(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {                                               // below 2^-14: a multiple of 2^-24
    // Adding 0.5 puts the unit in the last place at 2^-24, so the addition does the rounding.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

inline float round_f16(float f) { return f16_to_f32(f32_to_f16(f)); }

inline float bf16_to_f32(uint16_t b) { return std::bit_cast<float>(static_cast<uint32_t>(b) << 16); }

// Always fused: std::fma is exact, by hardware or by libm.
inline float fma(float a, float b, float c) { return std::fma(a, b, c); }

// a * b + c of fp16 values, one rounding to fp16. The product is exact in fp32; the sum is rounded to odd in fp32, after which
// a second rounding to 11 bits is the same as a single one (24 >= 11 + 2).
inline float fma_f16(float a, float b, float c) {
  const float p = a * b;
  const float s = p + c;
  const float t = s - p;
  const float err = (p - (s - t)) + (c - t);  // two-sum: p + c = s + err exactly
  uint32_t bits = std::bit_cast<uint32_t>(s);
  if (err != 0 && std::isfinite(s) && (bits & 1u) == 0) bits += ((err > 0) == (s > 0)) ? 1u : -1u;
  return round_f16(std::bit_cast<float>(bits));
}

// Rounding twice is harmless for a sum: 24 >= 2 * 11 + 2.
inline float add_f16(float a, float b) { return round_f16(a + b); }

}  // namespace wafer
