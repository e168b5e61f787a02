// Chooses a plan by its cycles: many meshes, chunks and trees are ranked by closed formulas (estimate.h), the best that fit are placed,
// proved and timed by time::time_entry(). The same request gives the same plan: no clock of the host decides anything.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "device/device.h"
#include "plan/planner.h"

namespace wafer {

enum class Goal : uint8_t {
  latency,    // cycles of one request: prompt, transition, tokens
  throughput  // cycles between the tokens of a full pipeline: every region of layers works on another request
};
const char* name(Goal g);

// One phase on one mesh, as it was timed.
struct Timed {
  Part part = Part::decode;
  mesh::Extent mesh;
  int regions = 0;           // that hold layers
  int64_t chunk = 0;         // prefill
  std::vector<int> groups;   // decode
  int64_t estimate = 0;      // cycles by the closed formulas
  int64_t cycles = 0;        // of the prompt, or of one token in the middle of the generated ones
  int64_t stage_cycles = 0;  // of its slowest region: what it adds to a full pipeline
  PhasePlan plan;
  bool keep_scores = true;
  bool by_rule = false;  // what the planner takes without search
};

// What a candidate was turned down for.
struct Refusals {
  int64_t too_many_bytes = 0;    // a core is too full, or there is no room for the regions
  int64_t too_many_colours = 0;  // or any other rule of verify()
  int64_t transition = 0;        // each phase fits, the way between them does not
};

struct SearchResult {
  Goal goal = Goal::latency;
  int64_t prompt = 0;  // tokens of the request that is timed
  int64_t generated = 0;
  int64_t candidates = 0;  // ranked by formulas
  Refusals refused;
  std::vector<Timed> prefill, decode;  // timed, the best first
  int64_t request_cycles = 0;          // of the plan that was chosen: what the goal makes small
  int64_t default_cycles = 0;          // of the planner's rule without search, timed alike; 0 where that finds no plan
  bool sampled = false;                // of a prompt's products on large meshes only the first steps were timed
  double host_seconds = 0;
  PlanResult plan;
};

// Requires: the request has no meshes. Throws what make_plan() throws; where nothing fits the result's plan is make_plan()'s.
SearchResult search_plan(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, Goal goal);

// ---- beside a plan that was not searched --------------------------------------------------------------------------------------------

// A part of an inference that plans are compared by, and how long the plan at hand takes for it.
struct Comparison {
  int64_t prompt = 0;  // tokens; 0: decode alone
  int64_t steps = 0;   // of decode, at positions first, first + 1, ...; 0: prefill alone. With both the transition counts too
  int64_t first = 0;
  double cycles = 0;  // as time::RequestTimer has them
};

// Of the meshes and chunks that the closed formulas put first, the one that was timed, as the plan at hand was.
struct FasterPlan {
  Comparison by;
  mesh::Extent prefill_mesh, decode_mesh;  // of each region; 0 x 0 where the phase does not count
  int64_t chunk = 0;
  int64_t prefill_cycles = 0;  // of the prompt
  int64_t decode_cycles = 0;   // of all steps
  double speedup = 1;          // cycles of the plan at hand over its own
};

inline constexpr double kFaster = 1.2;  // a speedup from which on a plan is worth a line

// The plan of the search's first choices, where it is kFaster times faster; none where the formulas know none that comes near or timing it
// says otherwise. A quick look: not all that search_plan() would try. Requires: the request has no meshes; `plan` is placed by its rule.
std::optional<FasterPlan> faster_plan(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request,
                                      const Plan& plan, const Comparison& by);

// A prefill in chunks so short that longer ones on the same mesh would be much faster, by the closed formulas.
struct SlowChunk {
  int64_t chunk = 0, longer = 0;
  bool longer_fits = false;  // on the same mesh
  double times = 1;          // cycles a token with `chunk` over those with `longer`
};

inline constexpr double kMuchSlower = 3;  // times from which on it is worth a line

// Requires: the plan has regions of prefill.
std::optional<SlowChunk> slow_chunk(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request,
                                    const Plan& plan);

}  // namespace wafer
