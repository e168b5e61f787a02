// The lines of a TimeReport while they grow: one for each step that ran, and one for each change of routes before a step. Internal to
// time/.
#pragma once
#include <map>
#include <utility>

#include "time/time.h"

namespace wafer::time {

struct Ledger {
  const mesh::StepIds& ids;
  TimeReport report{};
  std::map<std::pair<mesh::StepId, bool>, size_t> line_of{};  // a step, and whether it is the change of routes before it

  StepTime& line(mesh::StepId step, bool route_change);

  // Adds the lines of `more` so many times. Their steps have ids lower by `offset`: another region's list may have done steps alike.
  // `cycles` is by how much that moves the latest clock: more than the lines say where the region has caught up with another in the
  // meantime; the last line takes what is left.
  void add(const TimeReport& more, int32_t offset, int64_t times, int64_t cycles);
};

// What `now` has more than `before`, an earlier state of the same report, in the lines of a step and its body.
TimeReport gained(const TimeReport& now, const TimeReport& before, const mesh::StepIds& ids, mesh::StepId within);

}  // namespace wafer::time
