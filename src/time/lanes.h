// The resources of a core while steps overlap: main thread, ramp in, ramp out, and stream operations in the background. Internal to time/.
#pragma once
#include <algorithm>
#include <deque>

#include "time/advance.h"

namespace wafer::time {

// When each resource of each core is free again. All clocks have the same base.
template <class T>
struct Lanes {
  Clocks<T> main, in, out;
  std::deque<std::pair<Clocks<T>, int>> background;  // operations in flight, the oldest first: when they end, how many
  bool too_wide = false;

  explicit Lanes(const Clocks<T>& c) : main(c), in(c), out(c) {}

  // Does a step and returns the latest clock at which it ends.
  uint64_t run(const Advance& advance, const mesh::Step& step, const Scope& scope, mesh::RegionId region, Tally& tally) {
    const Holds holds = holds_of(step);
    const int64_t issue = holds.background * stream_issue_cycles(advance.device);
    // No more operations in flight than the core has threads for; one step's always go.
    int flying = holds.background;
    for (const auto& [end, n] : background) flying += n;
    while (!background.empty() && holds.background > 0 && flying > advance.device.background_operations_per_core) {
      wait_for(main, background.front().first);
      flying -= background.front().second;
      background.pop_front();
    }
    Clocks<T> c = main;
    if (holds.background > 0) {  // issued by the main thread while the ramps are busy with what came before
      for (const Clocks<T>* ramp : {&in, &out})
        for (size_t i = 0; i < c.t.size(); i++)
          if (ramp->t[i] > static_cast<T>(issue)) c.t[i] = std::max(c.t[i], static_cast<T>(ramp->t[i] - static_cast<T>(issue)));
    } else {
      if (holds.ramp_in) wait_for(c, in);
      if (holds.ramp_out) wait_for(c, out);
    }
    c.most = Clocks<T>::kUnknown;
    const Clocks<T> start = c;
    const uint64_t base = c.base;
    advance.step(c, step, scope, region, tally);
    if (!c.too_wide && c.base != base && fits(c, c.base - base))
      for (T& t : c.t) t += static_cast<T>(c.base - base);
    too_wide = c.too_wide;
    if (too_wide) return 0;
    c.base = base;
    c.most = Clocks<T>::kUnknown;
    if (holds.ramp_in) in = c;
    if (holds.ramp_out) out = c;
    if (holds.background > 0) {
      background.emplace_back(c, holds.background);
      main = start;
      for (T& t : main.t) t += static_cast<T>(issue);
      main.most = Clocks<T>::kUnknown;
    } else {
      main = c;
    }
    return stats(c).latest;
  }

  // The end of all of them.
  void join(Clocks<T>& c) const {
    c = main;
    wait_for(c, in);
    wait_for(c, out);
  }

 private:
  static void wait_for(Clocks<T>& c, const Clocks<T>& other) {
    for (size_t i = 0; i < c.t.size(); i++) c.t[i] = std::max(c.t[i], other.t[i]);
    c.most = Clocks<T>::kUnknown;
  }
};

}  // namespace wafer::time
