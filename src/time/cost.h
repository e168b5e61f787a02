// What one core's share of a step costs: machine actions and arithmetic, charged from the device file. Formulas: docs/cost-model.md.
#pragma once
#include <cstdint>

#include "base/numerics.h"
#include "device/device.h"
#include "mesh/program.h"

namespace wafer::time {

// What a core issues besides arithmetic.
struct Actions {
  int64_t stream_ops = 0;
  int64_t descriptor_loads = 0;
  int64_t descriptor_edits = 0;
  int64_t tasks = 0;
  int64_t route_changes = 0;
  int64_t scalar_calls = 0;  // rsqrt, sine and cosine; of published kernels exp and reciprocal
};
Actions operator+(const Actions& a, const Actions& b);
Actions operator*(int64_t times, const Actions& a);

// Elements that a core holds of a local step's operands, as far as the cost depends on them.
struct LocalSize {
  int64_t rows = 1;      // tokens
  int64_t elements = 0;  // of the out buffer (all rows), or of the first operand where that is what is walked over
  int64_t k = 0;         // mat_vec: inputs
  int64_t n = 0;         // mat_vec: outputs
  int64_t heads = 0;     // attention: query heads
  int64_t keys = 0;
  int64_t dims = 0;  // of a head, on this core
};

struct LocalCost {
  int64_t cycles = 0;
  Actions actions;
  int64_t multiply_adds = 0;  // and other element operations of vectors
};

LocalCost local_cost(const Device& device, Numerics numerics, mesh::LocalOp op, const LocalSize& size);

// Of an opaque step, in fp16.
LocalCost work_cost(const Device& device, const mesh::Work& work);

// What comes with one stream operation.
Actions actions_of(const mesh::BeforeOperation& before);
int64_t issue_cycles(const Device& device, const mesh::BeforeOperation& before);

// One synchronous stream operation before its first element: issue, one descriptor edit, one load.
int64_t stream_issue_cycles(const Device& device);

// Product of tiles [rows][k] x [k][n] by multiply-adds of `rows` elements in a map over n inside a loop over k: k * (a + n * b) cycles.
struct TileRate {
  int64_t per_k = 0;   // a
  int64_t per_kn = 0;  // b
};
TileRate tile_rate(const Device& device, Numerics numerics, int64_t rows);  // of no rows: no cycles
// Descriptors that are edited, and as many that are loaded, for each k: of the next column and row, and of the sums.
constexpr int64_t kTileDescriptors = 3;
// Cycles for each k of a tile with n columns: none where it is empty.
inline int64_t tile_cycles_per_k(const TileRate& r, int64_t n) { return n == 0 ? 0 : r.per_k + n * r.per_kn; }

// A vector operation with operands in memory: its SIMD width, and the bytes that it reads for each element. What it writes, and what stays
// in a register (a factor, a sum over the vector), is not read.
struct VectorRate {
  int64_t simd = 1;   // elements a cycle
  int64_t bytes = 0;  // an element
};
// Cycles of n elements: at the SIMD width, or as fast as the operands come at sram_read_bytes_per_cycle, whichever takes longer.
int64_t vector_cycles(const Device& device, VectorRate rate, int64_t n);
// Of a multiply-add of a vector and a number to a vector of sums.
VectorRate fmac_rate(const Device& device, Numerics numerics);
// Elements of multiply-adds a cycle, at most.
double multiply_adds_per_cycle(const Device& device, Numerics numerics);
// Wavelets that carry n elements of a type.
int64_t wavelets(const Device& device, mesh::Dtype type, int64_t n);
// Wavelets a cycle of a stream, which passes ramps and links: the slower of the two.
int64_t stream_rate(const Device& device);
// Cycles in which n wavelets pass.
int64_t stream_cycles(const Device& device, int64_t n);

}  // namespace wafer::time
