// What would make a plan fit that does not. With meshes of the user's choice the planner is asked again with one thing changed; without,
// all bytes of the model are held against all of the wafer, and what that says may still fail for want of a placement.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "device/device.h"
#include "model/config.h"
#include "plan/planner.h"

namespace wafer {

struct Remedy {
  std::string change;  // "context", "chunk", "weights", "cores", "wafers"
  std::string value;   // "2048", "q8_0", "3"
  std::string text;    // the sentence for people
};

// Requires: the result of make_plan(config, types, device, request) does not fit. Empty: none was found.
std::vector<Remedy> remedies(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request);

}  // namespace wafer
