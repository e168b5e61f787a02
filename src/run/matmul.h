// Matrix products with exactly the order of additions that the cores of a mesh have, at the speed of the host.
//
// All tensors of the host are arrays of floats; in mixed and fp16 numerics the operands are values that fp16 can hold. One
// multiply-add is acc = fma(w, x, acc), fused: rounded to fp32, or in fp16 numerics to fp16. A quantised weight (mixed and fp32): in
// each piece S = fma(q, x, S) from 0, at the end of the piece acc = fma(scale, S, acc); a piece ends at the ends of the 32-blocks and of
// the k ranges. The bits do not depend on the instruction set or the thread count (a NaN's sign and payload excepted).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/numerics.h"
#include "mesh/tree.h"
#include "run/panel.h"

namespace wafer::run {

using KRange = mesh::Range;  // of input indices
using ReduceTree = mesh::Tree;

// What each position along the reduction axis holds: its k ranges, in its own order. May be empty.
struct Lines {
  std::vector<std::vector<KRange>> parts;
};

// Lines and tree, checked and flattened; built once for a layout and used for every product with it.
struct GemvOrder {
  struct Segment {
    int64_t begin = 0, end = 0;  // k
    int position = 0;
    bool first = true;  // the position's first: starts from 0
  };
  int positions = 0;
  int root = 0;
  int64_t k_end = 0;                     // no range goes past it
  std::vector<Segment> segments;         // in an order that is good to read and keeps every position's own
  std::vector<int> empty;                // positions without any k: their partial sum is 0
  std::vector<std::vector<int>> chains;  // of all levels, one after the other
  std::vector<int> ring_part;            // of a ring: [n] the part of each output; then neither chains nor root
};

GemvOrder make_gemv_order(const Lines& lines, const ReduceTree& tree);
// For a ring of all lines: output n is summed in the order of mesh::ring_chain(lines, ring_part[n]).
GemvOrder make_ring_order(const Lines& lines, std::vector<int> ring_part);

// y[b][n] = sum over k of w[k][n] * x[b][k] for b < batch. Position p starts from +0 and runs over its ranges, then the tree adds.
// Requires: 1 <= batch <= 8; order.k_end <= w.k; fp16 numerics only with f16 and f32 panels. x_stride and y_stride in floats.
void gemv(const PanelMatrix& w, const GemvOrder& order, Numerics numerics, int batch, const float* x, int64_t x_stride, float* y,
          int64_t y_stride);

// The cyclic order of a MeshGEMM: k cut into parts, each a list of ranges. The core of output (t, n) has one accumulator from +0 and
// goes over the parts i + j, i + j + 1, ... (modulo their number), i = row_part[t], j = col_part[n]. Pieces of quantised weights
// also end at the ends of parts.
struct GemmOrder {
  std::vector<std::vector<KRange>> parts;
};

// c[t][n] = sum over k of a[t][k] * b[k][n]. Rows are lda and ldc floats apart; c has no other outputs than row_part.size() rows
// and b.n columns. Requires: row_part and col_part in [0, parts); ranges within b.k; fp16 numerics only with f16 and f32 panels.
void gemm(const float* a, int64_t lda, const PanelMatrix& b, const GemmOrder& order, std::span<const int> row_part,
          std::span<const int> col_part, Numerics numerics, float* c, int64_t ldc);

}  // namespace wafer::run
