// The clean transformer: one token at a time, in double, weights widened as they are used. Slow and readable; every other
// way of computing this model is tested against it, and it is tested against logits of an independent implementation.
#pragma once
#include <cstdint>
#include <vector>

#include "model/model.h"

namespace wafer {

// The state of one sequence: a KV cache that grows. The model must outlive it.
struct Reference {
  const Model& model;
  int64_t position = 0;                          // tokens seen so far
  std::vector<std::vector<double>> keys = {};    // [layers][position * kv_heads * head_dim], after RoPE
  std::vector<std::vector<double>> values = {};  // [layers][position * kv_heads * head_dim]
};

// Feeds one token, returns the logits [vocab] that follow it. Requires: 0 <= token < vocab.
std::vector<float> step(Reference& reference, int32_t token);

}  // namespace wafer
