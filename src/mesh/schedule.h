// The order in which the region lists of an entry can go on: a list waits where it receives what no other has sent yet.
#pragma once
#include <cstdint>
#include <functional>
#include <map>

#include "mesh/program.h"

namespace wafer::mesh {

// Calls run(list, step) for every top-level step of every list, each list in its own order. A step is due when all that it receives has
// been sent: `sent` counts the sends not yet received of each move, and run() keeps it up to date. CHECKs that all lists come to an end,
// which verify() has shown, unless run() returns false, which ends it all.
void run_lists(const Entry& entry, const std::map<MoveId, int64_t>& sent, const std::function<bool(size_t list, const Step& step)>& run);

}  // namespace wafer::mesh
