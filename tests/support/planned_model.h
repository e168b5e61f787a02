// A small model of 8 heads on 4 KV heads, planned on a device and lowered.
#pragma once
#include "lower/lower.h"
#include "plan/planner.h"

namespace wafer {

ModelConfig small_shape(int64_t dim, int64_t layers);
Lowered planned(const ModelConfig& config, const Device& device, const PlanRequest& request);  // weights in fp16

}  // namespace wafer
