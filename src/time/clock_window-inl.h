// Clocks in few bits: relative to the earliest of them, which is moved on when the latest would not fit any more. Cores of a product are at
// most a few steps apart, so 16 bits do for most, and a vector holds twice as many of them as of 32 bits. Cycles are the same.
#pragma once
#include <limits>
#include <type_traits>
#include <vector>

#include "base/checked.h"
#include "time/product_steps-inl.h"

namespace wafer::time::inl {

template <class T>
struct Span {
  T earliest = std::numeric_limits<T>::max(), latest = 0;
  void add(const T* t, int64_t n) {
    T least = earliest, most = latest;  // so that the loop is one of vectors
    for (int64_t i = 0; i < n; i++) {
      least = smaller(least, t[i]);
      most = larger(most, t[i]);
    }
    earliest = least;
    latest = most;
  }
};

// Where clocks of W stand in T: base + t. `step`: by how much a step may raise the latest; none where T is W, which has room for all.
template <class T, class W>
struct Window {
  static constexpr bool kNarrow = !std::is_same_v<T, W>;
  Bound step;
  W base = 0;
  Bound latest;  // at least the latest clock, relative to the base

  Window(const std::vector<W>& t, Bound of_a_step) : step(of_a_step) {
    if (!kNarrow) return;
    Span<W> span;
    span.add(t.data(), static_cast<int64_t>(t.size()));
    base = span.earliest;
    latest = Bound(W(span.latest - span.earliest));
  }
  // Whether so many steps stay within T, with one to spare for what the last of them computes on the way.
  bool has_room(int64_t steps) const { return !kNarrow || latest + step * (steps + 1) <= Bound(uint64_t{std::numeric_limits<T>::max()}); }
  // Moves the base to the earliest clock. Returns by how much.
  T move(Span<T> clocks) {
    base += clocks.earliest;
    latest = Bound(uint64_t{clocks.latest} - clocks.earliest);
    return clocks.earliest;
  }
};

}  // namespace wafer::time::inl
