// MeshGEMM and GEMM-T on the clocks of a rectangle: what the steps need is set up here, product_steps.cc advances the clocks.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <map>

#include "base/check.h"
#include "base/parallel.h"
#include "time/clocks.h"
#include "time/product_align.h"
#include "time/product_schedule.h"
#include "time/product_steps.h"

namespace wafer::time {

using namespace mesh;

Packing packing(const Device& d, Dtype type, int64_t rate) {
  const int64_t bits = d.wavelet_bits * rate;
  int64_t shift = 0;
  while ((int64_t{1} << shift) < bits) shift++;
  CHECK((int64_t{1} << shift) == bits, "{} wavelets of {} bits a cycle", rate, d.wavelet_bits);
  return {.bits = bytes(type, 8), .round = bits - 1, .shift = shift};  // of one element: the bytes of eight
}

int64_t background_steal(const Device& d) { return std::llround(std::ldexp(d.background_wavelet_cycles, kStealShift)); }

Packing by_wavelet(const Device& d, Packing p) {
  for (int64_t rate = stream_rate(d); rate > 1; rate /= 2) p.shift--;
  p.round = (int64_t{1} << p.shift) - 1;
  return p;
}

namespace {

// The clocks of a rectangle, in ring order along both axes.
template <class T>
struct Rectangle {
  Range columns;
  std::vector<int> x, y;  // [w], [h] physical column and row of each ring position
  std::vector<T> t;       // [h][w]
};

template <class T>
Rectangle<T> gather(Clocks<T>& c, Range columns, LineOrder order = LineOrder::interleaved) {
  Rectangle<T> r{.columns = columns, .x = {}, .y = {}, .t = {}};
  const int w = static_cast<int>(columns.size());
  for (int j = 0; j < w; j++) r.x.push_back(static_cast<int>(columns.begin) + ring_to_position(order, j, w));
  for (int i = 0; i < c.h; i++) r.y.push_back(ring_to_position(order, i, c.h));
  r.t.reserve(r.x.size() * r.y.size());
  for (int y : r.y) {
    const T* row = c.row(y);
    for (int x : r.x) r.t.push_back(row[x]);
  }
  return r;
}

template <class T>
void scatter(const Rectangle<T>& r, Clocks<T>& c) {
  const T* t = r.t.data();
  for (int y : r.y) {
    T* row = c.row(y);
    for (int x : r.x) row[x] = *t++;
  }
  std::atomic_ref<T>(c.most).store(Clocks<T>::kUnknown, std::memory_order_relaxed);  // other rectangles do the same
}

std::vector<int64_t> ring_hops(LineOrder order, int n) {
  std::vector<int64_t> hops;
  for (int c = 0; c < n; c++) hops.push_back(std::abs(ring_to_position(order, (c + 1) % n, n) - ring_to_position(order, c, n)));
  return hops;
}

// A shift on a ring of so many cores.
StreamActions ring_shift(int cores) { return cores > 1 ? shift_actions() : StreamActions{}; }

ProductSteps steps_of(Extent region, const Device& d, Numerics numerics, const ProductSizes& z) {
  ProductSteps p{.w = static_cast<int>(z.columns.size()), .h = region.h};
  p.L = std::max(p.w, p.h);
  p.x_hops = ring_hops(z.order, p.w);
  p.y_hops = ring_hops(z.order, p.h);
  for (int i = 0; i < p.h; i++) p.own_rows.push_back(logical_positions(i, p.h, p.L));
  for (int j = 0; j < p.w; j++) {
    p.own_cols.push_back(logical_positions(j, p.w, p.L));
    p.ring_of.push_back(position_to_ring(z.order, j, p.w));
  }
  p.rows = z.rows;
  p.n = z.n;
  for (int64_t rows : z.rows) p.rate.push_back(tile_rate(d, numerics, rows));
  p.a = packing(d, z.a, stream_rate(d));
  p.b = packing(d, z.b, stream_rate(d));
  p.sum = packing(d, z.sum, stream_rate(d));
  if (p.w == 1) p.a.bits = 0;
  if (p.h == 1) p.b.bits = 0;
  const StreamActions exchange = ring_shift(p.w) + ring_shift(p.h);
  p.issue = issue_cycles(d, exchange);
  p.finish = task_cycles(d, exchange) + turn_cycles(d);
  p.latency = 2 * d.ramp_cycles;
  p.steal = background_steal(d);
  p.reduce_issue = stream_issue_cycles(d);
  p.ramp = d.ramp_cycles;
  p.hop = d.hop_cycles;
  p.forward = z.sum == Dtype::f16 ? d.forward_f16_cycles : 0;
  return p;
}

int64_t total(const std::vector<int64_t>& v) {
  int64_t sum = 0;
  for (int64_t n : v) sum = checked_add(sum, n);
  return sum;
}

// Wavelets that the tiles at the edge of a run of logical positions take over one whole turn of the ring: sum over m of
// wavelets(sum over own q of sizes[q] * k[m + q]).
int64_t edge_words(const ProductSteps& p, const Packing& packing, const std::vector<int64_t>& sizes, Range own,
                   std::map<std::vector<int64_t>, int64_t>& known) {
  const std::vector<int64_t> key(sizes.begin() + own.begin, sizes.begin() + own.end);
  const auto [it, fresh] = known.try_emplace(key, 0);
  if (!fresh) return it->second;
  for (int m = 0; m < p.L; m++) {
    int64_t elements = 0;
    for (size_t q = 0; q < key.size(); q++) elements += key[q] * p.k[(static_cast<size_t>(m) + q) % static_cast<size_t>(p.L)];
    it->second = checked_add(it->second, packing.wavelets(elements));
  }
  return it->second;
}

// Cycles for one k of all pairs of a row tile and a column tile.
int64_t cycles_per_k(const ProductSteps& p) {
  const int64_t columns = p.L - std::count(p.n.begin(), p.n.end(), 0), n = total(p.n);
  int64_t sum = 0;
  for (const TileRate& rate : p.rate) sum = checked_add(sum, checked_add(columns * rate.per_k, checked_mul(n, rate.per_kn)));
  return sum;
}

int64_t tiles_with_work(const ProductSteps& p) {
  return (p.L - std::count(p.rows.begin(), p.rows.end(), 0)) * (p.L - std::count(p.n.begin(), p.n.end(), 0));
}

// What a step's product takes of the core at ring position (i, j).
int64_t gemm_product(const ProductSteps& p, int64_t s, size_t i, size_t j) {
  int64_t cycles = 0;
  for (int64_t l = p.own_rows[i].begin; l < p.own_rows[i].end; l++)
    for (int64_t c = p.own_cols[j].begin; c < p.own_cols[j].end; c++)
      cycles +=
          p.k[static_cast<size_t>((l + c + s) % p.L)] * tile_cycles_per_k(p.rate[static_cast<size_t>(l)], p.n[static_cast<size_t>(c)]);
  return cycles;
}
int64_t gemm_t_product(const ProductSteps& p, int64_t s, size_t i, size_t j) {
  int64_t cycles = 0;
  for (int64_t l = p.own_rows[i].begin; l < p.own_rows[i].end; l++)
    cycles += p.k[j] * tile_cycles_per_k(p.rate[static_cast<size_t>(l)], p.n[static_cast<size_t>((l + s) % p.L)]);
  return cycles;
}

// Steps without overlap: every core's product, then the transfers, from which the product is taken out.
template <class T, class Product, class Advance>
void apart_steps(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps, Product product, Advance advance) {
  ProductSteps exchange = p;
  exchange.rate.assign(p.rate.size(), {});
  exchange.steal = 0;
  for (int64_t s = first; s < first + steps; s++) {
    parallel_for(0, p.h, 16, [&](int64_t begin, int64_t end) {
      for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i++)
        for (size_t j = 0; j < static_cast<size_t>(p.w); j++) t[i * static_cast<size_t>(p.w) + j] += static_cast<T>(product(p, s, i, j));
    });
    advance(exchange, t, s, 1);
  }
}
template <class T>
void gemm_steps_apart(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  apart_steps(p, t, first, steps, gemm_product, gemm_steps<T>);
}
template <class T>
void gemm_t_steps_apart(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  apart_steps(p, t, first, steps, gemm_t_product, gemm_t_steps<T>);
}

// Each step on all cores when the one before has ended on all of them.
template <class T>
void together_steps_apart(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  for (int64_t s = first; s < first + steps; s++) {
    std::fill(t.begin(), t.end(), *std::max_element(t.begin(), t.end()));
    gemm_steps_apart(p, t, s, 1);
  }
  std::fill(t.begin(), t.end(), *std::max_element(t.begin(), t.end()));
}

// Whether every step of a product costs every core the same: equal tiles, and so equal words, everywhere.
bool equal_steps(const ProductSteps& p) {
  auto all_equal = [](const std::vector<int64_t>& v) { return std::adjacent_find(v.begin(), v.end(), std::not_equal_to<>()) == v.end(); };
  return all_equal(p.k) && all_equal(p.rows) && all_equal(p.n);
}

// The steps of a product whose steps are equal. Clocks are a max-plus system: once a few steps leave the pattern of clocks as they found
// it, so do all later ones, exactly.
template <class T, class Advance>
void repeated_steps(std::vector<T>& t, const ProductSteps& p, Advance advance) {
  constexpr int64_t kTurn = 16;
  int64_t done = 0;
  for (std::vector<T> before; done + 2 * kTurn <= p.L; done += kTurn) {
    before = t;
    advance(p, t, done, kTurn);
    const T shift = t[0] - before[0];
    bool same = true;
    for (size_t q = 0; same && q < t.size(); q++) same = t[q] - before[q] == shift;
    if (!same) continue;
    const int64_t turns = (p.L - done - kTurn) / kTurn;
    for (T& v : t) v += static_cast<T>(turns) * shift;
    done += (turns + 1) * kTurn;
    break;
  }
  advance(p, t, done, p.L - done);
}

// All steps of the ring, or the first `sampled` and the others at the mean rate of the second half of those.
template <class T, class Advance>
void all_steps(Rectangle<T>& r, const ProductSteps& p, int64_t sampled, bool repeats, Advance advance) {
  if (repeats) return repeated_steps(r.t, p, advance);
  if (sampled < 2 || 2 * sampled >= p.L) return advance(p, r.t, 0, p.L);
  auto sum = [&] {
    double all = 0;
    for (T v : r.t) all += static_cast<double>(v);
    return all;
  };
  const int64_t half = sampled / 2;
  advance(p, r.t, 0, half);
  const double before = sum();
  advance(p, r.t, half, sampled - half);
  const double rate = (sum() - before) / static_cast<double>(r.t.size()) / static_cast<double>(sampled - half);
  const T rest = static_cast<T>(rate * static_cast<double>(p.L - sampled));
  for (T& v : r.t) v += rest;
}

}  // namespace

