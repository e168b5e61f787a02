// The parts of a lowered Llama; see lower.h.
#pragma once
#include "kernels/reduce.h"
#include "kernels/site.h"
#include "mesh/program.h"
#include "plan/placement.h"

namespace wafer::lower_blocks {

// Short forms for local steps, and for steps after steps.
mesh::Step local(const kernels::Site& site, std::string name, mesh::Local op);
void append(mesh::Steps& to, mesh::Steps more);

// What scores are multiplied by, so that a softmax's weights are powers of two.
float score_scale(const ModelConfig& config);

// x * rsqrt(mean of x^2 + epsilon) * gain, each token by itself: the squares are summed along the line on which x is cut.
struct NormBuffers {
  mesh::BufferId x;     // [rows][dim]; of one token [dim]
  mesh::BufferId ss;    // [rows] the sum of squares
  mesh::BufferId gain;  // [dim]
  mesh::BufferId out;   // as x
};
mesh::Steps norm(const kernels::Site& site, const std::string& name, const kernels::ReduceLine& line, const ModelConfig& config,
                 const NormBuffers& b);

// One transformer layer of decode, for the loop over a region's layers; adds its routes to the region.
mesh::Steps decode_layer(const kernels::Site& site, const ModelConfig& config, const DecodeBuffers& b, const Plan& plan);

// One transformer layer of prefill, two phases with their own routes.
mesh::Steps prefill_layer(const Placement& placement, mesh::Program& program, mesh::RegionId region, const PrefillBuffers& b);

struct HeadSteps {
  mesh::Steps embed_on_all;    // token -> row on every column (decode)
  mesh::Steps embed_at_owner;  // token -> row on the columns that own it (prefill: it moves on from there)
  mesh::Steps choose;          // row -> logits -> choice
};
// `token`: where the id of the row to embed is.
HeadSteps head_steps(const kernels::Site& site, const ModelConfig& config, const HeadBuffers& b, mesh::BufferId token, const Plan& plan);

// Weights and caches from the prefill buffers to the decode buffers, layer by layer.
mesh::Entry transition(Placement& placement);

}  // namespace wafer::lower_blocks
