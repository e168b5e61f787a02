// Where every tensor of a Llama lies: tensors, regions, phases and buffers of the mesh program, without its steps.
//
// Decode: activations are cut along y and whole along x; weights are cut on both axes; W_O and W_down lie so that their product runs on the
// other axis. Prefill: tokens along y, features along x, both in ring order. KV heads own runs of columns
// (docs/design.md, "Llama on the mesh").
#pragma once
#include <vector>

#include "mesh/program.h"
#include "model/config.h"
#include "plan/plan.h"

namespace wafer {

// Weights and caches: one tensor for both phases, one buffer for each region that holds layers.
template <class Id>
struct OfLayer {
  Id attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  Id router;  // of a mixture of experts; there gate, up and down hold all of them: dimension 2 counts the experts
};
using LayerWeights = OfLayer<mesh::BufferId>;

struct DecodeBuffers {
  LayerWeights w;
  mesh::BufferId turns, k_cache, v_cache;
  mesh::BufferId angles, x, ss, xn, q, k, v, q_op, k_op, s, m, l, p, o, o_op, h, g, u, a;
  mesh::BufferId router;  // a number for each expert
};

struct PrefillBuffers {
  LayerWeights w;
  mesh::BufferId turns, k_cache, v_cache;
  mesh::BufferId angles, x, ss, xn, q, k, v, q_op, k_op, s, m, l, l_chunk, p, o, o_chunk, o_op;
  mesh::BufferId partial, h, g, u, a;
  mesh::BufferId b_slot, kv_slots;  // where tiles of weights, of K and of V arrive
  mesh::BufferId router;            // for each row a number for each expert
};

// The head: embedding, final norm, LM head, choice. Laid out as in decode; prefill reads one row at a time through it.
struct HeadBuffers {
  mesh::BufferId embedding, output, norm;  // output = embedding if tied
  mesh::BufferId token, x, ss, xn, logits, best;
};

struct PrefillPhases {
  mesh::PhaseId rows{};       // norms and products with weights
  mesh::PhaseId attention{};  // products inside head runs
  mesh::PhaseId head{};
  mesh::PhaseId move{};  // between regions
};
struct DecodePhases {
  mesh::PhaseId layer{};
  mesh::PhaseId head{};
  mesh::PhaseId move{};
};

struct Placement {
  ModelConfig config;
  Plan plan;
  mesh::Program program;
  PrefillPhases prefill_phases;
  DecodePhases decode_phases;
  mesh::PhaseId transition_phase{};
  std::vector<PrefillBuffers> prefill;  // [regions of the phase]
  std::vector<DecodeBuffers> decode;
  std::vector<mesh::RegionId> prefill_regions;
  std::vector<mesh::RegionId> decode_regions;
  HeadBuffers prefill_head, decode_head;
};

// A phase without regions is left out: the planner looks at one phase at a time.
//
// A mixture of experts (assumed, as nothing runs one yet): every core holds the same tile of all experts. In decode the experts chosen for
// the token work together, side by side in the same sums. In prefill, where a chunk's tokens choose any of them, they work one after the
// other on the whole chunk and add to x, so there are the activations of one.
Placement place(const ModelConfig& config, const WeightTypes& types, const Plan& plan, mesh::Extent device_mesh);

// Tables of the head runs on W columns: which indices of the flat q [heads * head_dim], k/v [kv_heads * head_dim], of the query heads and
// of the KV heads, and which pairs of a head, column x holds.
struct HeadTables {
  std::vector<std::vector<mesh::Range>> q, kv, heads, kv_heads, pairs;  // [W]
  std::vector<mesh::Range> runs;
};
HeadTables head_tables(const ModelConfig& config, int W);

mesh::Dtype weight_dtype(TensorType t, Numerics numerics);  // as it lies in SRAM

}  // namespace wafer
