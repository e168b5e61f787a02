// time(): the cycles of a mesh program: clocks of every core of the wafer, advanced a whole array at a time.
//
// Each core has a clock. A local step adds its cost; a transfer is a stream (first word, last word) that a core cannot absorb before it is
// ready; a step of a product ends when its arithmetic, its sends and its receives are done. Nothing is assumed symmetric. Equal turns of a
// loop are timed until the pattern of clocks repeats; from then on every turn takes the same (exact, as the clocks form a max-plus system).
// Where a loop is left before that, the report says for how many of its cycles. Approximations, each with its direction, are listed in
// docs/cost-model.md.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "device/device.h"
#include "mesh/program.h"
#include "mesh/step_ids.h"
#include "time/cost.h"
#include "time/step_kind.h"

namespace wafer::time {

// One step of the entry: what all its turns took.
struct StepTime {
  mesh::StepId step;  // a leaf, a product, or what a change of routes comes before
  std::string name;   // the step's, or kRouteChange
  StepKind kind = StepKind::vector;
  int64_t count = 0;          // how often it ran
  int64_t cycles = 0;         // by which it moved the latest clock of its region: the cycles of all steps add up to the whole
  double compute = 0;         // core-cycles of arithmetic and its issue, summed over cores
  double communicate = 0;     // core-cycles in transfers
  double wait = 0;            // core-cycles idle for others
  int64_t wavelets = 0;       // sent into the fabric
  int64_t wavelet_hops = 0;   // links crossed
  int64_t multiply_adds = 0;  // element operations, summed over cores
  Actions actions;            // of all cores
};
constexpr const char* kRouteChange = "route_change";  // of kind routes: rewritten before a step of another phase

// The clocks of a region around one step, as it is timed: cycles since the start of the entry, [h][w], row after row.
struct StepClocks {
  const std::string& name;
  mesh::RegionId region{};
  const std::vector<uint64_t>& start;
  const std::vector<uint64_t>& end;
};

struct ProductMemo;

// When the cores of a product start its next step.
enum class StepStart : uint8_t {
  as_written,  // Loop::together
  apart,       // each when it has what it needs
  together     // all of them when the step before has ended on all; MeshGEMM, Cannon and SUMMA
};

struct TimeOptions {
  // 0: every compute-shift step of a product is timed. Else the first few only, the others at their mean rate: for a search.
  int64_t ring_steps = 0;
  // Turns of a loop with equal sizes that are timed one by one before the rest is taken to last as long as the latest of them; the pattern
  // of clocks repeating ends it earlier, and exactly. 0: never. Of fewer than 2^14 cores, on which a turn takes no time to speak of, one
  // more.
  int64_t turns = 2;
  // Where a turn of a loop over layers has a product of so many core-steps, one turn stands for all of them.
  int64_t one_layer_core_steps = int64_t{1} << 24;
  ProductMemo* products = nullptr;  // where given, takes over what it knows of large products: exact
  StepStart step_start = StepStart::as_written;
  // Clocks of 64 bits from the start. They take over by themselves where 32 bits do not do, and with `watch`: cycles are the same.
  bool wide = false;
  std::function<void(const StepClocks&)> watch;  // sees every step that is timed
};

struct TimeReport {
  int64_t cycles = 0;           // from the start of the entry to the latest clock of any region
  std::vector<StepTime> steps;  // in the order in which they first ran
  int64_t wavelets_sent = 0;
  int64_t wavelets_received = 0;
  // Of `cycles`, those of turns that were not timed and whose clocks had not repeated: taken to last as long as the turn before.
  int64_t extrapolated_cycles = 0;
};

// Times one entry of a legal program, all regions starting together. Clocks are 32 bits wide; an entry that needs more is timed again with
// 64. Throws Error where cycles do not fit 62 bits.
TimeReport time_entry(const mesh::Program& program, const Device& device, const std::string& entry, const mesh::Params& params,
                      const TimeOptions& options = {});

}  // namespace wafer::time
