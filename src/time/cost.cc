#include "time/cost.h"

#include <algorithm>

#include "base/checked.h"
#include "base/vector_ops.h"

namespace wafer::time {

using mesh::Dtype;
using mesh::LocalOp;

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

// Of an operation of a function, which reads so many vectors: fp32, but that an exponent and an integer are half of a word.
VectorRate rate_of(const Device& d, OpUnit unit, int64_t reads) {
  switch (unit) {
    case OpUnit::multiply_add: return {.simd = d.fmac_f32_elements_per_cycle, .bytes = 4 * reads};
    case OpUnit::add: return {.simd = d.add_f32_elements_per_cycle, .bytes = 4 * reads};
    case OpUnit::multiply: return {.simd = d.mul_f32_elements_per_cycle, .bytes = 4 * reads};
    case OpUnit::max: return {.simd = d.max_f32_elements_per_cycle, .bytes = 4 * reads};
    case OpUnit::scale: return {.simd = d.scale_f32_elements_per_cycle, .bytes = 4 + 2};
    case OpUnit::integer_16: return {.simd = d.integer_16_elements_per_cycle, .bytes = 2 * reads};
    case OpUnit::move_16: return {.simd = d.move_16_elements_per_cycle, .bytes = 2 * reads};
  }
  return {};
}

// Sums up the parts of a local step.
struct Bill {
  const Device& d;
  LocalCost cost{};

