// The steps of a GEMM-T, driven over blocks of kLanes rows and threads. `Kernel` gives the inner loop: block(b).
#pragma once
#include <algorithm>
#include <map>

#include "base/parallel.h"
#include "time/clock_window-inl.h"
#include "time/product_steps-inl.h"

namespace wafer::time::inl {

// What does not change from step to step. A row of cores that holds one logical position reads slices of tables by block, twice round the
// ring; where rows hold several, GemmTTurn sums up at each step.
template <class T>
struct GemmTTables {
  int64_t blocks = 0, stride = 0;                  // of rows; between columns of the clocks [w][stride]
  bool single = true;                              // one logical position a row
  int64_t sums = 1;                                // the most that a row has
  std::vector<T> dims;                             // [w]
  std::vector<int> dims_class;                     // [w] columns of equally many dims
  std::vector<std::vector<T>> words;               // [classes] ring: wavelets of B
  std::vector<T> n, root;                          // rings: keys of a block, and the column at which its sums end
  std::vector<T> y_ways, per_k, per_kn, sum_bits;  // [lanes] of rows
  size_t lanes() const { return static_cast<size_t>(blocks * kLanes); }
};

template <class T>
GemmTTables<T> gemm_t_tables(const ProductSteps& p) {
  GemmTTables<T> out;
  out.blocks = (p.h + kLanes - 1) / kLanes;
  out.stride = out.blocks * kLanes + 1;
  out.single = p.h == p.L;
  for (const mesh::Range& own : p.own_rows) out.sums = std::max(out.sums, own.size());
  std::map<int64_t, int> classes;
  for (int j = 0; j < p.w; j++) {
    const int64_t dims = p.k[static_cast<size_t>(j)];
    out.dims.push_back(static_cast<T>(dims));
    out.dims_class.push_back(classes.try_emplace(dims, static_cast<int>(classes.size())).first->second);
  }
  std::vector<int> root_of_block(static_cast<size_t>(p.L));
  for (int j = 0; j < p.w; j++)
    for (int64_t c = p.own_cols[static_cast<size_t>(j)].begin; c < p.own_cols[static_cast<size_t>(j)].end; c++)
      root_of_block[static_cast<size_t>(c)] = mesh::ring_to_position(j, p.w);
  const size_t ring = static_cast<size_t>(2 * p.L) + static_cast<size_t>(kLanes) + 1;
  out.words.assign(classes.size(), std::vector<T>(ring));
  for (size_t m = 0; m < ring; m++) {
    const size_t block = m % static_cast<size_t>(p.L);
    out.n.push_back(static_cast<T>(p.n[block]));
    out.root.push_back(static_cast<T>(root_of_block[block]));
    for (const auto& [dims, c] : classes) out.words[static_cast<size_t>(c)][m] = static_cast<T>(p.b.wavelets(p.n[block] * dims));
  }
  for (std::vector<T>* v : {&out.y_ways, &out.per_k, &out.per_kn, &out.sum_bits}) v->resize(out.lanes());
  for (int i = 0; i < p.h; i++) {
    const size_t at = static_cast<size_t>(i), l = static_cast<size_t>(p.own_rows[at].begin);
    out.y_ways[at] = static_cast<T>(y_way(p, i));
    out.per_k[at] = static_cast<T>(p.rate[l].per_k);
    out.per_kn[at] = static_cast<T>(p.rate[l].per_kn);
    out.sum_bits[at] = static_cast<T>(p.rows[l] * p.sum.bits);
  }
  return out;
}

// What a step asks of each row.
template <class T>
struct GemmTTurn {
  std::vector<T> product;                       // [lanes] cycles of the product for one dim
  std::vector<T> sum_words;                     // [sums][lanes] cycles in which a logical row's sums pass, of nothing as of a wavelet
  std::vector<T> root;                          // [sums][lanes]; only where rows hold several positions, as what follows
  std::vector<std::vector<T>> words, arriving;  // [classes][lanes] wavelets of B that leave and that come in

  explicit GemmTTurn(const GemmTTables<T>& tables)
      : product(tables.lanes()),
        sum_words(tables.lanes() * static_cast<size_t>(tables.sums)),
        root(sum_words.size()),
        words(tables.words.size(), std::vector<T>(tables.lanes())),
        arriving(words) {}

