// The inner loops of rows.h, once for each instruction set. Internal to run/.
#pragma once
#include <cstdint>

#include "base/isa.h"

namespace wafer::run {

struct RowKernels {
  void (*fma_f32)(float* acc, const float* x, float w, int64_t n);
  void (*fma_f16)(float* acc, const float* x, float w, int64_t n);
  void (*add_f32)(float* own, const float* v, int64_t n);
  void (*add_f16)(float* own, const float* v, int64_t n);
  void (*exp2_f32)(const float* s, float scale, float m, float* p, int64_t n);
  void (*gate_f32)(const float* g, const float* u, float* out, int64_t n);
  void (*round_f16)(float* x, int64_t n);
};

// Requires: isa is avx2 or avx512, and available.
const RowKernels& simd_row_kernels(Isa isa);

}  // namespace wafer::run
