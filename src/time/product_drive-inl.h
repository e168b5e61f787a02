// The steps of a product, driven over rows and threads. `Kernel` gives the inner loops: wide(row, w), tall(row, w), block(b).
#include <map>

#include "base/check.h"
#include "base/parallel.h"
#include "time/product_steps-inl.h"

namespace wafer::time::inl {

// Tables of k and of what depends on a logical row, twice round the ring and one more, so that any start may run over a whole row.
template <class T>
struct Ring {
  std::vector<T> v;
  template <class F>
  Ring(int L, F&& at) {
    v.reserve(static_cast<size_t>(2 * L + 2));
    for (int m = 0; m < 2 * L + 2; m++) v.push_back(static_cast<T>(at(m % L)));
  }
};

template <class T>
struct RowTable {
  Ring<T> product, product_n, a;
};

template <class T, class Kernel>
void drive_gemm(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps, bool threads, const Kernel& kernel) {
  const int w = p.w, h = p.h, L = p.L;
  const bool wide = w >= h;
  const auto [k_low, k_high] = std::minmax_element(p.k.begin(), p.k.end());
  const int64_t low = *k_low, high = *k_high;
  int steal_shift = kStealShift;
  while (steal_shift > 0 && (int64_t{1} << (kStealShift - steal_shift)) < p.steal) steal_shift--;
  const bool square = w == h && std::all_of(p.k.begin(), p.k.end(), [&](int64_t k) { return k == low || k == high; }) &&
                      p.steal == int64_t{1} << (kStealShift - steal_shift);
  const size_t stride = (static_cast<size_t>(w) + 1 + 15) / 16 * 16;  // whole cache lines
  std::vector<T> now(stride * static_cast<size_t>(h)), next(now.size());
  for (int i = 0; i < h; i++)
    std::copy_n(t.data() + static_cast<size_t>(i) * static_cast<size_t>(w), w, now.data() + static_cast<size_t>(i) * stride);
  const Ring<T> k_bits(L, [&](int m) { return p.k[static_cast<size_t>(m)] * p.b.bits; });
  std::vector<T> n, x_ways;
  for (int j = 0; j < w; j++) {
    n.push_back(static_cast<T>(wide ? p.n[static_cast<size_t>(j)] : 0));
    x_ways.push_back(static_cast<T>(p.x_hops[static_cast<size_t>(j)] + p.latency));
  }
  auto at = [&](const std::vector<int64_t>& v, int64_t m) { return v[static_cast<size_t>(m % L)]; };
  std::vector<int64_t> k_twice(p.k), tile_cycles(p.n.size());
  k_twice.insert(k_twice.end(), p.k.begin(), p.k.end());

  // Wide: tables by offset from the row's first logical position; rows that hold one position with equally many tokens share them.
  std::vector<RowTable<T>> tables;
  std::vector<int> table_of(static_cast<size_t>(h));
  // Tall: tables [L][w + 1] by row plus step, for each number of tokens of a row; B is the same for all.
  struct Tall {
    std::vector<T> product, a;
  };
  std::vector<Tall> tall;
  std::vector<T> tall_b;
  std::map<std::vector<int64_t>, int> seen;
  for (int i = 0; i < h; i++) {
    const mesh::Range own = p.own_rows[static_cast<size_t>(i)];
    std::vector<int64_t> key;
    for (int64_t l = own.begin; l < own.end; l++) key.push_back(p.rows[static_cast<size_t>(l)]);
    const auto [it, fresh] = seen.try_emplace(key, static_cast<int>(seen.size()));
    table_of[static_cast<size_t>(i)] = it->second;
    if (!fresh) continue;
    if (square) continue;
    if (wide) {
      auto sum = [&](auto&& term) {
        return Ring<T>(L, [&](int m) {
          int64_t all = 0;
          for (size_t q = 0; q < key.size(); q++) all += at(p.k, m + static_cast<int64_t>(q)) * term(own.begin + static_cast<int64_t>(q));
          return all;
        });
      };
      Ring<T> a = sum([&](int64_t l) { return p.rows[static_cast<size_t>(l)]; });
      for (T& v : a.v) v = static_cast<T>(p.a.wavelets(static_cast<int64_t>(v)));
      tables.push_back({sum([&](int64_t l) { return p.rate[static_cast<size_t>(l)].per_k; }),
                        sum([&](int64_t l) { return p.rate[static_cast<size_t>(l)].per_kn; }), std::move(a)});
      continue;
    }
    CHECK(key.size() == 1, "a tall rectangle with several logical rows on a core");
    const TileRate rate = p.rate[static_cast<size_t>(own.begin)];
    Tall& table = tall.emplace_back();
    table.product.resize(static_cast<size_t>(L) * stride);
    table.a.resize(table.product.size());
    for (size_t c = 0; c < tile_cycles.size(); c++) tile_cycles[c] = tile_cycles_per_k(rate, p.n[c]);
    for (int m = 0; m < L; m++)
      for (int j = 0; j <= w; j++) {
        const mesh::Range cols = p.own_cols[static_cast<size_t>(j % w)];
        int64_t product = 0;
        for (int64_t c = cols.begin; c < cols.end; c++)
          product += k_twice[static_cast<size_t>(m + c)] * tile_cycles[static_cast<size_t>(c)];
        const size_t cell = static_cast<size_t>(m) * stride + static_cast<size_t>(j);
        table.product[cell] = static_cast<T>(product);
        table.a[cell] = static_cast<T>(p.a.wavelets(key[0] * k_twice[static_cast<size_t>(m + cols.begin)]));
      }
  }
  if (!wide) {
    tall_b.resize(static_cast<size_t>(L) * stride);
    for (int m = 0; m < L; m++)
      for (int j = 0; j < w; j++) {
        int64_t elements = 0;
        const mesh::Range cols = p.own_cols[static_cast<size_t>(j)];
        for (int64_t c = cols.begin; c < cols.end; c++) elements += p.n[static_cast<size_t>(c)] * k_twice[static_cast<size_t>(m + c)];
        tall_b[static_cast<size_t>(m) * stride + static_cast<size_t>(j)] = static_cast<T>(p.b.wavelets(elements));
      }
  }

  struct Square {
    std::vector<T> cycles_low, cycles_high;  // of a row of cores with so many tokens
    T a_low = 0, a_high = 0;
  };
  const Ring<T> is_high(L, [&](int m) { return p.k[static_cast<size_t>(m)] == high ? 1 : 0; });
  std::vector<T> b_low, b_high;
  std::vector<Square> squares(square ? seen.size() : 0);
  for (int i = 0; square && i < h; i++) {
    const size_t at_i = static_cast<size_t>(i);
    b_low.push_back(static_cast<T>(p.b.wavelets(p.n[at_i] * low)));
    b_high.push_back(static_cast<T>(p.b.wavelets(p.n[at_i] * high)));
    Square& row = squares[static_cast<size_t>(table_of[at_i])];
    if (!row.cycles_low.empty()) continue;
    row.a_low = static_cast<T>(p.a.wavelets(p.rows[at_i] * low));
    row.a_high = static_cast<T>(p.a.wavelets(p.rows[at_i] * high));
    for (int64_t columns : p.n) {
      row.cycles_low.push_back(static_cast<T>(low * tile_cycles_per_k(p.rate[at_i], columns)));
      row.cycles_high.push_back(static_cast<T>(high * tile_cycles_per_k(p.rate[at_i], columns)));
    }
  }
  auto advance = [&](int64_t i, int64_t s, const T* t_own, const T* t_below, T* out) {
    const int64_t below = (i + 1) % h;
    const size_t m = static_cast<size_t>((p.own_rows[static_cast<size_t>(i)].begin + s) % L),
                 m_below = static_cast<size_t>((p.own_rows[static_cast<size_t>(below)].begin + s) % L);
    const size_t own_table = static_cast<size_t>(table_of[static_cast<size_t>(i)]),
                 below_table = static_cast<size_t>(table_of[static_cast<size_t>(below)]);
    if (square) {
      const Square &own = squares[own_table], &under = squares[below_table];
      kernel.square(SquareRow<T>{.t = t_own,
                                 .t_below = t_below,
                                 .high = is_high.v.data() + m,
                                 .cycles_low = own.cycles_low.data(),
                                 .cycles_high = own.cycles_high.data(),
                                 .b_low = b_low.data(),
                                 .b_high = b_high.data(),
                                 .x_ways = x_ways.data(),
                                 .a_low = own.a_low,
                                 .a_high = own.a_high,
                                 .a_below_low = under.a_low,
                                 .a_below_high = under.a_high,
                                 .y_way = static_cast<T>(p.y_hops[static_cast<size_t>(i)] + p.latency),
                                 .turn = static_cast<T>(p.issue + p.finish),
                                 .latency = static_cast<T>(p.latency),
                                 .steal_shift = static_cast<T>(steal_shift),
                                 .out = out},
                    w);
      out[w] = out[0];
      return;
    }
    GemmRow<T> r{.t = t_own,
                 .t_below = t_below,
                 .n = n.data(),
                 .x_ways = x_ways.data(),
                 .y_way = static_cast<T>(p.y_hops[static_cast<size_t>(i)] + p.latency),
                 .issue = static_cast<T>(p.issue),
                 .finish = static_cast<T>(p.finish),
                 .latency = static_cast<T>(p.latency),
                 .steal = static_cast<T>(p.steal),
                 .round = static_cast<T>(p.b.round),
                 .shift = static_cast<T>(p.b.shift),
                 .out = out};
    if (wide) {
      r.product = tables[own_table].product.v.data() + m;
      r.product_n = tables[own_table].product_n.v.data() + m;
      r.a = tables[own_table].a.v.data() + m;
      r.a_below = tables[below_table].a.v.data() + m_below;
      r.k = k_bits.v.data() + m;
      r.k_below = k_bits.v.data() + m_below;
      kernel.wide(r, w);
    } else {
      r.product = tall[own_table].product.data() + m * stride;
      r.a = tall[own_table].a.data() + m * stride;
      r.a_below = tall[below_table].a.data() + m_below * stride;
      r.b = tall_b.data() + m * stride;
      r.b_below = tall_b.data() + m_below * stride;
      kernel.tall(r, w);
    }
    out[w] = out[0];
  };
  for (int i = 0; i < h; i++) now[static_cast<size_t>(i) * stride + static_cast<size_t>(w)] = now[static_cast<size_t>(i) * stride];
  // Several steps at a time, so that clocks stay in the nearest cache: a row after one step needs itself and the row below after the step
  // before. So step `level` of row i follows step level - 1 of row i + 1, and each level keeps two rows. A strip of rows computes the few
  // rows below it that its last rows need; strips need nothing of each other.
  constexpr int64_t kDepth = 8;
  const int64_t strips = threads && h >= 64 ? 2 * thread_count() : 1;
  for (int64_t s = first; s < first + steps; s += kDepth) {
    const int64_t depth = std::min(kDepth, first + steps - s);
    auto some = [&](int64_t begin, int64_t end) {
      std::vector<T> rows(static_cast<size_t>(2 * depth) * stride);
      for (int64_t strip = begin; strip < end; strip++) {
        const int64_t top = h * strip / strips, bottom = h * (strip + 1) / strips;
        auto row_at = [&](int64_t level, int64_t i) -> T* {  // after `level` steps
          if (level == 0) return now.data() + static_cast<size_t>(i % h) * stride;
          if (level == depth) return next.data() + static_cast<size_t>(i) * stride;
          return rows.data() + static_cast<size_t>(2 * level + (i & 1)) * stride;
        };
        for (int64_t tau = 0; tau < bottom - top + depth - 1; tau++)
          for (int64_t level = 1; level <= depth; level++) {
            const int64_t i = top + tau - (level - 1);
            if (i < top || i >= bottom + depth - level) continue;
            advance(i % h, s + level - 1, row_at(level - 1, i), row_at(level - 1, i + 1), row_at(level, i));
          }
      }
    };
    if (threads)
      parallel_for(0, strips, 1, some);
    else
      some(0, strips);
    std::swap(now, next);
  }
  for (int i = 0; i < h; i++)
    std::copy_n(now.data() + static_cast<size_t>(i) * stride, w, t.data() + static_cast<size_t>(i) * static_cast<size_t>(w));
}

template <class T, class Kernel>
void drive_gemm_t(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps, bool threads, const Kernel& kernel) {
  const int w = p.w, h = p.h, L = p.L;
  const int64_t blocks = (h + kLanes - 1) / kLanes, stride = blocks * kLanes + 1;
  std::vector<T> now(static_cast<size_t>(stride) * static_cast<size_t>(w)), next(now.size());  // [w][stride], rows of cores contiguous
  for (int i = 0; i < h; i++)
    for (int j = 0; j < w; j++)
      now[static_cast<size_t>(j * stride + i)] = t[static_cast<size_t>(i) * static_cast<size_t>(w) + static_cast<size_t>(j)];
  std::vector<T> dims;
  std::vector<int> dims_class;
  std::map<int64_t, int> classes;
  for (int j = 0; j < w; j++) {
    dims.push_back(static_cast<T>(p.k[static_cast<size_t>(j)]));
    dims_class.push_back(classes.try_emplace(p.k[static_cast<size_t>(j)], static_cast<int>(classes.size())).first->second);
  }
  std::vector<int> root_of_block(static_cast<size_t>(L));
  for (int j = 0; j < w; j++)
    for (int64_t c = p.own_cols[static_cast<size_t>(j)].begin; c < p.own_cols[static_cast<size_t>(j)].end; c++)
      root_of_block[static_cast<size_t>(c)] = mesh::ring_to_position(j, w);

  // By row of cores plus step, where a row holds one logical position: slices of tables twice round the ring. Else summed up at each step.
  const bool single = h == L;
  const size_t lanes = static_cast<size_t>(blocks * kLanes), ring = static_cast<size_t>(2 * L) + static_cast<size_t>(kLanes) + 1;
  std::vector<T> product(lanes), y_ways(lanes), sum_words(lanes), per_k(lanes), per_kn(lanes), sum_bits(lanes), n_ring(ring),
      root_ring(ring);
  std::vector<T> root(lanes);
  std::vector<std::vector<T>> words(classes.size(), std::vector<T>(lanes)), arriving = words,
                                                                            words_ring(classes.size(), std::vector<T>(ring));
  for (size_t m = 0; m < ring; m++) {
    const size_t block = m % static_cast<size_t>(L);
    n_ring[m] = static_cast<T>(p.n[block]);
    root_ring[m] = static_cast<T>(root_of_block[block]);
    for (const auto& [d, c] : classes) words_ring[static_cast<size_t>(c)][m] = static_cast<T>(p.b.wavelets(p.n[block] * d));
  }
  for (int i = 0; i < h; i++) {
    const size_t at = static_cast<size_t>(i), l = static_cast<size_t>(p.own_rows[at].begin);
    y_ways[at] = static_cast<T>(p.y_hops[at] + p.latency);
    per_k[at] = static_cast<T>(p.rate[l].per_k);
    per_kn[at] = static_cast<T>(p.rate[l].per_kn);
    sum_bits[at] = static_cast<T>(p.rows[l] * p.sum.bits);
  }
  const T sum_round = static_cast<T>(p.sum.round), sum_shift = static_cast<T>(p.sum.shift);
  for (int64_t s = first; s < first + steps; s++) {
    const size_t turn = static_cast<size_t>(s % L);
    if (single) {
      const T* n = n_ring.data() + turn;
      for (size_t i = 0; i < static_cast<size_t>(h); i++) {
        product[i] = n[i] == 0 ? 0 : per_k[i] + n[i] * per_kn[i];
        sum_words[i] = larger<T>(1, (sum_bits[i] * n[i] + sum_round) >> sum_shift);
      }
    } else {
      for (int i = 0; i < h; i++) {
        const mesh::Range own = p.own_rows[static_cast<size_t>(i)], below = p.own_rows[static_cast<size_t>((i + 1) % h)];
        int64_t cycles = 0, sum = 0;
        for (int64_t l = own.begin; l < own.end; l++) {
          const int64_t n = p.n[static_cast<size_t>((l + s) % L)];
          cycles += tile_cycles_per_k(p.rate[static_cast<size_t>(l)], n);
          sum += p.rows[static_cast<size_t>(l)] * n;
        }
        const size_t at = static_cast<size_t>(i), leaves = static_cast<size_t>((own.begin + s) % L),
                     comes = static_cast<size_t>((below.begin + s) % L);
        product[at] = static_cast<T>(cycles);
        sum_words[at] = static_cast<T>(std::max<int64_t>(1, p.sum.wavelets(sum)));
        root[at] = root_ring[leaves];
        for (size_t c = 0; c < classes.size(); c++) {
          words[c][at] = words_ring[c][leaves];
          arriving[c][at] = words_ring[c][comes];
        }
      }
    }
    for (int j = 0; j < w; j++) now[static_cast<size_t>(j * stride + h)] = now[static_cast<size_t>(j * stride)];
    auto some = [&](int64_t begin, int64_t end) {
      std::vector<const T*> w_at(classes.size()), a_at(classes.size());
      for (int64_t b = begin; b < end; b++) {
        const int64_t i = b * kLanes, real = std::min<int64_t>(kLanes, h - i);
        for (size_t c = 0; c < classes.size(); c++) {
          w_at[c] = single ? words_ring[c].data() + turn + i : words[c].data() + i;
          a_at[c] = single ? words_ring[c].data() + turn + i + 1 : arriving[c].data() + i;
        }
        const T* root_at = single ? root_ring.data() + turn + i : root.data() + i;
        const auto [least, most] = std::minmax_element(root_at, root_at + real);
        kernel.block(GemmTBlock<T>{.w = w,
                                   .stride = stride,
                                   .t = now.data() + i,
                                   .out = next.data() + i,
                                   .dims = dims.data(),
                                   .dims_class = dims_class.data(),
                                   .words = w_at.data(),
                                   .arriving = a_at.data(),
                                   .product = product.data() + i,
                                   .y_ways = y_ways.data() + i,
                                   .root = root_at,
                                   .sum_words = sum_words.data() + i,
                                   .ring_of = p.ring_of.data(),
                                   .first_root = static_cast<int>(*least),
                                   .last_root = static_cast<int>(*most),
                                   // The step before ends with its tasks.
                                   .issue = static_cast<T>(p.issue + (s > first ? p.finish : 0)),
                                   .steal = static_cast<T>(p.steal),
                                   .reduce_issue = static_cast<T>(p.reduce_issue),
                                   .ramp = static_cast<T>(p.ramp),
                                   .hop = static_cast<T>(p.hop),
                                   .forward = static_cast<T>(p.forward)});
      }
    };
    if (threads)
      parallel_for(0, blocks, 1, some);
    else
      some(0, blocks);
    std::swap(now, next);
  }
  const T finish = static_cast<T>(steps > 0 ? p.finish : 0);
  for (int i = 0; i < h; i++)
    for (int j = 0; j < w; j++)
      t[static_cast<size_t>(i) * static_cast<size_t>(w) + static_cast<size_t>(j)] = now[static_cast<size_t>(j * stride + i)] + finish;
}

}  // namespace wafer::time::inl
