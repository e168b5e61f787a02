// One leaf or product of a program on the clocks of its region. Internal to time/. Formulas: docs/cost-model.md.
#pragma once
#include "device/device.h"
#include "mesh/program.h"
#include "time/clocks.h"
#include "time/step_sizes.h"
#include "time/time.h"

namespace wafer::time {

// What a core needs for a step, beside the data.
struct Holds {
  bool main = false;  // its main thread, from start to end
  bool ramp_in = false, ramp_out = false;
  int background = 0;  // stream operations in flight, which the main thread only issues
};
Holds holds_of(const mesh::Step& step);

struct Advance {
  const mesh::Program& program;
  const Device& device;
  const TimeOptions& options;
  const StepSizes& sizes;

  // Requires: settled clocks of the region; not a Send, Receive, Loop or Group, of Host what goes to it.
  template <class T>
  void step(Clocks<T>& c, const mesh::Step& step, const Scope& scope, mesh::RegionId region, Tally& tally) const;

  template <class T>
  void local(Clocks<T>& c, const mesh::Local& op, const Scope& s, Tally& tally) const;
  template <class T>
  void opaque(Clocks<T>& c, const mesh::Opaque& step, Tally& tally) const;
  template <class T>
  void reduce(Clocks<T>& c, const mesh::Reduce& r, const Scope& s, Tally& tally) const;
  template <class T>
  void ring_reduce(Clocks<T>& c, const mesh::RingReduce& r, const Scope& s, Tally& tally) const;
  template <class T>
  void root_reduce(Clocks<T>& c, const mesh::RootReduce& r, const Scope& s, Tally& tally) const;
  template <class T>
  void multicast(Clocks<T>& c, const mesh::Multicast& m, const Scope& s, Tally& tally) const;
  template <class T>
  void tile_cast(Clocks<T>& c, const mesh::TileCast& cast, const Scope& s, Tally& tally) const;
  template <class T>
  void shift(Clocks<T>& c, const mesh::Shift& shift, const Scope& s, Tally& tally) const;
  template <class T>
  void row_shift(Clocks<T>& c, const mesh::RowShift& shift, const Scope& s, Tally& tally) const;
  template <class T>
  void to_host(Clocks<T>& c, const mesh::Host& link, const Scope& s, mesh::RegionId region, Tally& tally) const;
  template <class T>
  void product(Clocks<T>& c, const mesh::Step& step, const mesh::Product& g, const Scope& s, mesh::RegionId region, Tally& tally) const;
};

}  // namespace wafer::time