  void fill(const ProductSteps& p, const GemmTTables<T>& tables, int64_t s) {
    if (tables.single)
      fill_single(p, tables, static_cast<size_t>(s % p.L));
    else
      for (int i = 0; i < p.h; i++) fill_sum(p, tables, s, i);
  }
  void fill_single(const ProductSteps& p, const GemmTTables<T>& tables, size_t turn) {
    const T* n = tables.n.data() + turn;
    const T round = static_cast<T>(p.sum.round), shift = static_cast<T>(p.sum.shift);
    for (size_t i = 0; i < static_cast<size_t>(p.h); i++) {
      product[i] = n[i] == 0 ? 0 : tables.per_k[i] + n[i] * tables.per_kn[i];
      sum_words[i] = larger<T>(1, (tables.sum_bits[i] * n[i] + round) >> shift);
    }
  }
  void fill_sum(const ProductSteps& p, const GemmTTables<T>& tables, int64_t s, int i) {
    const mesh::Range own = p.own_rows[static_cast<size_t>(i)], below = p.own_rows[static_cast<size_t>((i + 1) % p.h)];
    const size_t at = static_cast<size_t>(i), leaves = static_cast<size_t>((own.begin + s) % p.L),
                 comes = static_cast<size_t>((below.begin + s) % p.L);
    int64_t cycles = 0;
    for (int64_t l = own.begin; l < own.end; l++) {
      const size_t block = static_cast<size_t>((l + s) % p.L), sum = static_cast<size_t>(l - own.begin) * tables.lanes() + at;
      const int64_t n = p.n[block];
      cycles += tile_cycles_per_k(p.rate[static_cast<size_t>(l)], n);
      sum_words[sum] = static_cast<T>(std::max<int64_t>(1, p.sum.wavelets(p.rows[static_cast<size_t>(l)] * n)));
      root[sum] = tables.root[block];
    }
    product[at] = static_cast<T>(cycles);
    for (size_t c = 0; c < words.size(); c++) {
      words[c][at] = tables.words[c][leaves];
      arriving[c][at] = tables.words[c][comes];
    }
  }
};

// Step s on the rows of block b; `more` steps came before it in the same call.
template <class T, class Kernel>
void gemm_t_block_step(const ProductSteps& p, const GemmTTables<T>& tables, const GemmTTurn<T>& turn, int64_t s, bool more, int64_t b,
                       const std::vector<T>& now, std::vector<T>& next, const Kernel& kernel) {
  const int64_t i = b * kLanes, real = std::min<int64_t>(kLanes, p.h - i), at = s % p.L + i;
  std::vector<const T*> words, arriving;
  for (size_t c = 0; c < tables.words.size(); c++) {
    words.push_back(tables.single ? tables.words[c].data() + at : turn.words[c].data() + i);
    arriving.push_back(tables.single ? tables.words[c].data() + at + 1 : turn.arriving[c].data() + i);
  }
  const T* root = tables.single ? tables.root.data() + at : turn.root.data() + i;
  auto [first_root, last_root] = std::pair{0, p.w - 1};
  if (tables.sums == 1) {
    const auto [least, most] = std::minmax_element(root, root + real);
    first_root = static_cast<int>(*least);
    last_root = static_cast<int>(*most);
  }
  kernel.block(GemmTBlock<T>{.w = p.w,
                             .stride = tables.stride,
                             .t = now.data() + i,
                             .out = next.data() + i,
                             .dims = tables.dims.data(),
                             .dims_class = tables.dims_class.data(),
                             .words = words.data(),
                             .arriving = arriving.data(),
                             .product = turn.product.data() + i,
                             .y_ways = tables.y_ways.data() + i,
                             .sums = tables.sums,
                             .lanes = static_cast<int64_t>(tables.lanes()),
                             .root = root,
                             .sum_words = turn.sum_words.data() + i,
                             .ring_of = p.ring_of.data(),
                             .first_root = first_root,
                             .last_root = last_root,
                             .issue = static_cast<T>(p.issue + (more ? p.finish : 0)),  // the step before ends with its tasks
                             .steal = static_cast<T>(p.steal),
                             .reduce_issue = static_cast<T>(p.reduce_issue),
                             .ramp = static_cast<T>(p.ramp),
                             .hop = static_cast<T>(p.hop),
                             .forward = static_cast<T>(p.forward)});
}

// In clocks of T, as drive_gemm().
template <class T, class W, class Kernel>
int64_t drive_gemm_t(const ProductSteps& p, std::vector<W>& t, int64_t first, int64_t steps, bool threads, const Kernel& kernel) {
  Window<T, W> window(t, std::is_same_v<T, W> ? Bound() : gemm_t_step_rise(p).step);
  if (!window.has_room(std::min<int64_t>(1, steps))) return 0;
  const GemmTTables<T> tables = gemm_t_tables<T>(p);
  GemmTTurn<T> turn(tables);
  std::vector<T> now(static_cast<size_t>(tables.stride) * static_cast<size_t>(p.w)),
      next(now.size());  // [w][stride], rows of cores contiguous
  auto cell = [&](int i, int j) { return static_cast<size_t>(j) * static_cast<size_t>(tables.stride) + static_cast<size_t>(i); };
  auto clock = [&](int i, int j) -> W& { return t[static_cast<size_t>(i) * static_cast<size_t>(p.w) + static_cast<size_t>(j)]; };
  for (int i = 0; i < p.h; i++)
    for (int j = 0; j < p.w; j++) now[cell(i, j)] = static_cast<T>(clock(i, j) - window.base);
  int64_t s = first;
  for (; s < first + steps; s++) {
    if (!window.has_room(1)) {
      Span<T> span;
      for (int j = 0; j < p.w; j++) span.add(now.data() + cell(0, j), p.h);
      const T earliest = window.move(span);
      for (T& v : now) v -= earliest;
    }
    if (!window.has_room(1)) break;
    window.latest += window.step;
    turn.fill(p, tables, s);
    for (int j = 0; j < p.w; j++) now[cell(p.h, j)] = now[cell(0, j)];
    auto some = [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; b++) gemm_t_block_step(p, tables, turn, s, s > first, b, now, next, kernel);
    };
    if (threads)
      parallel_for(0, tables.blocks, 1, some);
    else
      some(0, tables.blocks);
    std::swap(now, next);
  }
  const W later = window.base + static_cast<W>(s > first ? p.finish : 0);
  for (int i = 0; i < p.h; i++)
    for (int j = 0; j < p.w; j++) clock(i, j) = later + now[cell(i, j)];
  return s - first;
}

}  // namespace wafer::time::inl
