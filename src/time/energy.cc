#include "time/energy.h"

namespace wafer::time {

Energy operator+(const Energy& a, const Energy& b) {
  return {.multiply_adds = a.multiply_adds + b.multiply_adds,
          .ramps = a.ramps + b.ramps,
          .hops = a.hops + b.hops,
          .actions = a.actions + b.actions,
          .idle = a.idle + b.idle};
}

Energy operator*(double times, const Energy& a) {
  return {.multiply_adds = times * a.multiply_adds,
          .ramps = times * a.ramps,
          .hops = times * a.hops,
          .actions = times * a.actions,
          .idle = times * a.idle};
}

Energy energy_of(const TimeReport& report, const Device& d) {
  constexpr double kPico = 1e-12;
  Energy out;
  for (const StepTime& s : report.steps) {
    const Actions& a = s.actions;
    double issued = 0;
    for (const int64_t n : {a.stream_ops, a.descriptor_loads, a.descriptor_edits, a.tasks, a.route_changes})
      issued += static_cast<double>(n);
    out.multiply_adds += kPico * d.multiply_add_picojoules * static_cast<double>(s.multiply_adds);
    out.ramps += kPico * d.ramp_picojoules * static_cast<double>(s.wavelets);
    out.hops += kPico * d.hop_picojoules * static_cast<double>(s.wavelet_hops);
    out.actions += kPico * (d.action_picojoules * issued + d.scalar_call_picojoules * static_cast<double>(a.scalar_calls));
  }
  out.idle = d.idle_power_share * d.power_watts * static_cast<double>(report.cycles) / d.clock_hz;
  return out;
}

}  // namespace wafer::time
