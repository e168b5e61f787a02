// Arithmetic that does not wrap. Counts (elements, words, operations) go through checked_mul and checked_add, which refuse what 63 bits do
// not hold as bad input: only sizes out of all proportion get there. Bound is for estimates from above: it stops at its largest value.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/error.h"

namespace wafer {

[[noreturn]] inline void count_too_large() {
  throw Error({.where = "sizes",
               .found = "more than 2^63 elements, words or operations in one count",
               .expected = "sizes whose products stay below that",
               .fix = "give smaller sizes"});
}

inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) count_too_large();
  return sum;
}

inline int64_t checked_mul(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) count_too_large();
  return product;
}

template <class... More>
int64_t checked_mul(int64_t a, int64_t b, More... more) {
  return checked_mul(checked_mul(a, b), more...);
}

// At least a quantity that is not negative: sums and products of bounds stop at kMost in place of wrapping.
struct Bound {
  static constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  uint64_t n = 0;

  Bound() = default;
  Bound(uint64_t at_least) : n(at_least) {}
  Bound(int64_t at_least) : n(static_cast<uint64_t>(std::max<int64_t>(0, at_least))) {}
  Bound(uint32_t at_least) : n(at_least) {}
  Bound(int at_least) : Bound(int64_t{at_least}) {}

  friend Bound operator+(Bound a, Bound b) {
    Bound sum;
    if (__builtin_add_overflow(a.n, b.n, &sum.n)) sum.n = kMost;
    return sum;
  }
  friend Bound operator*(Bound a, Bound b) {
    Bound product;
    if (__builtin_mul_overflow(a.n, b.n, &product.n)) product.n = kMost;
    return product;
  }
  Bound& operator+=(Bound more) { return *this = *this + more; }
  friend bool operator<(Bound a, Bound b) { return a.n < b.n; }
  friend bool operator<=(Bound a, Bound b) { return a.n <= b.n; }
};

inline Bound larger(Bound a, Bound b) { return a.n < b.n ? b : a; }

}  // namespace wafer