ProductSteps gemm_setup(Extent region, const Device& d, Numerics numerics, const ProductSizes& z) {
  ProductSteps p = steps_of(region, d, numerics, z);
  for (int64_t k : z.k) p.k.push_back(checked_mul(k, z.heads));
  return p;
}

ProductSteps gemm_t_setup(Extent region, const Device& d, Numerics numerics, const ProductSizes& z) {
  ProductSteps p = steps_of(region, d, numerics, z);
  for (int j = 0; j < p.w; j++) p.k.push_back(checked_mul(z.k[static_cast<size_t>(ring_to_position(j, p.w))], z.heads));
  for (int64_t& rows : p.rows) rows = checked_mul(rows, z.heads);  // of the partial tiles that the row sums carry
  p.issue = issue_cycles(d, ring_shift(p.h));                      // only B moves
  p.finish = task_cycles(d, ring_shift(p.h)) + turn_cycles(d);
  return p;
}

void append_key(std::vector<int64_t>& key, const ProductSizes& z) {
  key.insert(key.end(), {z.columns.begin, z.columns.end, static_cast<int64_t>(z.a), static_cast<int64_t>(z.b), static_cast<int64_t>(z.sum),
                         z.heads, z.align_a, z.align_b, z.overlap, z.together, static_cast<int64_t>(z.order)});
  for (const std::vector<int64_t>* list : {&z.rows, &z.k, &z.n}) {
    key.push_back(static_cast<int64_t>(list->size()));
    key.insert(key.end(), list->begin(), list->end());
  }
}

