#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/matmul_elementwise_simd.cc"
#include <bit>
#include <limits>

#include "base/half.h"
#include "base/isa.h"
#include "base/scalar_math.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "sim/matmul_elementwise.h"
#include "sim/matmul_simd-inl.h"

#if WAFER_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace wafer::sim::HWY_NAMESPACE {

// Operation by operation as exp_f32 in base/scalar_math.h.
HWY_INLINE V exp_of(V x) {
  const D d;
  const DInt di;
  const V magic = hn::Set(d, 12582912.0f);
  const V n = hn::Sub(hn::MulAdd(x, hn::Set(d, 1.44269504f), magic), magic);
  V r = hn::MulAdd(n, hn::Set(d, -0.693145752f), x);
  r = hn::MulAdd(n, hn::Set(d, -1.42860677e-6f), r);
  V p = hn::Set(d, 1.98756915e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.39819995e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.33345205e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.16657962e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.66666655e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.00000013e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  const auto e = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(hn::Sub(e, hn::ShiftRight<31>(e)));  // e / 2 towards zero: the sign is added first
  const auto bias = hn::Set(di, 127);
  const V s1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V s2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(e, half), bias)));
  V y = hn::Mul(hn::Mul(p, s1), s2);
  y = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.72284f)), hn::Set(d, std::numeric_limits<float>::infinity()), y);
  y = hn::IfThenElse(hn::Le(x, hn::Set(d, -104.0f)), hn::Zero(d), y);
  return hn::IfThenElse(hn::Eq(x, x), y, x);
}

int64_t exp_whole(const float* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(exp_of(hn::LoadU(D(), from + i)), D(), to + i);
  return i;
}

int64_t round_whole(const float* from, float* to, int64_t count, int64_t& overflows) {
  const V infinity = hn::Set(D(), std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const V before = hn::LoadU(D(), from + i);
    const V after = rounded_f16(before);
    const auto became = hn::And(hn::Lt(hn::Abs(before), infinity), hn::Eq(hn::Abs(after), infinity));
    overflows += static_cast<int64_t>(hn::CountTrue(D(), became));
    hn::StoreU(after, D(), to + i);
  }
  return i;
}

}  // namespace wafer::sim::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // WAFER_SIMD_TARGET

#if HWY_ONCE
namespace wafer::sim {

void exp_array(const float* from, float* to, int64_t count) {
  [[maybe_unused]] const Isa isa = current_isa();
  int64_t i = 0;
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) i = N_AVX3::exp_whole(from, to, count);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) i = N_AVX2::exp_whole(from, to, count);
#endif
  for (; i < count; i++) to[i] = wafer::exp_f32(from[i]);
}

int64_t round_f16_array(const float* from, float* to, int64_t count) {
  [[maybe_unused]] const Isa isa = current_isa();
  int64_t i = 0, overflows = 0;
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) i = N_AVX3::round_whole(from, to, count, overflows);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) i = N_AVX2::round_whole(from, to, count, overflows);
#endif
  for (; i < count; i++) {
    const float before = from[i];
    to[i] = wafer::round_f16(before);
    overflows += std::isinf(to[i]) && !std::isinf(before);
  }
  return overflows;
}

}  // namespace wafer::sim
#endif  // HWY_ONCE
