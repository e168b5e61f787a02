// Plan -> mesh program: one readable function for each part of the transformer, in the order of the paper's figures.
//
// Entries of the program:
//   prefill     a chunk of params.rows tokens, positions params.cached ...: embeds, runs all layers, stores K and V
//   row         the row params.row of the chunk just computed through the head: logits, choice
//   transition  weights, head and KV from the prefill placement to the decode placement
//   decode      one token at position params.cached: embeds, runs all layers, logits, choice
#pragma once
#include "plan/placement.h"

namespace wafer {

// What a reader of the program needs to know of it beside its steps.
struct Lowered {
  Placement placement;
  const mesh::Program& program() const { return placement.program; }
};

// Throws Error for a mixture of experts: place() alone takes one.
Lowered lower(const ModelConfig& config, const WeightTypes& types, const Plan& plan, mesh::Extent device_mesh);

}  // namespace wafer
