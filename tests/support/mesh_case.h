// For tests: a small model on small meshes, and the runs of its program.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "lower/lower.h"
#include "support/random_model.h"

namespace wafer {

struct MeshCase {
  ModelConfig model;
  WeightTypes types, odd_types;  // of layers 0, 2, ...; of layers 1, 3, ...
  Plan plan;
  int64_t prompt = 1;  // tokens
  int64_t decode = 1;
  uint64_t seed = 1;
};

// How many cores, in how many regions side by side, the head in a region of its own or in the first one.
struct PhaseShape {
  mesh::Extent mesh;
  int regions = 1;
  bool own_head = false;
};

PhasePlan phase_plan(const PhaseShape& shape, int layers);
std::string describe(const MeshCase& c);

// One that is legal; `seed` picks everything. Sides of the meshes up to `max_side`.
MeshCase random_case(uint64_t seed, Numerics numerics, int max_side);

// A checked set of shapes with a simple model; the base of hand-made cases.
ModelConfig tiny_config(int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t dim, int64_t ffn, int64_t vocab, int64_t layers);
MeshCase make_case(const ModelConfig& config, Numerics numerics, const PhaseShape& prefill, const PhaseShape& decode, int64_t chunk,
                   int64_t prompt, int64_t decode_tokens);

// A model, its program and a prompt.
struct BuiltCase {
  MeshCase what;
  Model model;
  Lowered lowered;
  std::vector<int32_t> tokens;  // [prompt + decode]
};
BuiltCase build(const MeshCase& c);

// The tokens that an entry takes.
std::span<const int32_t> tokens_of(const BuiltCase& b, const mesh::Params& params);

// The entries of the prompt, in order.
std::vector<mesh::Params> prefill_chunks(const MeshCase& c);
mesh::Params transition_params(const MeshCase& c);
mesh::Params decode_params(const MeshCase& c, int64_t position);

}  // namespace wafer
