// The decisions of a deployment: regions, layers of each, chunk, trees, numerics. Everything after it is arithmetic.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/numerics.h"
#include "mesh/coord.h"
#include "model/config.h"

namespace wafer {

// The types in which a model's matrices are stored, as far as SRAM bytes depend on them. Where the layers of a file differ, the widest.
struct WeightTypes {
  TensorType q = TensorType::f16, k = TensorType::f16, v = TensorType::f16, o = TensorType::f16;
  TensorType gate = TensorType::f16, up = TensorType::f16, down = TensorType::f16;
  TensorType embedding = TensorType::f16, output = TensorType::f16;
};

WeightTypes uniform_types(TensorType t);

struct PlacedRegion {
  mesh::Rect rect;
  int first_layer = 0;
  int layers = 0;
  bool head = false;  // holds embedding and LM head

  bool operator==(const PlacedRegion&) const = default;
};

// Where a phase of inference runs. Layers are dealt to the regions in order; exactly one region is the head.
struct PhasePlan {
  std::vector<PlacedRegion> regions;

  bool operator==(const PhasePlan&) const = default;
};

struct Plan {
  std::string name = "waferllm";
  Numerics numerics = Numerics::mixed;
  int64_t context = 0;       // positions for which KV is reserved: prompt and generated tokens
  int64_t chunk = 0;         // tokens of a full prefill chunk; the bits of a prefill depend on it
  int64_t max_prompt = 0;    // longest prompt that scores are kept for
  bool keep_scores = true;   // scores of all chunks are kept between the two passes over the keys; else they are computed twice
  int tree_levels = 2;       // K of the K-tree reductions
  std::vector<int> groups;   // of the reductions along a whole line in decode and the head, as k_tree() takes them; empty: even ones
  bool host_choice = false;  // the host reads the logits and picks the token; else the greedy choice is made on the mesh
  // In the transition layers of all regions take turns; else they move in their order.
  bool regions_in_turn = false;
  PhasePlan prefill;
  PhasePlan decode;
};

// The layers in the order in which they move from prefill's regions to decode's, and how many of them move before the head.
std::vector<int> transition_order(const Plan& plan, int layers);
int layers_before_head(const Plan& plan, int layers);
int head_region(const PhasePlan& p);
int region_of_layer(const PhasePlan& p, int layer);
int layer_regions(const PhasePlan& p);                      // how many regions hold layers
std::vector<int> line_groups(const Plan& plan, int cores);  // of a decode reduction along a line: the plan's, or even ones

}  // namespace wafer
