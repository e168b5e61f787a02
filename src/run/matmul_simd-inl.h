// Vectors of floats and what the kernels of matmul do with them; included once for each instruction set (Highway's scheme).
#if defined(WAFER_SIM_MATMUL_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFER_SIM_MATMUL_SIMD_INL_H_
#undef WAFER_SIM_MATMUL_SIMD_INL_H_
#else
#define WAFER_SIM_MATMUL_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstring>

#include "run/matmul_kernels.h"

#ifndef WAFER_UNROLL
// Loops over registers: the arrays live in registers only if the loops disappear.
#if defined(__clang__)
#define WAFER_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WAFER_UNROLL _Pragma("GCC unroll 16")
#endif
#endif

// The kernels need a fused multiply-add and fp16 conversions; other targets (the baseline of the build) use the plain loops.
#define WAFER_SIMD_TARGET (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)

#if WAFER_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace wafer::run::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DHalf = hn::Rebind<hwy::float16_t, D>;
using DInt = hn::Rebind<int32_t, D>;
using DUint = hn::Rebind<uint32_t, D>;
using DByte = hn::Rebind<int8_t, D>;
using V = hn::Vec<D>;
using VUint = hn::Vec<DUint>;

constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));

HWY_INLINE V from_f16(const uint16_t* p) { return hn::PromoteTo(D(), hn::LoadU(DHalf(), reinterpret_cast<const hwy::float16_t*>(p))); }

HWY_INLINE V rounded_f16(V v) { return hn::PromoteTo(D(), hn::DemoteTo(DHalf(), v)); }

HWY_INLINE V from_int8(const int8_t* p) { return hn::ConvertTo(D(), hn::PromoteTo(DInt(), hn::LoadU(DByte(), p))); }

// q - 8 of the lowest 4 bits of each word; the other bits do not matter.
HWY_INLINE V from_low_nibble(VUint word) {
#if HWY_TARGET == HWY_AVX3
  // vpermps looks at the lowest 4 bits of each index only.
  const __m512 table = _mm512_set_ps(7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7, -8);
  return V{_mm512_permutexvar_ps(word.raw, table)};
#else
  const V q = hn::ConvertTo(D(), hn::BitCast(DInt(), hn::And(word, hn::Set(DUint(), 15))));
  return hn::Sub(q, hn::Set(D(), 8.0f));
#endif
}

// a * b + c of fp16 values with one rounding to fp16, the bits of fma_f16 in base/half.h: the sum in fp32 is rounded to odd first.
HWY_INLINE V fma_f16(V a, V b, V c) {
#if HWY_TARGET == HWY_AVX3
  // Rounded down and up: equal if exact, else neighbours, of which one is odd.
  const __m512 down = _mm512_fmadd_round_ps(a.raw, b.raw, c.raw, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  const __m512 up = _mm512_fmadd_round_ps(a.raw, b.raw, c.raw, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
  const __mmask16 odd = _mm512_test_epi32_mask(_mm512_castps_si512(down), _mm512_set1_epi32(1));
  return rounded_f16(V{_mm512_mask_blend_ps(odd, up, down)});
#else
  const V s = hn::MulAdd(a, b, c);  // the product is exact, so this is the rounded sum of product and c
  const V t = hn::NegMulAdd(a, b, s);
  const V error = hn::Add(hn::MulSub(a, b, hn::Sub(s, t)), hn::Sub(c, t));
  const DInt di;
  const auto bits = hn::BitCast(di, s);
  // +1 away from zero if the error has the sign of s, else -1: only where s is even and the error is not 0 (nor NaN: s infinite).
  const auto step = hn::Or(hn::ShiftRight<31>(hn::Xor(bits, hn::BitCast(di, error))), hn::Set(di, 1));
  const auto even = hn::Eq(hn::And(bits, hn::Set(di, 1)), hn::Zero(di));
  const V zero = hn::Zero(D());
  const auto inexact = hn::Or(hn::Lt(error, zero), hn::Gt(error, zero));
  const auto wanted = hn::And(even, hn::RebindMask(di, inexact));
  return rounded_f16(hn::BitCast(D(), hn::Add(bits, hn::IfThenElseZero(wanted, step))));
#endif
}

template <Numerics numerics>
HWY_INLINE V multiply_add(V a, V b, V c) {
  if constexpr (numerics == Numerics::fp16) return fma_f16(a, b, c);
  return hn::MulAdd(a, b, c);
}

}  // namespace wafer::run::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // WAFER_SIMD_TARGET

#endif  // per-target include guard
