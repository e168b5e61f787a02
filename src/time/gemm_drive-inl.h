// The steps of a MeshGEMM, driven over rows and threads. `Kernel` gives the inner loops: square(row, w), wide(row, w), tall(row, w).
#pragma once
#include "base/parallel.h"
#include "time/clock_window-inl.h"
#include "time/gemm_tables-inl.h"

namespace wafer::time::inl {

// Clocks of the rows of cores: row i at i * stride, its first element once more at its end.
template <class T>
struct PaddedRows {
  size_t stride = 0;
  std::vector<T> v;  // and one more, which the last row's padding reads

  PaddedRows(int w, int h)
      : stride((static_cast<size_t>(w) + kRowPadding) / kRowPadding * kRowPadding), v(stride * static_cast<size_t>(h) + 1) {}
  T* row(int64_t i) { return v.data() + static_cast<size_t>(i) * stride; }
  const T* row(int64_t i) const { return v.data() + static_cast<size_t>(i) * stride; }
  template <class W>
  void load(const ProductSteps& p, const std::vector<W>& t, W base) {
    const W* from = t.data();
    for (int i = 0; i < p.h; i++) {
      T* to = row(i);
      for (int j = 0; j < p.w; j++) to[j] = static_cast<T>(from[j] - base);
      to[p.w] = to[0];
      from += p.w;
    }
  }
  template <class W>
  void store(const ProductSteps& p, std::vector<W>& t, W base) const {
    W* to = t.data();
    for (int i = 0; i < p.h; i++, to += p.w)
      for (int j = 0; j < p.w; j++) to[j] = base + row(i)[j];
  }
  Span<T> span(const ProductSteps& p) const {
    Span<T> all;
    for (int i = 0; i < p.h; i++) all.add(row(i), p.w);
    return all;
  }
  void subtract(T earliest) {
    for (T& t : v) t -= earliest;
  }
};

// Advances one row of cores by one step.
template <class T, class Kernel>
struct GemmRows {
  const ProductSteps& p;
  const Kernel& kernel;
  size_t stride;
  GemmForm form = form_of(p);
  RowKinds kinds = row_kinds(p);
  SquareTables<T> square = form == GemmForm::square ? square_tables<T>(p, kinds, stride) : SquareTables<T>{};
  WideTables<T> wide = form == GemmForm::wide ? wide_tables<T>(p, kinds, stride) : WideTables<T>{};
  TallTables<T> tall = form == GemmForm::tall ? tall_tables<T>(p, kinds, stride) : TallTables<T>{};
  std::vector<T> x_ways = ways();  // [w] from the right neighbour, both ramps included
  RightShift<T> steal{steal_shift(p)}, packing{p.b.shift};

  std::vector<T> ways() const {
    std::vector<T> out;
    for (int j = 0; j < p.w; j++) out.push_back(static_cast<T>(x_way(p, j)));
    out.resize(stride);
    return out;
  }

  // Row i in step s: from its own clocks and those of the row below.
  void advance(int64_t i, int64_t s, const T* own, const T* below, T* out) const {
    const size_t under = static_cast<size_t>((i + 1) % p.h), row = static_cast<size_t>(i);
    const size_t m = static_cast<size_t>((p.own_rows[row].begin + s) % p.L),
                 m_below = static_cast<size_t>((p.own_rows[under].begin + s) % p.L);
    const T y_way = static_cast<T>(time::y_way(p, static_cast<int>(i)));
    const int width = static_cast<int>(stride);
    if (form == GemmForm::square)
      kernel.square(square_row_of(kinds.of[row], kinds.of[under], m, y_way, own, below, out), width);
    else if (form == GemmForm::wide)
      kernel.wide(wide_row_of(kinds.of[row], kinds.of[under], m, m_below, y_way, own, below, out), width);
    else
      kernel.tall(tall_row_of(kinds.of[row], kinds.of[under], m, m_below, y_way, own, below, out), width);
    out[p.w] = out[0];
  }

  SquareRow<T> square_row_of(size_t kind, size_t kind_below, size_t m, T y_way, const T* own, const T* below, T* out) const {
    const auto &k = square.kinds[kind], &under = square.kinds[kind_below];
    return {.t = own,
            .t_below = below,
            .high = square.is_high.data() + m,
            .cycles_low = k.cycles_low.data(),
            .cycles_high = k.cycles_high.data(),
            .b_low = square.b_low.data(),
            .b_high = square.b_high.data(),
            .x_ways = x_ways.data(),
            .a_low = k.a_low,
            .a_high = k.a_high,
            .a_below_low = under.a_low,
            .a_below_high = under.a_high,
            .y_way = y_way,
            .turn = static_cast<T>(p.issue + p.finish),
            .ramp_way = static_cast<T>(ramp_way(p)),
            .steal_shift = steal,
            .out = out};
  }

