// The inner loops of rows.h in vectors; the last, partial vector is masked.
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "run/rows_simd.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "run/matmul_simd-inl.h"
#include "run/rows_kernels.h"

#if WAFER_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace wafer::run::HWY_NAMESPACE {

// Calls fn(load, store, i) for each vector of [0, n): load(p) and store(v, p) touch only what is inside.
template <class Fn>
HWY_INLINE void for_vectors(int64_t n, Fn fn) {
  const D d;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    fn([&](const float* p) HWY_ATTR { return hn::LoadU(d, p); }, [&](V v, float* p) HWY_ATTR { hn::StoreU(v, d, p); }, i);
  if (i == n) return;
  const auto mask = hn::FirstN(d, static_cast<size_t>(n - i));
  fn([&](const float* p) HWY_ATTR { return hn::MaskedLoad(mask, d, p); }, [&](V v, float* p) HWY_ATTR { hn::BlendedStore(v, mask, d, p); },
     i);
}

template <Numerics numerics>
void fma_row_here(float* acc, const float* x, float w, int64_t n) {
  const V factor = hn::Set(D(), w);
  for_vectors(
      n, [&](auto load, auto store, int64_t i) HWY_ATTR { store(multiply_add<numerics>(load(x + i), factor, load(acc + i)), acc + i); });
}

template <bool fp16>
void add_row_here(float* own, const float* v, int64_t n) {
  for_vectors(n, [&](auto load, auto store, int64_t i) HWY_ATTR {
    const V sum = hn::Add(load(own + i), load(v + i));
    if constexpr (fp16)
      store(rounded_f16(sum), own + i);
    else
      store(sum, own + i);
  });
}

// The operations of exp_f32 in base/scalar_math.h, one for one.
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
  // e / 2 towards zero, as in C.
  const auto half = hn::ShiftRight<1>(hn::Add(e, hn::And(hn::ShiftRight<31>(e), hn::Set(di, 1))));
  const auto bias = hn::Set(di, 127);
  const V s1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V s2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(e, half), bias)));
  V y = hn::Mul(hn::Mul(p, s1), s2);
  y = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.72284f)), hn::BitCast(d, hn::Set(di, 0x7f800000)), y);
  y = hn::IfThenElse(hn::Gt(x, hn::Set(d, -104.0f)), y, hn::Zero(d));
  return hn::IfThenElse(hn::Eq(x, x), y, x);
}

void exp_row_here(const float* s, float scale, float m, float* p, int64_t n) {
  const V factor = hn::Set(D(), scale), top = hn::Set(D(), m);
  for_vectors(n, [&](auto load, auto store, int64_t i) HWY_ATTR { store(exp_of(hn::Sub(hn::Mul(load(s + i), factor), top)), p + i); });
}

void round_row_here(float* x, int64_t n) {
  for_vectors(n, [&](auto load, auto store, int64_t i) HWY_ATTR { store(rounded_f16(load(x + i)), x + i); });
}

const RowKernels& row_kernels_here() {
  static constexpr RowKernels kernels{
      fma_row_here<Numerics::fp32>, fma_row_here<Numerics::fp16>, add_row_here<false>, add_row_here<true>, exp_row_here, round_row_here};
  return kernels;
}

}  // namespace wafer::run::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // WAFER_SIMD_TARGET

#if HWY_ONCE
#include "base/check.h"

namespace wafer::run {

const RowKernels& simd_row_kernels(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::row_kernels_here();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::row_kernels_here();
#endif
  check_failed(__FILE__, __LINE__, "isa", isa_name(isa));
}

}  // namespace wafer::run
#endif  // HWY_ONCE
