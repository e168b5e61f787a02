// What no schedule of a plan's decode can undercut on its regions: three bounds, each alone. The floor is the largest of them, since a
// better schedule might overlap one with the others.
#pragma once
#include <cstdint>

#include "device/device.h"
#include "model/config.h"
#include "plan/plan.h"

namespace wafer {

struct Floor {  // [cycles] of one token
  // Five sums a layer must remain (QKV, values, out, gate and up, down): each from the farthest core to the root in the middle and back,
  // out of a ramp and into one both ways; along y for QKV, values, gate and up, along x for out and down. No arithmetic, no words.
  double reductions = 0;
  double multiply_adds = 0;  // of all matrices and of attention, dealt evenly to the cores of each region, as fast as SIMD and SRAM do them
  double sram = 0;           // every weight and every cached key and value read once, likewise, without the scales of quantised types
  double cycles() const;
};

// Requires: the plan has regions for decode, the model no experts. `position` of the token: it attends to position + 1 keys.
Floor decode_floor(const ModelConfig& config, const WeightTypes& types, const Plan& plan, const Device& device, int64_t position);

}  // namespace wafer
