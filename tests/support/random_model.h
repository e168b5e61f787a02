// For tests: small models with random weights, as checkpoints in memory.
#pragma once
#include <memory>
#include <string>

#include "model/model.h"
#include "plan/plan.h"

namespace wafer {

struct RandomModel {
  std::unique_ptr<std::string> bytes;  // a GGUF file, which the model's views look into
  Model model;
};

// Weights of about unit gain, so that activations neither vanish nor grow. Norms are near 1.
RandomModel random_model(const ModelConfig& config, const WeightTypes& types, uint64_t seed);

}  // namespace wafer
