// The plain loops of rows.h, and the choice among the instruction sets.
#include "run/rows.h"

#include "base/half.h"
#include "base/isa.h"
#include "base/scalar_math.h"
#include "run/rows_kernels.h"

namespace wafer::run {
namespace {

void fma_row_f32(float* acc, const float* x, float w, int64_t n) {
  for (int64_t i = 0; i < n; i++) acc[i] = fma(x[i], w, acc[i]);
}
void fma_row_f16(float* acc, const float* x, float w, int64_t n) {
  for (int64_t i = 0; i < n; i++) acc[i] = fma_f16(x[i], w, acc[i]);
}
void add_row_f32(float* own, const float* v, int64_t n) {
  for (int64_t i = 0; i < n; i++) own[i] = own[i] + v[i];
}
void add_row_f16(float* own, const float* v, int64_t n) {
  for (int64_t i = 0; i < n; i++) own[i] = add_f16(own[i], v[i]);
}
void exp2_row_f32(const float* s, float scale, float m, float* p, int64_t n) {
  for (int64_t i = 0; i < n; i++) p[i] = exp2_f32(s[i] * scale - m);
}
void gate_row_f32(const float* g, const float* u, float* out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = silu_f32(g[i]) * u[i];
}
void round_row_f16(float* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = round_f16(x[i]);
}

const RowKernels& kernels() {
  static constexpr RowKernels kScalar = {fma_row_f32, fma_row_f16, add_row_f32, add_row_f16, exp2_row_f32, gate_row_f32, round_row_f16};
  const Isa isa = current_isa();
  return isa == Isa::scalar ? kScalar : simd_row_kernels(isa);
}

}  // namespace

void fma_row(Numerics numerics, float* acc, const float* x, float w, int64_t n) {
  (numerics == Numerics::fp16 ? kernels().fma_f16 : kernels().fma_f32)(acc, x, w, n);
}

void add_row(bool fp16, float* own, const float* v, int64_t n) { (fp16 ? kernels().add_f16 : kernels().add_f32)(own, v, n); }

void exp2_row(bool fp16, const float* s, float scale, float m, float* p, int64_t n) {
  kernels().exp2_f32(s, scale, m, p, n);
  if (fp16) round_row(p, n);
}

void gate_row(const float* g, const float* u, float* out, int64_t n) { kernels().gate_f32(g, u, out, n); }

void round_row(float* x, int64_t n) { kernels().round_f16(x, n); }

}  // namespace wafer::run
