#include "time/energy.h"

#include <gtest/gtest.h>

namespace wafer::time {
namespace {

TimeReport two_steps() {
  StepTime a{.name = "a", .wavelets = 30, .wavelet_hops = 200, .multiply_adds = 1000};
  a.actions = {.stream_ops = 1, .descriptor_loads = 2, .descriptor_edits = 3, .tasks = 4, .route_changes = 6, .scalar_calls = 5};
  return {.cycles = 1'100'000, .steps = {a, {.name = "b", .wavelets = 70, .wavelet_hops = 100, .multiply_adds = 500}}};
}

Device device() {
  Device d;
  d.clock_hz = 1.1e9;
  d.power_watts = 10000;
  d.idle_power_share = 0.25;
  d.multiply_add_picojoules = 10;
  d.ramp_picojoules = 2;
  d.hop_picojoules = 1.5;
  d.action_picojoules = 25;
  d.scalar_call_picojoules = 500;
  return d;
}

TEST(Energy, ByHand) {
  const Energy e = energy_of(two_steps(), device());
  EXPECT_DOUBLE_EQ(e.multiply_adds, 1500 * 10e-12);
  EXPECT_DOUBLE_EQ(e.ramps, 100 * 2e-12);
  EXPECT_DOUBLE_EQ(e.hops, 300 * 1.5e-12);
  EXPECT_DOUBLE_EQ(e.actions, (16 * 25 + 5 * 500) * 1e-12);
  EXPECT_DOUBLE_EQ(e.idle, 2500 * 1e-3);  // a millisecond at 1.1 GHz
  EXPECT_DOUBLE_EQ(energy_joules(two_steps(), device()), e.multiply_adds + e.ramps + e.hops + e.actions + e.idle);
  EXPECT_DOUBLE_EQ((3 * e + e).total(), 4 * e.total());
}

TEST(Energy, EachConstantScalesItsOwnPart) {
  const Energy before = energy_of(two_steps(), device());
  const std::pair<double Device::*, double Energy::*> parts[] = {
      {&Device::multiply_add_picojoules, &Energy::multiply_adds},
      {&Device::ramp_picojoules, &Energy::ramps},
      {&Device::hop_picojoules, &Energy::hops},
      {&Device::idle_power_share, &Energy::idle},
      {&Device::power_watts, &Energy::idle},
  };
  for (const auto& [constant, part] : parts) {
    Device d = device();
    d.*constant *= 2;
    const Energy after = energy_of(two_steps(), d);
    for (double Energy::*p : {&Energy::multiply_adds, &Energy::ramps, &Energy::hops, &Energy::actions, &Energy::idle})
      EXPECT_DOUBLE_EQ(after.*p, p == part ? 2 * (before.*p) : before.*p);
  }
  Device d = device();
  d.action_picojoules *= 2;
  EXPECT_DOUBLE_EQ(energy_of(two_steps(), d).total(), before.total() + 16 * 25e-12);
  d = device();
  d.scalar_call_picojoules *= 2;
  EXPECT_DOUBLE_EQ(energy_of(two_steps(), d).total(), before.total() + 5 * 500e-12);
}

}  // namespace
}  // namespace wafer::time