template <class T>
void time_gemm(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& z, int64_t sampled_steps, Tally& tally) {
  Rectangle<T> r = gather(c, z.columns, z.order);
  const ProductSteps p = gemm_setup({c.w, c.h}, d, numerics, z);
  const Alignment rows = z.align_a ? alignment(p, d, true) : Alignment{}, columns = z.align_b ? alignment(p, d, false) : Alignment{};
  const T most = *std::max_element(r.t.begin(), r.t.end());
  if (!fits(c, most, gemm_rise(p) + rows.rise + columns.rise)) return;
  align<T>(rows, r.t, p);
  align<T>(columns, r.t, p);
  if (!z.together)
    all_steps(r, p, sampled_steps, equal_steps(p), z.overlap ? gemm_steps<T> : gemm_steps_apart<T>);
  else if (z.overlap)
    std::fill(r.t.begin(), r.t.end(), *std::max_element(r.t.begin(), r.t.end()) + static_cast<T>(gemm_cycles_together(p)));
  else
    all_steps(r, p, sampled_steps, equal_steps(p), together_steps_apart<T>);
  scatter(r, c);

  // Over a whole turn every core meets every block of k once, so what the steps do is known without them.
  const int64_t k = total(p.k);
  std::map<std::vector<int64_t>, int64_t> known_a, known_b;
  int64_t a = 0, b = 0;
  for (const Range& own : p.own_rows) a = checked_add(a, edge_words(p, by_wavelet(d, p.a), p.rows, own, known_a));
  for (const Range& own : p.own_cols) b = checked_add(b, edge_words(p, by_wavelet(d, p.b), p.n, own, known_b));
  const int64_t sent = checked_add(checked_mul(a, p.w), checked_mul(b, p.h));
  add(tally, rows.tally);
  add(tally, columns.tally);
  add(tally, {.compute = static_cast<double>(k) * static_cast<double>(cycles_per_k(p)),
              .wavelets = sent,
              .hops = checked_add(checked_mul(a, total(p.x_hops)), checked_mul(b, total(p.y_hops))),
              .received = sent,
              .multiply_adds = checked_mul(total(p.rows), k, total(p.n))});
  const int64_t turns = int64_t{p.L} * p.w * p.h;
  book_product_actions(d, turns * (ring_shift(p.w) + ring_shift(p.h) + turn_actions()), turns, checked_mul(k, tiles_with_work(p)), tally);
}

