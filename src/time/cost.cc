#include "time/cost.h"

#include <algorithm>

#include "base/checked.h"

namespace wafer::time {

using mesh::Dtype;
using mesh::LocalOp;

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

// Sums up the parts of a local step.
struct Bill {
  const Device& d;
  LocalCost cost{};

  void cycles(int64_t count, int64_t each) { cost.cycles = checked_add(cost.cycles, checked_mul(count, each)); }
  // `count` vector operations of n elements at `rate` a cycle.
  void vector(int64_t count, int64_t n, int64_t rate) {
    cycles(count, checked_add(stream_issue_cycles(d), ceil_div(n, rate)));
    cost.actions.stream_ops += count;
    cost.actions.descriptor_loads += count;
    cost.actions.descriptor_edits += count;
    work(count, n);
  }
  // `count` iterations of a map, each a vector operation of n elements whose descriptors stay loaded.
  void map(int64_t count, int64_t n, int64_t rate) {
    cycles(count, checked_add(d.map_iteration_cycles, ceil_div(n, rate)));
    work(count, n);
  }
  void scalar(int64_t count, int64_t each) {
    cycles(count, each);
    cost.actions.scalar_calls = checked_add(cost.actions.scalar_calls, count);
  }
  void work(int64_t count, int64_t n) { cost.multiply_adds = checked_add(cost.multiply_adds, checked_mul(count, n)); }
};

}  // namespace

Actions operator+(const Actions& a, const Actions& b) {
  return {.stream_ops = checked_add(a.stream_ops, b.stream_ops),
          .descriptor_loads = checked_add(a.descriptor_loads, b.descriptor_loads),
          .descriptor_edits = checked_add(a.descriptor_edits, b.descriptor_edits),
          .tasks = checked_add(a.tasks, b.tasks),
          .route_changes = checked_add(a.route_changes, b.route_changes),
          .scalar_calls = checked_add(a.scalar_calls, b.scalar_calls)};
}

Actions operator*(int64_t times, const Actions& a) {
  return {.stream_ops = checked_mul(times, a.stream_ops),
          .descriptor_loads = checked_mul(times, a.descriptor_loads),
          .descriptor_edits = checked_mul(times, a.descriptor_edits),
          .tasks = checked_mul(times, a.tasks),
          .route_changes = checked_mul(times, a.route_changes),
          .scalar_calls = checked_mul(times, a.scalar_calls)};
}

Actions actions_of(const mesh::BeforeOperation& b) {
  return {.stream_ops = 1, .descriptor_loads = b.descriptor_loads, .descriptor_edits = b.descriptor_edits, .tasks = b.tasks};
}

int64_t issue_cycles(const Device& d, const mesh::BeforeOperation& b) {
  return d.stream_op_overhead_cycles + b.descriptor_loads * d.descriptor_load_cycles + b.descriptor_edits * d.descriptor_edit_cycles +
         b.tasks * d.task_activation_cycles;
}

int64_t stream_issue_cycles(const Device& d) { return d.stream_op_overhead_cycles + d.descriptor_load_cycles + d.descriptor_edit_cycles; }

int64_t fmac_rate(const Device& d, Numerics n) {
  switch (n) {
    case Numerics::fp16: return d.fmac_f16_elements_per_cycle;
    case Numerics::mixed: return d.fmac_mixed_elements_per_cycle;
    case Numerics::fp32: return d.fmac_f32_elements_per_cycle;
  }
  return 1;
}

int64_t wavelets(const Device& d, Dtype type, int64_t n) { return ceil_div(checked_mul(8, mesh::bytes(type, n)), d.wavelet_bits); }

int64_t stream_rate(const Device& d) { return std::min(d.wavelets_per_cycle_per_link, d.wavelets_per_cycle_per_ramp); }
int64_t stream_cycles(const Device& d, int64_t n) { return ceil_div(n, stream_rate(d)); }

TileRate tile_rate(const Device& d, Numerics numerics, int64_t rows) {
  if (rows == 0) return {};
  // Per k: the out descriptor is edited, three are loaded, the next column and row are edited in; per (k, n): one multiply-add of `rows`.
  return {.per_k = 3 * d.descriptor_edit_cycles + 3 * d.descriptor_load_cycles,
          .per_kn = d.map_iteration_cycles + ceil_div(rows, fmac_rate(d, numerics))};
}