  // What the two general forms share.
  GemmRow<T> row_of(T y_way, const T* own, const T* below, T* out) const {
    return {.t = own,
            .t_below = below,
            .product = nullptr,
            .product_n = nullptr,
            .a = nullptr,
            .a_below = nullptr,
            .k = nullptr,
            .k_below = nullptr,
            .b = nullptr,
            .b_below = nullptr,
            .n = wide.n.data(),
            .x_ways = x_ways.data(),
            .y_way = y_way,
            .issue = static_cast<T>(p.issue),
            .finish = static_cast<T>(p.finish),
            .ramp_way = static_cast<T>(ramp_way(p)),
            .steal = static_cast<T>(p.steal),
            .round = static_cast<T>(p.b.round),
            .shift = packing,
            .out = out};
  }

  GemmRow<T> wide_row_of(size_t kind, size_t kind_below, size_t m, size_t m_below, T y_way, const T* own, const T* below, T* out) const {
    GemmRow<T> r = row_of(y_way, own, below, out);
    r.product = wide.kinds[kind].product.data() + m;
    r.product_n = wide.kinds[kind].product_n.data() + m;
    r.a = wide.kinds[kind].a.data() + m;
    r.a_below = wide.kinds[kind_below].a.data() + m_below;
    r.k = wide.k_bits.data() + m;
    r.k_below = wide.k_bits.data() + m_below;
    return r;
  }

  GemmRow<T> tall_row_of(size_t kind, size_t kind_below, size_t m, size_t m_below, T y_way, const T* own, const T* below, T* out) const {
    GemmRow<T> r = row_of(y_way, own, below, out);
    r.product = tall.kinds[kind].product.data() + m * stride;
    r.a = tall.kinds[kind].a.data() + m * stride;
    r.a_below = tall.kinds[kind_below].a.data() + m_below * stride;
    r.b = tall.b.data() + m * stride;
    r.b_below = tall.b.data() + m_below * stride;
    return r;
  }
};

// Advances rows top .. bottom - 1 by `depth` steps from s on, so that clocks stay in the nearest cache: a row after one step needs itself
// and the row below after the step before. So step `level` of row i follows step level - 1 of row i + 1, and each level keeps two rows. The
// few rows below that the last ones need are computed as well: strips need nothing of each other.
template <class T, class Kernel>
void advance_strip(const GemmRows<T, Kernel>& rows, int64_t top, int64_t bottom, int64_t s, int64_t depth, PaddedRows<T>& now,
                   PaddedRows<T>& next, std::vector<T>& between) {
  const int64_t h = rows.p.h;
  auto row_at = [&](int64_t level, int64_t i) -> T* {  // after `level` steps
    if (level == 0) return now.row(i % h);
    if (level == depth) return next.row(i);
    return between.data() + static_cast<size_t>(2 * level + (i & 1)) * now.stride;
  };
  for (int64_t tau = 0; tau < bottom - top + depth - 1; tau++)
    for (int64_t level = 1; level <= depth; level++) {
      const int64_t i = top + tau - (level - 1);
      if (i < top || i >= bottom + depth - level) continue;
      rows.advance(i % h, s + level - 1, row_at(level - 1, i), row_at(level - 1, i + 1), row_at(level, i));
    }
}

// In clocks of T, which may be narrower than those of t. Returns how many of the steps that was enough for: all, where T is W.
template <class T, class W, class Kernel>
int64_t drive_gemm(const ProductSteps& p, std::vector<W>& t, int64_t first, int64_t steps, bool threads, const Kernel& kernel) {
  constexpr int64_t kDepth = 8;
  Window<T, W> window(t, std::is_same_v<T, W> ? Bound() : gemm_step_rise(p).step);
  if (!window.has_room(std::min(kDepth / 2, steps))) return 0;
  PaddedRows<T> now(p.w, p.h), next(p.w, p.h);
  const GemmRows<T, Kernel> rows{.p = p, .kernel = kernel, .stride = now.stride};
  now.load(p, t, window.base);
  const int64_t strips = threads && p.h >= 64 ? 2 * thread_count() : 1;
  int64_t s = first;
  for (int64_t depth = 0; s < first + steps; s += depth) {
    depth = std::min(kDepth, first + steps - s);
    if (!window.has_room(depth)) {
      now.subtract(window.move(now.span(p)));
      if (!window.has_room(depth)) depth = std::min(depth, kDepth / 2);
      if (!window.has_room(depth)) break;
    }
    window.latest += window.step * depth;
    auto some = [&](int64_t begin, int64_t end) {
      std::vector<T> between(static_cast<size_t>(2 * depth) * now.stride);
      for (int64_t strip = begin; strip < end; strip++)
        advance_strip(rows, p.h * strip / strips, p.h * (strip + 1) / strips, s, depth, now, next, between);
    };
    if (threads)
      parallel_for(0, strips, 1, some);
    else
      some(0, strips);
    std::swap(now, next);
  }
  now.store(p, t, window.base);
  return s - first;
}

}  // namespace wafer::time::inl
