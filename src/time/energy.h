// Joules by activity: what was computed, sent and issued, times the energy of each, and the power of an idle chip over the time. The
// constants are the device's; all are assumed (docs/cost-model.md, "Energy"). The other estimate, chip power x time, needs no counts.
#pragma once
#include "device/device.h"
#include "time/time.h"

namespace wafer::time {

struct Energy {  // [joules]
  double multiply_adds = 0;
  double ramps = 0;
  double hops = 0;
  double actions = 0;  // scalar functions included
  double idle = 0;     // what the whole chip takes while nothing happens
  double total() const { return multiply_adds + ramps + hops + actions + idle; }
};
Energy operator+(const Energy& a, const Energy& b);
Energy operator*(double times, const Energy& a);

Energy energy_of(const TimeReport& report, const Device& device);
inline double energy_joules(const TimeReport& report, const Device& device) { return energy_of(report, device).total(); }

}  // namespace wafer::time
