#include "support/planned_model.h"

#include <gtest/gtest.h>

#include "mesh/locality.h"

namespace wafer {

ModelConfig small_shape(int64_t dim, int64_t layers) {
  return {.name = "shape",
          .architecture = "llama",
          .layers = layers,
          .dim = dim,
          .heads = 8,
          .kv_heads = 4,
          .head_dim = dim / 8,
          .ffn = 3 * dim,
          .vocab = 512,
          .context = 256,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Lowered planned(const ModelConfig& config, const Device& device, const PlanRequest& request) {
  const WeightTypes types = uniform_types(TensorType::f16);
  Lowered lowered = lower(config, types, make_plan(config, types, device, request).plan, limits_of(device).mesh);
  for (const mesh::Diagnostic& d : mesh::check_locality(lowered.program()))
    ADD_FAILURE() << mesh::name(d.rule) << ": " << d.where << ": " << d.text;
  return lowered;
}

}  // namespace wafer
