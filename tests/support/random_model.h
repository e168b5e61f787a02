// For tests: small models with random weights, as checkpoints.
#pragma once
#include "model/model.h"
#include "plan/plan.h"

namespace wafer {

// Weights of about unit gain, so that activations neither vanish nor grow. Norms are near 1.
// The model has a GGUF file of its own, which nobody else can see.
Model random_model(const ModelConfig& config, const WeightTypes& types, uint64_t seed);

}  // namespace wafer
