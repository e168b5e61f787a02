// The way of one token through the regions: how long each of them has it, step by step.
#pragma once
#include <string>
#include <vector>

#include "device/device.h"
#include "lower/lower.h"
#include "time/time.h"

namespace wafer {

// What a region does between two hand-overs of the token.
struct PathPart {
  int region = 0;    // of the plan's decode
  std::string what;  // "embedding", "layers 0-3", "LM head and choice"
  int64_t cycles = 0;
  std::vector<time::StepTime> steps;  // changes of routes are one line
};

// The parts' cycles add up to those of the decode entry, for a token has nothing to overlap with.
std::vector<PathPart> critical_path(const Lowered& lowered, const Device& device, const mesh::Params& params);

}  // namespace wafer
