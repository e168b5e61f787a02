// The parts of a lowered Llama; see lower.h.
#pragma once
#include "kernels/site.h"
#include "mesh/program.h"
#include "plan/placement.h"

namespace wafer::lower_blocks {

// Short forms for local steps.
mesh::Step local(const kernels::Site& site, std::string name, mesh::Local op);

// One transformer layer of decode, for the loop over a region's layers; adds its routes to the region.
mesh::Steps decode_layer(const kernels::Site& site, const ModelConfig& config, const DecodeBuffers& b, const Plan& plan);

// One transformer layer of prefill, two phases with their own routes.
mesh::Steps prefill_layer(const Placement& placement, mesh::Program& program, mesh::RegionId region, const PrefillBuffers& b);

struct HeadSteps {
  mesh::Steps embed_on_all;    // token -> row on every column (decode)
  mesh::Steps embed_at_owner;  // token -> row on the columns that own it (prefill: it moves on from there)
  mesh::Steps choose;          // row -> logits -> choice
};
HeadSteps head_steps(const kernels::Site& site, const ModelConfig& config, const HeadBuffers& b, const Plan& plan);

// Weights and caches from the prefill buffers to the decode buffers, layer by layer.
mesh::Entry transition(Placement& placement);

}  // namespace wafer::lower_blocks
