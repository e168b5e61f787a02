// GEMV: panel by panel, all positions of the mesh line one after the other with their accumulators in registers, the partial sums
// [position][batch][128] in L2, then the reduction tree over them.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/parallel.h"
#include "sim/matmul.h"
#include "sim/matmul_kernels.h"

namespace wafer::sim {

GemvOrder make_gemv_order(const Lines& lines, const ReduceTree& tree) {
  const int positions = static_cast<int>(lines.parts.size());
  CHECK(tree.size == positions && tree.root >= 0 && tree.root < positions, "tree of {} for {} lines", tree.size, positions);
  GemvOrder order{.positions = positions, .root = tree.root};
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
      for (int b = 0; b < batch; b++) {
        std::memcpy(y + b * y_stride + p * kPanelLanes, partial + order.root * width + b * kPanelLanes, sizeof(float) * lanes);
      }
    }
  });
}

}  // namespace wafer::sim
