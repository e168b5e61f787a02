// The state of run(). Internal to run/.
//
// Every tensor is one array of floats, row-major in its dims, with two exceptions for speed: k_cache is kept [dims][positions], so that the
// dot products of a query with many keys run along memory, and both caches have room for all positions from the start.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "run/matmul.h"
#include "run/packed_model.h"
#include "run/run.h"

namespace wafer::run {

// Where a walk through a program stands.
struct Scope {
  mesh::Params params;
  std::span<const int32_t> tokens;
  int layer = 0;
  int member = 0;
  int64_t chunk = 0;
  int64_t row = 0;
};

// What local steps have left as partial values of several cores, until a reduction joins them. run() keeps no partial values: it computes
// them when they are joined, in one go with the sums. So what the step reads must not change before.
struct Partial {
  const mesh::Step* step = nullptr;  // the local step
  Scope scope;                       // where it stood
  mesh::ReduceOp joined_by = mesh::ReduceOp::add;
};

struct Machine {
  const Lowered* lowered = nullptr;
  std::shared_ptr<const PackedModel> weights;
  mesh::IdVector<mesh::TensorId, std::vector<std::vector<float>>> values;  // [tensors][copies]
  int64_t capacity = 0;                                                    // positions of the caches
  int32_t token = 0;                                                       // the token that look_up embeds
  int32_t best = 0;                                                        // the greedy choice
  mesh::BufferId logits_buffer{};                                          // where the latest logits are
  int64_t overflows = 0;
  std::function<void(double)> layer_progress;
  std::map<mesh::MoveId, int64_t> sent;  // [moves] sends not yet received
  std::map<mesh::BufferId, Partial> partials;
  // Of the local product and the reduction that joins it; the same for all layers.
  std::map<std::pair<const mesh::Step*, const mesh::Step*>, GemvOrder> gemv_orders;

  const mesh::Program& program() const { return lowered->program(); }
  const mesh::Buffer& buffer(mesh::BufferId id) const { return program().buffers[id]; }
  const mesh::Tensor& tensor_of(mesh::BufferId buffer_id) const { return program().tensors[buffer(buffer_id).tensor]; }
  mesh::Extent extent_of(mesh::BufferId buffer_id) const { return mesh::extent(program().regions[buffer(buffer_id).region].rect); }
};

// The size of a dimension where the walk stands.
int64_t dim_size(const Machine& m, mesh::BufferId buffer, size_t dim, const Scope& scope);
// The array of a buffer's tensor, grown to its size where the walk stands.
float* array(Machine& m, mesh::BufferId buffer, const Scope& scope);
int64_t element_count(const Machine& m, mesh::BufferId buffer, const Scope& scope);
bool is_f16(const Machine& m, mesh::BufferId buffer);
// Rounds to the buffer's dtype, counts what is not finite.
void finish(Machine& m, mesh::BufferId buffer, float* values, int64_t count, bool round);

// The cut of a dimension along an axis; whole if the buffer has none.
mesh::Cut cut_of(const Machine& m, mesh::BufferId buffer, int dim, mesh::Axis axis);

// A tensor [rows][width], where decode has one row.
struct RowView {
  float* data;
  int64_t rows, width;
  float* row(int64_t i) const { return data + i * width; }
};
RowView rows_of(Machine& m, mesh::BufferId buffer, const Scope& scope);
constexpr int64_t kRowGrain = 4;  // rows for each thread, at least

// Scores [kv_heads][rows][keys of a chunk] are prefill's, [heads][keys] decode's, where no key is masked.
bool of_chunk(const Machine& m, mesh::BufferId scores);
// How many of the keys row `row` of [..][rows] sees: in prefill those up to its own position.
int64_t keys_seen(const Machine& m, mesh::BufferId scores, const Scope& scope, int64_t row);

// CHECKs that no partial values are read, and none lost: a step may neither write what a partial result still reads nor the result itself.
void check_operands(const Machine& m, const mesh::Step& step, std::span<const mesh::BufferId> read,
                    std::span<const mesh::BufferId> written);

void run_local(Machine& m, const mesh::Step& step, const mesh::Local& op, const Scope& scope);
// Joins the partial values of the parts.
void run_reduce(Machine& m, const mesh::Step& step, const mesh::Reduce& reduce);
void run_ring_reduce(Machine& m, const mesh::Step& step, const mesh::RingReduce& reduce);
void run_gemm(Machine& m, const mesh::Product& product, const Scope& scope);
void run_gemm_t(Machine& m, const mesh::Product& product, const Scope& scope);

// The keys of the scope's chunk: positions [begin, end).
mesh::Range chunk_keys(const Scope& scope);

// Joins rows[position][count] by a tree; the result is in rows[tree.root]. `scratch` has room for count floats.
void join_rows(const mesh::Tree& tree, bool fp16, float* rows, int64_t count, float* scratch);

}  // namespace wafer::run
