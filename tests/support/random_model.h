// For tests: small models with random weights, as checkpoints.
#pragma once
#include "model/model.h"
#include "plan/plan.h"

namespace wafer {

// Weights of about unit gain, so that activations neither vanish nor grow. Norms are near 1.
// `odd_types` are those of layers 1, 3, ... The model has a GGUF file of its own, which nobody else can see.
Model random_model(const ModelConfig& config, const WeightTypes& types, const WeightTypes& odd_types, uint64_t seed);

}  // namespace wafer
