// Cycles of a decode token and of a prompt by closed formulas, in microseconds of host time: good enough to say which meshes are worth
// timing, and used for nothing else. docs/design.md, "Search", has the formulas and what they leave out.
#pragma once
#include <cstdint>
#include <vector>

#include "device/device.h"
#include "plan/planner.h"

namespace wafer {

// A reduction of `words` wavelets over a line of cores and the broadcast back.
double tree_estimate(const Device& device, int cores, const std::vector<int>& groups, double words);

struct StageEstimate {
  double layer = 0;      // cycles of one layer
  double head = 0;       // embedding, LM head, choice
  double hand_over = 0;  // from region to region
};
StageEstimate decode_estimate(const ModelConfig& config, const Device& device, const Plan& trees, mesh::Extent e, int64_t position);
// All chunks of a prompt.
StageEstimate prefill_estimate(const ModelConfig& config, const Device& device, const Plan& trees, mesh::Extent e, int64_t prompt,
                               int64_t chunk);

// Numbers that the fullest core of a region holds: weights and cache of one layer, embedding and LM head. A little less than what is placed
// there (no norms, no activations).
struct HeldEstimate {
  double layer = 0;
  double cache = 0;  // of a layer
  double head = 0;
};
HeldEstimate held_estimate(const ModelConfig& config, Part part, mesh::Extent e, int64_t context);

}  // namespace wafer
