// Where every tensor of a Llama lies: tensors, regions, phases and buffers of the mesh program, without its steps.
//
// Decode: activations are cut along y and whole along x; weights are cut on both axes; W_O and W_down lie so that their product runs on the
// other axis. Prefill: tokens along y, features along x, both in ring order. KV heads own runs of columns (algorithms.md, decode plan).
#pragma once
#include <vector>

#include "mesh/program.h"
#include "model/config.h"
#include "plan/plan.h"

namespace wafer {

// Weights and caches: one tensor for both phases, one buffer for each region that holds layers.
struct LayerWeights {
  int attn_norm = -1, q = -1, k = -1, v = -1, o = -1, ffn_norm = -1, gate = -1, up = -1, down = -1;
  int router = -1;  // of a mixture of experts; there gate, up and down hold all of them: dimension 2 counts the experts
};

struct DecodeBuffers {
  LayerWeights w;
  int turns = -1, k_cache = -1, v_cache = -1;
  int x = -1, ss = -1, xn = -1, q = -1, k = -1, v = -1, q_op = -1, k_op = -1, s = -1, m = -1, l = -1, p = -1, o = -1, o_op = -1, h = -1,
      g = -1, u = -1, a = -1;
  int router = -1;  // a number for each expert
};

struct PrefillBuffers {
  LayerWeights w;
  int turns = -1, k_cache = -1, v_cache = -1;
  int x = -1, ss = -1, xn = -1, q = -1, k = -1, v = -1, q_op = -1, k_op = -1, s = -1, m = -1, l = -1, l_chunk = -1, p = -1, o = -1,
      o_chunk = -1, o_op = -1;
  int partial = -1, h = -1, g = -1, u = -1, a = -1;
  int router = -1;  // for each row a number for each expert
};

// The head: embedding, final norm, LM head, choice. Laid out as in decode; prefill reads one row at a time through it.
struct HeadBuffers {
  int embedding = -1, output = -1, norm = -1;  // output = embedding if tied
  int token = -1, x = -1, ss = -1, xn = -1, logits = -1, best = -1;
};

struct PrefillPhases {
  int rows = 0;       // norms and products with weights
  int attention = 0;  // products inside head runs
  int head = 0;
  int move = 0;  // between regions
};
struct DecodePhases {
  int layer = 0;
  int head = 0;
  int move = 0;
};

struct Placement {
  ModelConfig config;
  Plan plan;
  mesh::Program program;
  PrefillPhases prefill_phases;
  DecodePhases decode_phases;
  int transition_phase = 0;
  std::vector<PrefillBuffers> prefill;  // [regions of the phase]
  std::vector<DecodeBuffers> decode;
  std::vector<int> prefill_regions;  // ids of mesh regions
  std::vector<int> decode_regions;
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