  void cycles(int64_t count, int64_t each) { cost.cycles = checked_add(cost.cycles, checked_mul(count, each)); }
  // `count` vector operations of n elements.
  void vector(int64_t count, int64_t n, VectorRate rate) {
    cycles(count, checked_add(stream_issue_cycles(d), vector_cycles(d, rate, n)));
    cost.actions.stream_ops += count;
    cost.actions.descriptor_loads += count;
    cost.actions.descriptor_edits += count;
    work(count, n);
  }
  // `count` iterations of a map, each a vector operation of n elements whose descriptors stay loaded.
  void map(int64_t count, int64_t n, VectorRate rate) {
    cycles(count, checked_add(d.map_iteration_cycles, vector_cycles(d, rate, n)));
    work(count, n);
  }
  // A function of n elements, operation by operation.
  void function(const VectorOps& ops, int64_t n) {
    if (n == 0) return;
    for (size_t unit = 0; unit < ops.count.size(); unit++)
      for (size_t reads = 0; reads < ops.count[unit].size(); reads++)
        if (const int count = ops.count[unit][reads]; count > 0)
          vector(count, n, rate_of(d, static_cast<OpUnit>(unit), static_cast<int64_t>(reads)));
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

int64_t vector_cycles(const Device& d, VectorRate rate, int64_t n) {
  const int64_t read = d.sram_read_bytes_per_cycle, whole = n / read, rest = n % read;  // n * bytes might be more than 63 bits
  return std::max(ceil_div(n, rate.simd), checked_add(checked_mul(whole, rate.bytes), ceil_div(rest * rate.bytes, read)));
}

VectorRate fmac_rate(const Device& d, Numerics n) {
  switch (n) {
    case Numerics::fp16: return {.simd = d.fmac_f16_elements_per_cycle, .bytes = 2 + 2};
    case Numerics::mixed: return {.simd = d.fmac_mixed_elements_per_cycle, .bytes = 2 + 4};
    case Numerics::fp32: return {.simd = d.fmac_f32_elements_per_cycle, .bytes = 4 + 4};
  }
  return {};
}

double multiply_adds_per_cycle(const Device& d, Numerics n) {
  const VectorRate rate = fmac_rate(d, n);
  return std::min(static_cast<double>(rate.simd), static_cast<double>(d.sram_read_bytes_per_cycle) / static_cast<double>(rate.bytes));
}

int64_t wavelets(const Device& d, Dtype type, int64_t n) { return ceil_div(checked_mul(8, mesh::bytes(type, n)), d.wavelet_bits); }

int64_t stream_rate(const Device& d) { return std::min(d.wavelets_per_cycle_per_link, d.wavelets_per_cycle_per_ramp); }
int64_t stream_cycles(const Device& d, int64_t n) { return ceil_div(n, stream_rate(d)); }

TileRate tile_rate(const Device& d, Numerics numerics, int64_t rows) {
  if (rows == 0) return {};
  // Per (k, n): one multiply-add of `rows`.
  return {.per_k = kTileDescriptors * (d.descriptor_edit_cycles + d.descriptor_load_cycles),
          .per_kn = checked_add(d.map_iteration_cycles, vector_cycles(d, fmac_rate(d, numerics), rows))};
}

LocalCost work_cost(const Device& d, const mesh::Work& w) {
  Bill bill{.d = d};
  for (const mesh::VectorWork& v : w.vectors) {
    VectorRate rate;
    switch (v.unit) {
      case mesh::VectorUnit::multiply_add: rate = fmac_rate(d, Numerics::fp16); break;
      case mesh::VectorUnit::add: rate = {.simd = d.add_f16_elements_per_cycle, .bytes = 2 + 2}; break;
      case mesh::VectorUnit::multiply: rate = {.simd = d.mul_f16_elements_per_cycle, .bytes = 2 + 2}; break;
      case mesh::VectorUnit::move: rate = {.simd = d.move_16_elements_per_cycle, .bytes = 2}; break;
      case mesh::VectorUnit::max: rate = {.simd = d.max_f16_elements_per_cycle, .bytes = 2}; break;
    }
    bill.cycles(v.count, checked_add(v.map ? d.map_iteration_cycles : d.stream_op_overhead_cycles, vector_cycles(d, rate, v.elements)));
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
  constexpr VectorOps exp2 = exp2_ops(), reciprocal = reciprocal_ops(), silu = silu_ops();
  Bill bill{.d = d};
  const VectorRate fmac = fmac_rate(d, numerics);
  // In fp32, but for the residual's add and copies of rows: of two vectors, of a vector and a number, and along a vector.
  const VectorRate square{.simd = d.fmac_f32_elements_per_cycle, .bytes = 4 + 4}, mul{.simd = d.mul_f32_elements_per_cycle, .bytes = 4 + 4},
      scale{.simd = d.mul_f32_elements_per_cycle, .bytes = 4}, add{.simd = d.add_f32_elements_per_cycle, .bytes = 4 + 4},
      sum{.simd = d.add_f32_elements_per_cycle, .bytes = 4}, max{.simd = d.max_f32_elements_per_cycle, .bytes = 4},
      clear{.simd = d.move_32_elements_per_cycle, .bytes = 0}, move{.simd = d.move_16_elements_per_cycle, .bytes = 2},
      residual = numerics == Numerics::fp16 ? VectorRate{.simd = d.add_f16_elements_per_cycle, .bytes = 2 + 2} : add;
  const int64_t vectors = checked_mul(s.rows, s.heads);  // of attention
  switch (op) {
    case LocalOp::square_sum: bill.vector(s.rows, ceil_div(s.elements, std::max<int64_t>(1, s.rows)), square); break;
    case LocalOp::normalise:
      bill.scalar(s.rows, d.rsqrt_cycles);
      bill.vector(checked_mul(2, s.rows), ceil_div(s.elements, std::max<int64_t>(1, s.rows)), mul);
      break;
    case LocalOp::mat_vec:
      bill.vector(1, s.n, clear);  // clears the sums
      bill.map(s.k, s.n, fmac);
      break;
    case LocalOp::angles: bill.scalar(s.elements / 2, d.sincos_cycles); break;
    case LocalOp::rotate:
      bill.vector(s.rows > 0 ? 4 : 0, s.elements / 2, mul);
      bill.vector(s.rows > 0 ? 2 : 0, s.elements / 2, add);
      break;
    case LocalOp::store_rows: bill.vector(1, s.elements, move); break;
    case LocalOp::row_dots: bill.map(checked_mul(s.heads, s.dims), s.keys, fmac); break;
    case LocalOp::row_max: bill.vector(vectors, s.keys, max); break;
    case LocalOp::exp_sum:
      // All rows lie one after the other, so that what is the same for all of them is one operation.
      bill.vector(1, checked_mul(vectors, s.keys), scale);
      bill.vector(vectors, s.keys, sum);  // minus maximum
      bill.function(exp2, checked_mul(vectors, s.keys));
      bill.vector(vectors, s.keys, sum);
      break;
    case LocalOp::weigh_rows: bill.map(checked_mul(s.heads, s.keys), s.dims, fmac); break;
    case LocalOp::divide:
      bill.function(reciprocal, vectors);
      bill.vector(vectors, s.dims, scale);
      break;
    case LocalOp::add: bill.vector(1, s.elements, residual); break;
    case LocalOp::clear: bill.vector(1, s.elements, clear); break;
    case LocalOp::gate_mul:
      bill.function(silu, s.elements);
      bill.vector(1, s.elements, mul);
      break;
    case LocalOp::local_best: bill.vector(1, s.elements, max); break;
    case LocalOp::look_up: bill.vector(1, s.elements, move); break;
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: break;  // part of a product: tile_rate
  }
  return bill.cost;
}

}  // namespace wafer::time
