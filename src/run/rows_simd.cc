// The inner loops of rows.h in vectors; the last, partial vector is masked.
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "run/rows_simd.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "run/matmul_simd-inl.h"
#include "run/rows_kernels.h"

#if WAFER_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
#define WAFER_VECTOR_NAMESPACE wafer::run::HWY_NAMESPACE::functions
#include "base/vector_functions-inl.h"
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

// The operations of OneFloat in base/scalar_math.h, one for one.
struct Vectors {
  using V = run::HWY_NAMESPACE::V;
  static HWY_INLINE V set(float c) { return hn::Set(D(), c); }
  static HWY_INLINE V max(V v, float c) { return hn::IfThenElse(hn::Lt(v, set(c)), set(c), v); }
  static HWY_INLINE V add(V v, V w) { return hn::Add(v, w); }
  static HWY_INLINE V add(V v, float c) { return hn::Add(v, set(c)); }
  static HWY_INLINE V sub(V v, V w) { return hn::Sub(v, w); }
  static HWY_INLINE V sub(V v, float c) { return hn::Sub(v, set(c)); }
  static HWY_INLINE V sub(float c, V v) { return hn::Sub(set(c), v); }
  static HWY_INLINE V mul(V v, V w) { return hn::Mul(v, w); }
  static HWY_INLINE V fma(float c, V v, float k) { return hn::MulAdd(v, set(k), set(c)); }
  static HWY_INLINE V fma(V w, V v, float k) { return hn::MulAdd(v, set(k), w); }
  static HWY_INLINE V scale(V v, V t) {
    const DInt di;
    const auto low = hn::ShiftRight<16>(hn::ShiftLeft<16>(hn::BitCast(di, t)));
    const auto n = hn::Min(low, hn::Set(di, 256)), half = hn::ShiftRight<1>(n);
    return hn::Mul(hn::Mul(v, power(half)), power(hn::Sub(n, half)));
  }
  static HWY_INLINE V high_from(uint16_t high, V d) {
    const DUint du;
    const auto kept = hn::And(hn::BitCast(du, d), hn::Set(du, 0xffff0000u));
    return hn::BitCast(D(), hn::Sub(hn::Set(du, uint32_t{high} << 16), kept));
  }
  static HWY_INLINE V power(hn::Vec<DInt> n) {
    const DInt di;
    return hn::BitCast(D(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
  }
};

void exp2_row_here(const float* s, float scale, float m, float* p, int64_t n) {
  const V factor = hn::Set(D(), scale), top = hn::Set(D(), m);
  for_vectors(n, [&](auto load, auto store, int64_t i) HWY_ATTR {
    Vectors vectors;
    store(functions::exp2(vectors, hn::Sub(hn::Mul(load(s + i), factor), top)), p + i);
  });
}

void gate_row_here(const float* g, const float* u, float* out, int64_t n) {
  for_vectors(n, [&](auto load, auto store, int64_t i) HWY_ATTR {
    Vectors vectors;
    store(hn::Mul(functions::silu(vectors, load(g + i)), load(u + i)), out + i);
  });
}

void round_row_here(float* x, int64_t n) {
  for_vectors(n, [&](auto load, auto store, int64_t i) HWY_ATTR { store(rounded_f16(load(x + i)), x + i); });
}

const RowKernels& row_kernels_here() {
  static constexpr RowKernels kernels{fma_row_here<Numerics::fp32>,
                                      fma_row_here<Numerics::fp16>,
                                      add_row_here<false>,
                                      add_row_here<true>,
                                      exp2_row_here,
                                      gate_row_here,
                                      round_row_here};
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
