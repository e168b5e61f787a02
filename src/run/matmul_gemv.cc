// GEMV: panel by panel, all positions of the mesh line one after the other with their accumulators in registers, the partial sums
// [position][batch][128] in L2, then the reduction tree over them.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/parallel.h"
#include "run/matmul.h"
#include "run/matmul_kernels.h"
#include "run/rows.h"

namespace wafer::run {

namespace {

// All but how the positions are joined.
GemvOrder order_of(const Lines& lines) {
  const int positions = static_cast<int>(lines.parts.size());
  GemvOrder order{.positions = positions};
  bool ascending = true;
  for (int p = 0; p < positions; p++) {
    bool first = true;
    for (const KRange& range : lines.parts[p]) {
      CHECK(range.begin >= 0 && range.begin <= range.end, "range {}..{}", range.begin, range.end);
      if (range.begin == range.end) continue;
      if (!first && range.begin < order.segments.back().end) ascending = false;
      order.segments.push_back({.begin = range.begin, .end = range.end, .position = p, .first = first});
      order.k_end = std::max(order.k_end, range.end);
      first = false;
    }
    if (first) order.empty.push_back(p);
  }
  // Where every position's own list ascends, all segments can be taken in the order of memory.
  if (ascending) {
    std::stable_sort(order.segments.begin(), order.segments.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  }
  return order;
}

// Joins the partial sums of one panel round a ring, lanes of the same part together, and leaves them at position 0.
void join_on_ring(const GemvOrder& order, bool fp16, int64_t first, int64_t lanes, int64_t width, float* partial) {
  for (int64_t begin = 0; begin < lanes;) {
    const int j = order.ring_part[static_cast<size_t>(first + begin)];
    int64_t end = begin + 1;
    while (end < lanes && order.ring_part[static_cast<size_t>(first + end)] == j) end++;
    const mesh::Chain chain = mesh::ring_chain(order.positions, j);
    for (int64_t b = 0; b < width; b += kPanelLanes) {
      for (size_t q = 1; q < chain.size(); q++)
        add_row(fp16, partial + chain[q] * width + b + begin, partial + chain[q - 1] * width + b + begin, end - begin);
      std::memmove(partial + b + begin, partial + chain.back() * width + b + begin, sizeof(float) * static_cast<size_t>(end - begin));
    }
    begin = end;
  }
}

}  // namespace

GemvOrder make_ring_order(const Lines& lines, std::vector<int> ring_part) {
  GemvOrder order = order_of(lines);
  for (int j : ring_part) CHECK(j >= 0 && j < order.positions, "part {} of {}", j, order.positions);
  order.ring_part = std::move(ring_part);
  return order;
}

GemvOrder make_gemv_order(const Lines& lines, const ReduceTree& tree) {
  GemvOrder order = order_of(lines);
  const int positions = order.positions;
  CHECK(tree.size == positions && tree.root >= 0 && tree.root < positions, "tree of {} for {} lines", tree.size, positions);
  order.root = tree.root;
  for (const auto& level : tree.levels) {
    for (const auto& chain : level) {
      for (int p : chain) CHECK(p >= 0 && p < positions, "position {} of {}", p, positions);
      if (chain.size() > 1) order.chains.push_back(chain);
    }
  }
  return order;
}

void gemv(const PanelMatrix& w, const GemvOrder& order, Numerics numerics, int batch, const float* x, int64_t x_stride, float* y,
          int64_t y_stride) {
  CHECK(batch >= 1 && batch <= 8 && order.k_end <= w.k && order.positions > 0, "batch {}, k {} of {}", batch, order.k_end, w.k);
  const bool fp16 = numerics == Numerics::fp16;
  CHECK(order.ring_part.empty() || static_cast<int64_t>(order.ring_part.size()) == w.n, "parts of {} outputs, not of {}",
        order.ring_part.size(), w.n);
  CHECK(!fp16 || !is_quantised(w.type), "fp16 numerics round quantised weights to fp16 first");
  const GemvKernels& kernels = gemv_kernels(current_isa());
  const GemvSegment segment = fp16 ? kernels.segment_fp16[static_cast<int>(w.type)] : kernels.segment[static_cast<int>(w.type)];
  const AddChain add_chain = fp16 ? kernels.add_chain_fp16 : kernels.add_chain;
  const int64_t width = batch * kPanelLanes;
  parallel_for(0, panel_count(w), 1, [&](int64_t panel_begin, int64_t panel_end) {
    AlignedBuffer scratch = make_aligned_array<float>(order.positions * width);
    float* partial = scratch.as<float>();
    for (int64_t p = panel_begin; p < panel_end; p++) {
      const std::byte* panel = panel_data(w, p);
      for (int q : order.empty) std::memset(partial + q * width, 0, sizeof(float) * width);
      for (const auto& s : order.segments) segment(panel, s.begin, s.end, x, x_stride, batch, s.first, partial + s.position * width);
      for (const auto& chain : order.chains) add_chain(partial, width, chain.data(), static_cast<int>(chain.size()));
      const int64_t lanes = std::min(kPanelLanes, w.n - p * kPanelLanes);
      if (!order.ring_part.empty()) join_on_ring(order, fp16, p * kPanelLanes, lanes, width, partial);
      for (int b = 0; b < batch; b++) {
        std::memcpy(y + b * y_stride + p * kPanelLanes, partial + order.root * width + b * kPanelLanes, sizeof(float) * lanes);
      }
    }
  });
}

}  // namespace wafer::run
