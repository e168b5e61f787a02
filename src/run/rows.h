// Operations on whole rows of floats, the same bits for every instruction set: what attention and the reductions of run() are made of.
#pragma once
#include <cstdint>

#include "base/numerics.h"

namespace wafer::run {

// acc[i] = fma(x[i], w, acc[i]); in fp16 numerics rounded to fp16.
void fma_row(Numerics numerics, float* acc, const float* x, float w, int64_t n);

// own[i] = own[i] + v[i]: one hop of a chain. `fp16`: rounded to fp16.
void add_row(bool fp16, float* own, const float* v, int64_t n);

// p[i] = 2^(s[i] * scale - m), rounded to fp16 if `fp16`. s and p may be the same.
void exp2_row(bool fp16, const float* s, float scale, float m, float* p, int64_t n);

// out[i] = silu(g[i]) * u[i].
void gate_row(const float* g, const float* u, float* out, int64_t n);

// x[i] = round to fp16.
void round_row(float* x, int64_t n);

}  // namespace wafer::run
