// How many positions of KV cache the decode regions of a size hold beside weights and activations, counted byte by byte on the placement:
// by shift, which keeps all rows of a region equally full, and by concat (the baseline), which appends to one row only, and so ends where
// by shift that row, like all others, would be full. As the planner counts, that is with the staging of one layer's cache on its way from
// prefill.
#pragma once
#include <cstdint>

#include "plan/planner.h"

namespace wafer {

struct KvCapacity {
  mesh::Extent mesh;
  int regions = 0;  // that hold layers, and the most layers in one, when the cache by shift is full
  int layers_per_region = 0;
  int64_t shift = 0;           // positions; 0: the model does not fit even without
  int64_t concat = 0;          // in one row of each region, the same regions
  int64_t position_bytes = 0;  // K and V of one position in all layers, over all cores
};

// The request's numerics, trees and choice count; its context and meshes do not.
KvCapacity kv_capacity(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request,
                       mesh::Extent mesh);

}  // namespace wafer
