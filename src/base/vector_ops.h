// The operations that the functions of vector_functions-inl.h consist of, counted off their one definition: what a core is charged for
// them.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#define WAFER_VECTOR_NAMESPACE wafer::vector_count
#include "base/vector_functions-inl.h"

namespace wafer {

// What works on the elements of an operation. All are fp32, but for the last two, which see 16-bit words.
enum class OpUnit : uint8_t { multiply_add, add, multiply, max, scale, integer_16, move_16 };
constexpr size_t kOpUnits = 7;

struct VectorOps {
  std::array<std::array<int, 3>, kOpUnits> count{};  // [unit][vectors that are read: 0, 1 or 2]
  constexpr int of(OpUnit unit, size_t reads) const { return count[static_cast<size_t>(unit)][reads]; }
  constexpr int all() const {
    int n = 0;
    for (const auto& unit : count)
      for (const int c : unit) n += c;
    return n;
  }
};

// A kind of vectors without values.
struct OpCounter {
  struct V {};
  VectorOps ops{};

  constexpr V max(V, float) { return once(OpUnit::max, 1); }
  constexpr V add(V, V) { return once(OpUnit::add, 2); }
  constexpr V add(V, float) { return once(OpUnit::add, 1); }
  constexpr V sub(V, V) { return once(OpUnit::add, 2); }
  constexpr V sub(V, float) { return once(OpUnit::add, 1); }
  constexpr V sub(float, V) { return once(OpUnit::add, 1); }
  constexpr V mul(V, V) { return once(OpUnit::multiply, 2); }
  constexpr V fma(float, V, float) { return once(OpUnit::multiply_add, 1); }
  constexpr V fma(V, V, float) { return once(OpUnit::multiply_add, 2); }
  constexpr V scale(V, V) { return once(OpUnit::scale, 2); }
  constexpr V high_from(uint16_t, V) {
    once(OpUnit::move_16, 0);
    return once(OpUnit::integer_16, 1);
  }

  constexpr V once(OpUnit unit, size_t reads) {
    ops.count[static_cast<size_t>(unit)][reads]++;
    return {};
  }
};

constexpr VectorOps exp2_ops() {
  OpCounter m;
  vector_count::exp2(m, {});
  return m.ops;
}
constexpr VectorOps reciprocal_ops() {
  OpCounter m;
  vector_count::reciprocal(m, {});
  return m.ops;
}
constexpr VectorOps silu_ops() {
  OpCounter m;
  vector_count::silu(m, {});
  return m.ops;
}

}  // namespace wafer
