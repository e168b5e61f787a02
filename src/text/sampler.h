// The choice of the next token from the logits. Greedy at temperature 0: the highest, the lowest index of equals.
// Else in this order: logits / temperature, the top_k highest, softmax, the smallest set of the most probable whose sum
// reaches top_p, one draw. The same seed and logits give the same tokens on every machine.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace wafer {

struct SamplerOptions {
  double temperature = 0;  // 0: greedy
  int64_t top_k = 0;       // 0: all
  double top_p = 1;        // 1: all
  uint64_t seed = 0;
};

// Throws Error for temperature below 0, infinite or NaN, top_k < 0, top_p outside (0, 1].
void validate(const SamplerOptions& options);

struct Sampler {
  SamplerOptions options;
  Rng rng;
  std::vector<std::pair<float, int32_t>> candidates;  // scratch: (logit, token)
};

Sampler make_sampler(const SamplerOptions& options);  // validates

// Throws Error where a logit is NaN, all are -inf, or the highest is +inf at a temperature above 0 (a model that
// overflowed). Requires: logits not empty.
int32_t sample(Sampler& sampler, std::span<const float> logits);

// Index of the highest logit, the lowest index of equals; +inf is one. Throws Error for NaN and for nothing but -inf.
int32_t greedy(std::span<const float> logits);

}  // namespace wafer
