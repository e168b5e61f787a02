// Element-wise functions over arrays, the bits of their scalar definitions in base/ on every instruction set. `to` may be `from`.
#pragma once
#include <cstdint>

namespace wafer::sim {

// to[i] = exp_f32(from[i])
void exp_array(const float* from, float* to, int64_t count);

// to[i] = round_f16(from[i]). Returns: how many finite values became infinite.
int64_t round_f16_array(const float* from, float* to, int64_t count);

}  // namespace wafer::sim
