// run(): executes a mesh program with real numbers, at memory speed and with every core's own order of additions.
//
// Tensors are kept whole, one array of floats each (a value of fp16 is a float that fp16 can hold); a core's tile is a view. Groups are
// done as one operation over whole tensors: `fold` as a panel GEMV with the tree's order of sums, `gemm` and `gemm_t` in the cyclic orders
// of their bodies. The naive executor of the tests walks the same program core by core and gives the same bits.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lower/lower.h"
#include "mesh/program.h"
#include "model/model.h"

namespace wafer::run {

// Weights on the host in the panel layout: one packing serves every mesh and both phases.
struct PackedModel;
// Packs all matrices. Throws Error naming the tensor where a bf16 or f32 value overflows fp16 (mixed and fp16 numerics).
// `progress` (may be empty) is told the share done, 0 .. 1.
std::shared_ptr<const PackedModel> pack_model(const Model& model, Numerics numerics, const std::function<void(double)>& progress = {});

// The state of a program that runs: all tensors that are not weights.
struct Machine;
std::unique_ptr<Machine, void (*)(Machine*)> make_machine(const Lowered& lowered, std::shared_ptr<const PackedModel> weights);

// Executes an entry. `tokens` are what the host feeds (prefill: params.rows ids; decode: one, ignored if the mesh chose itself).
void run(Machine& machine, const std::string& entry, const mesh::Params& params, std::span<const int32_t> tokens);

// Told after each layer of an entry: the share of the model's layers done. Empty: nobody is told.
void set_layer_progress(Machine& machine, std::function<void(double)> progress);

// After "row" or "decode": the logits, and the greedy choice (by the mesh, or the same rule where the host chooses).
std::span<const float> logits(const Machine& machine);
int32_t chosen(const Machine& machine);

// Whole tensors, for tests: copy `copy` of the tensor with this name, as floats in the order of its dims.
std::vector<float> tensor_values(const Machine& machine, const std::string& tensor, int copy, const mesh::Params& params);

// How many values became infinite or NaN in what reductions and roundings delivered; overflow in fp16 is reported, not hidden.
int64_t overflow_count(const Machine& machine);

}  // namespace wafer::run