template <class T>
void time_gemm_t(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& z, int64_t sampled_steps, Tally& tally) {
  Rectangle<T> r = gather(c, z.columns);
  const ProductSteps p = gemm_t_setup({c.w, c.h}, d, numerics, z);
  if (!fits(c, *std::max_element(r.t.begin(), r.t.end()), gemm_t_rise(p))) return;
  all_steps(r, p, sampled_steps, false, z.overlap ? gemm_t_steps<T> : gemm_t_steps_apart<T>);
  scatter(r, c);

  const int64_t k = total(p.k), steps = int64_t{p.L} * p.w * p.h;
  const Packing b = by_wavelet(d, p.b), sums = by_wavelet(d, p.sum);
  int64_t sent = 0, hops = 0;
  for (int64_t dims : p.k) {
    int64_t words = 0;
    for (int64_t n : p.n) words = checked_add(words, b.wavelets(n * dims));
    sent = checked_add(sent, checked_mul(words, p.h));
    hops = checked_add(hops, checked_mul(words, total(p.y_hops)));
  }
  // Each logical row's sum of each block: over the links between neighbours, from both ends to the block's column.
  std::map<int64_t, int64_t> words_of;  // of all blocks
  for (int64_t rows : p.rows) {
    const auto [it, fresh] = words_of.try_emplace(rows, 0);
    for (size_t block = 0; fresh && block < p.n.size(); block++) it->second = checked_add(it->second, sums.wavelets(rows * p.n[block]));
    const int64_t words = checked_mul(it->second, p.w - 1);
    sent = checked_add(sent, words);
    hops = checked_add(hops, words);
  }
  StreamActions row_sums;
  for (int root = 0; root < p.w; root++)
    for (int x = 0; x < p.w; x++) {
      const size_t ring = static_cast<size_t>(position_to_ring(root, p.w));
      row_sums = row_sums + p.L * p.own_cols[ring].size() * row_sum_actions(x, root, p.w);
    }
  add(tally, {.compute = static_cast<double>(k) * static_cast<double>(cycles_per_k(p)),
              .wavelets = sent,
              .hops = hops,
              .received = sent,
              .multiply_adds = checked_mul(total(z.rows), k, total(p.n))});
  book_product_actions(d, steps * (ring_shift(p.h) + turn_actions()) + row_sums, steps, checked_mul(k, tiles_with_work(p)), tally);
}

#define WAFER_PRODUCTS(T)                                                                             \
  template void time_gemm(Clocks<T>&, const Device&, Numerics, const ProductSizes&, int64_t, Tally&); \
  template void time_gemm_t(Clocks<T>&, const Device&, Numerics, const ProductSizes&, int64_t, Tally&);
WAFER_PRODUCTS(uint32_t)
WAFER_PRODUCTS(uint64_t)
#undef WAFER_PRODUCTS

}  // namespace wafer::time