LocalCost counted_cost(const Device& d, const mesh::Work& w) {
  Bill bill{.d = d};
  for (const mesh::VectorWork& v : w.vectors) {
    int64_t rate = 1;
    switch (v.unit) {
      case mesh::VectorUnit::multiply_add: rate = d.fmac_f16_elements_per_cycle; break;
      case mesh::VectorUnit::add: rate = d.add_f16_elements_per_cycle; break;
      case mesh::VectorUnit::multiply: rate = d.mul_f16_elements_per_cycle; break;
      case mesh::VectorUnit::move: rate = d.move_16_elements_per_cycle; break;
      case mesh::VectorUnit::max: rate = d.max_f16_elements_per_cycle; break;
    }
    bill.cycles(v.count, checked_add(v.map ? d.map_iteration_cycles : d.stream_op_overhead_cycles, ceil_div(v.elements, rate)));
    bill.work(v.count, v.elements);
    if (!v.map) bill.cost.actions.stream_ops += v.count;
  }
  bill.cycles(w.tasks, d.task_activation_cycles);
  bill.cycles(w.descriptor_loads, d.descriptor_load_cycles);
  bill.cycles(w.descriptor_edits, d.descriptor_edit_cycles);
  bill.cycles(w.route_changes, d.route_change_cycles);
  bill.cost.actions.tasks += w.tasks;
  bill.cost.actions.route_changes += w.route_changes;
  bill.cost.actions.descriptor_loads += w.descriptor_loads;
  bill.cost.actions.descriptor_edits += w.descriptor_edits;
  bill.scalar(w.reciprocals, d.reciprocal_cycles);
  bill.scalar(w.square_roots, d.rsqrt_cycles);
  bill.scalar(w.exponentials, d.exp_cycles);
  return bill.cost;
}

LocalCost local_cost(const Device& d, Numerics numerics, LocalOp op, const LocalSize& s) {
  Bill bill{.d = d};
  const int64_t fmac = fmac_rate(d, numerics);
  const bool fp16 = numerics == Numerics::fp16;
  const int64_t add = fp16 ? d.add_f16_elements_per_cycle : d.add_f32_elements_per_cycle;
  const int64_t vectors = checked_mul(s.rows, s.heads);  // of attention
  switch (op) {
    case LocalOp::square_sum: bill.vector(s.rows, ceil_div(s.elements, std::max<int64_t>(1, s.rows)), d.fmac_f32_elements_per_cycle); break;
    case LocalOp::normalise:
      bill.scalar(s.rows, d.rsqrt_cycles);
      bill.vector(checked_mul(2, s.rows), ceil_div(s.elements, std::max<int64_t>(1, s.rows)), d.mul_f32_elements_per_cycle);
      break;
    case LocalOp::mat_vec:
      bill.vector(1, s.n, d.move_32_elements_per_cycle);  // clears the sums
      bill.map(s.k, s.n, fmac);
      break;
    case LocalOp::rotate:
      bill.scalar(checked_mul(s.rows, s.dims) / 2, d.sincos_cycles);
      bill.vector(s.rows > 0 ? 4 : 0, s.elements / 2, d.mul_f32_elements_per_cycle);
      bill.vector(s.rows > 0 ? 2 : 0, s.elements / 2, d.add_f32_elements_per_cycle);
      break;
    case LocalOp::store_rows: bill.vector(1, s.elements, d.move_16_elements_per_cycle); break;
    case LocalOp::row_dots: bill.map(checked_mul(s.heads, s.dims), s.keys, fmac); break;
    case LocalOp::row_max: bill.vector(vectors, s.keys, d.max_f32_elements_per_cycle); break;
    case LocalOp::exp_sum:
      bill.vector(checked_mul(2, vectors), s.keys, d.mul_f32_elements_per_cycle);  // scale, minus maximum
      bill.scalar(checked_mul(vectors, s.keys), d.exp_cycles);
      bill.vector(vectors, s.keys, d.add_f32_elements_per_cycle);
      break;
    case LocalOp::weigh_rows: bill.map(checked_mul(s.heads, s.keys), s.dims, fmac); break;
    case LocalOp::divide:
      bill.scalar(vectors, d.reciprocal_cycles);
      bill.vector(vectors, s.dims, d.mul_f32_elements_per_cycle);
      break;
    case LocalOp::add: bill.vector(1, s.elements, add); break;
    case LocalOp::clear: bill.vector(1, s.elements, d.move_32_elements_per_cycle); break;
    case LocalOp::gate_mul:
      bill.scalar(s.elements, d.exp_cycles + d.reciprocal_cycles);
      bill.vector(2, s.elements, d.mul_f32_elements_per_cycle);
      break;
    case LocalOp::local_best: bill.vector(1, s.elements, d.max_f32_elements_per_cycle); break;
    case LocalOp::look_up: bill.vector(1, s.elements, d.move_16_elements_per_cycle); break;
    case LocalOp::counted:
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: break;  // part of a product: tile_rate
  }
  return bill.cost;
}

}  // namespace wafer::time
