// The parts of a request on a lowered model, timed.
#pragma once
#include "device/device.h"
#include "lower/lower.h"
#include "time/request.h"

namespace wafer {

// Of a model and a device that outlive the result.
inline time::RequestTimer request_timer(const Lowered& lowered, const Device& device) {
  return {.program = lowered.program(), .device = device, .chunk = lowered.placement.plan.chunk};
}

}  // namespace wafer
