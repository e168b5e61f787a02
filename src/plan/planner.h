// Chooses a plan: mesh, regions, layers of each, chunk. By rules, not by cycles: that is search/search.h.
//
// Without a mesh: the smallest square side P, at most min(device sides, dim), whose single region holds the whole model with its KV; if
// none, equal square regions of the largest P that lets all layers and the head region be placed row by row on the device; if none (a
// narrow device), the smallest rectangle beyond the largest square; if none, equal rectangles, the largest first. Prefill and decode each
// by the same rule. With a mesh: every region has that size; layers are dealt to as many regions as the bytes need.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "device/device.h"
#include "mesh/bytes.h"
#include "mesh/verify.h"
#include "model/model.h"
#include "plan/placement.h"
#include "plan/plan.h"

namespace wafer {

struct PlanRequest {
  std::string plan = "waferllm";
  Numerics numerics = Numerics::mixed;
  int64_t context = 0;                       // positions of KV: prompt + generated tokens
  int64_t max_prompt = 0;                    // tokens of the longest prompt; 0: context
  int64_t chunk = 0;                         // 0: the longest prompt if its activations fit, else the longest chunk that does
  std::optional<mesh::Extent> prefill_mesh;  // of every region; none: the planner's choice
  std::optional<mesh::Extent> decode_mesh;
  int tree_levels = 2;      // as in Plan
  std::vector<int> groups;  // as in Plan
  bool host_choice = false;
};

// A model as a whole beside the device: below what any placement needs, so more than the device has is proof that none fits.
struct WholeBytes {
  int64_t weights = 0, kv_cache = 0;
  int64_t device = 0;  // of all cores, without code and system
};

struct PlanResult {
  Plan plan;
  bool fits = true;                     // bytes of every core
  std::optional<WholeBytes> whole;      // where no regions hold the model: there are none in `plan`, and no bytes by core
  std::string reason;                   // why it does not fit: the fullest core, its bytes by kind
  bool fits_measured_code = true;       // also with code_and_system_bytes_measured
  std::vector<mesh::PhaseBytes> bytes;  // by phase and region
  mesh::PhaseBytes fullest;
};

// Throws Error for a request that the device cannot take (a mesh larger than the device, a prompt longer than the context, ...).
// Where no plan fits and no mesh was given: fits = false, and the reason says by how much.
PlanResult make_plan(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request);

// One phase alone on regions of one size: a single one if it holds everything, else as many as the bytes need. Sets the phase's regions
// (and for prefill the chunk) in `plan`; false where they do not fit.
enum class Part : uint8_t { prefill, decode };
bool place_part(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, Part part,
                mesh::Extent mesh, Plan& plan);
// Whether weights and caches of both phases pass each other on their way from one to the other; sets the order in which layers move: their
// own where that fits, else regions in turn.
bool settle_transition(const ModelConfig& config, const WeightTypes& types, const Device& device, Plan& plan);
Plan empty_plan(const PlanRequest& request);  // without regions

// Counts the bytes of the program's phases whose names begin with `part` and says in the result whether they fit.
void judge_bytes(PlanResult& result, const mesh::Program& program, const Device& device, std::string_view part = "");

mesh::Limits limits_of(const Device& device);
WeightTypes types_of(const Model& model);

}  // namespace wafer
