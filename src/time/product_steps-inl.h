// The inner loops of MeshGEMM's and GEMM-T's clocks, in one form for every instruction set. Included by product_steps.cc, which lets the
// compiler make vectors of them, and by steps_scalar.cc, which does not: for sizes beyond 32 bits, and to measure against.
#pragma once
#include <algorithm>
#include <cstdint>

#include "time/product_steps.h"

namespace wafer::time::inl {

#define WAFER_INLINE inline __attribute__((always_inline))

// Rows of cores are as many elements long as whole vectors hold: what lies past the last core is computed and not looked at.
constexpr int kRowPadding = 32;

template <class T>
WAFER_INLINE T larger(T a, T b) {
  return a > b ? a : b;
}
template <class T>
WAFER_INLINE T smaller(T a, T b) {
  return a < b ? a : b;
}

// x / 2^by, which for 16 bits is the high half of a product: vectors of those have no shift by a variable.
template <class T>
struct RightShift {
  T by;
  explicit RightShift(int64_t bits) : by(static_cast<T>(bits)) {}
  WAFER_INLINE T operator()(T x) const { return x >> by; }
};
template <>
struct RightShift<uint16_t> {
  uint16_t times;
  explicit RightShift(int64_t bits) : times(static_cast<uint16_t>(1 << (16 - bits))) {}  // Requires: bits from 1 to 16
  WAFER_INLINE uint16_t operator()(uint16_t x) const { return static_cast<uint16_t>((uint32_t{x} * times) >> 16); }
};

// When a compute-shift step ends on one core: its own product and sends, what comes from the right and from below, and the ramp that takes
// both in. A leaves a ramp before B.
template <class T>
WAFER_INLINE T step_end(T start, T a_start, T b_start, T product, T a, T b, T a_right, T a_below, T b_below, T x_way, T y_way, T ramp_way,
                        T steal) {
  const T scaled = (a + b + a_right + b_below) * steal, stolen = scaled >> kStealShift;
  const T own = start + larger<T>(product + stolen, a + b);
  const T ramp = smaller<T>(a_start, b_start) + ramp_way + a_right + b_below;
  return larger<T>(larger<T>(own, ramp), larger<T>(a_start + a_right + x_way, b_start + a_below + b_below + y_way));
}

template <class T>
struct GemmRow {
  const T *t, *t_below;          // [w + 1], the first element once more at the end
  const T *product, *product_n;  // wide form: product + n * product_n, by column
  const T *a, *a_below;          // [w + 1] wavelets of A
  const T *k, *k_below;          // wide form: k of the B tile that leaves, times its bits
  const T *b, *b_below;          // tall form: wavelets of B
  const T *n, *x_ways;           // [w]
  T y_way, issue, finish, ramp_way, steal, round;
  RightShift<T> shift;
  T* out;  // [w]
};

// Wide rectangles and squares: a column holds one logical position.
template <class T>
WAFER_INLINE void wide_row(const GemmRow<T>& r, int w) {
  const GemmRow<T> v = r;
  T* __restrict out = v.out;
  for (int j = 0; j < (w & -kRowPadding); j++) {
    const T n = v.n[j];
    const T b = v.shift(v.k[j] * n + v.round), b_below = v.shift(v.k_below[j] * n + v.round);
    out[j] = step_end<T>(v.t[j] + v.issue, v.t[j + 1] + v.issue, v.t_below[j] + v.issue, n == 0 ? 0 : v.product[j] + n * v.product_n[j],
                         v.a[j], b, v.a[j + 1], v.a_below[j], b_below, v.x_ways[j], v.y_way, v.ramp_way, v.steal) +
             v.finish;
  }
}

// Squares whose blocks have at most two sizes of k, low and high (the part rule): a core holds one logical position of both axes, and all
// that a block asks for is one of two numbers. The same ends as step_end's, in half the operations: what all terms share is added once.
template <class T>
struct SquareRow {
  const T *t, *t_below;               // [w + 1]
  const T* high;                      // [w + 1] 1 where the block is a high one
  const T *cycles_low, *cycles_high;  // [w] of the product
  const T *b_low, *b_high;            // [w] wavelets of B
  const T* x_ways;                    // [w]
  T a_low, a_high, a_below_low, a_below_high;
  T y_way, turn, ramp_way;    // turn: issue and finish
  RightShift<T> steal_shift;  // a wavelet takes 2^-steal_shift cycles from the product
  T* out;                     // [w]
};

template <class T>
WAFER_INLINE void square_row(const SquareRow<T>& r, int w) {
  const SquareRow<T> v = r;
  T* __restrict out = v.out;
  for (int j = 0; j < (w & -kRowPadding); j++) {
    const bool high = v.high[j] != 0, next = v.high[j + 1] != 0;
    const T b0 = v.b_low[j], b1 = v.b_high[j], p0 = v.cycles_low[j], p1 = v.cycles_high[j];
    const T a = high ? v.a_high : v.a_low, b = high ? b1 : b0, product = high ? p1 : p0;
    const T a_right = next ? v.a_high : v.a_low, a_below = next ? v.a_below_high : v.a_below_low, b_below = next ? b1 : b0;
    const T sent = a + b, taken = a_right + b_below;
    const T own = v.t[j] + larger<T>(product + v.steal_shift(sent + taken), sent);
    const T ramp = smaller<T>(v.t[j + 1], v.t_below[j]) + v.ramp_way + taken;
    const T a_in = v.t[j + 1] + a_right + v.x_ways[j], b_in = v.t_below[j] + a_below + b_below + v.y_way;
    out[j] = larger<T>(larger<T>(own, ramp), larger<T>(a_in, b_in)) + v.turn;
  }
}

// Tall rectangles: a column holds several logical positions, and all depends on row plus step through tables.
template <class T>
WAFER_INLINE void tall_row(const GemmRow<T>& r, int w) {
  const GemmRow<T> v = r;
  T* __restrict out = v.out;
  for (int j = 0; j < (w & -kRowPadding); j++)
    out[j] = step_end<T>(v.t[j] + v.issue, v.t[j + 1] + v.issue, v.t_below[j] + v.issue, v.product[j], v.a[j], v.b[j], v.a[j + 1],
                         v.a_below[j], v.b_below[j], v.x_ways[j], v.y_way, v.ramp_way, v.steal) +
             v.finish;
}

// ---- GEMM-T ------------------------------------------------------------------------------------------------------------------------

// The chains of neighbours from both ends of each row to its root. kSome: rows without words have none.
template <bool kSome, class T>
WAFER_INLINE void gemm_t_chains(const GemmTBlock<T>& v, const T* root, const T* sum) {
  T lead[kLanes], last[kLanes];
  const auto joins = [sum](int i) { return !kSome || sum[i] > 0; };
  for (int sense : {1, -1}) {
    const int first = sense > 0 ? 0 : v.w - 1, end = sense > 0 ? v.last_root : v.first_root;
    if (sense > 0 ? end <= first : end >= first) continue;
    for (int p = first; p != end + sense; p += sense) {
      T* __restrict own = v.out + static_cast<int64_t>(v.ring_of[p]) * v.stride;
      const T at = static_cast<T>(p);
      if (p == first) {
        for (int i = 0; i < kLanes; i++) {
          lead[i] = own[i] + v.reduce_issue + v.ramp;
          last[i] = lead[i] + sum[i] - 1;
          own[i] = root[i] == at || !joins(i) ? own[i] : own[i] + v.reduce_issue + sum[i];
        }
        continue;
      }
      const T way = v.hop + v.ramp;
      for (int i = 0; i < kLanes; i++) {
        const bool before = (sense > 0 ? at < root[i] : at > root[i]) && joins(i), is_root = at == root[i] && joins(i);
        const T begin = larger<T>(lead[i] + way, own[i] + v.reduce_issue);
        const T leave = begin + 1 + v.ramp + v.forward;
        const T passed = larger<T>(last[i] + way + v.ramp + v.forward + 1, leave + sum[i] - 1);
        const T taken = larger<T>(last[i] + way, begin + sum[i] - 1) + 1;
        own[i] = before ? passed + 1 - v.ramp : is_root ? taken : own[i];
        lead[i] = leave;
        last[i] = passed;
      }
    }
  }
}

// One step on kLanes rows: the product and the shift of every column, then the row sums, one logical row after the other.
template <class T>
WAFER_INLINE void gemm_t_block(const GemmTBlock<T>& block) {
  const GemmTBlock<T> v = block;
  for (int j = 0; j < v.w; j++) {
    const T *t = v.t + static_cast<int64_t>(j) * v.stride, *words = v.words[v.dims_class[j]], *arriving = v.arriving[v.dims_class[j]];
    T* __restrict out = v.out + static_cast<int64_t>(j) * v.stride;
    const T dims = v.dims[j];
    for (int i = 0; i < kLanes; i++) {
      const T start = t[i] + v.issue, scaled = (words[i] + arriving[i]) * v.steal, stolen = scaled >> kStealShift;
      out[i] = larger<T>(start + larger<T>(dims * v.product[i] + stolen, words[i]), t[i + 1] + v.issue + arriving[i] + v.y_ways[i]);
    }
  }
  if (v.sums == 1) return gemm_t_chains<false>(v, v.root, v.sum_words);
  for (int64_t q = 0; q < v.sums; q++) gemm_t_chains<true>(v, v.root + q * v.lanes, v.sum_words + q * v.lanes);
}

}  // namespace wafer::time::inl
