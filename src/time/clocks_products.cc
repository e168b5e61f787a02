// MeshGEMM and GEMM-T on the clocks of a rectangle: what the steps need is set up here, product_steps.cc advances the clocks.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <map>

#include "base/check.h"
#include "base/parallel.h"
#include "time/clocks.h"
#include "time/product_steps.h"

namespace wafer::time {

using namespace mesh;

Packing packing(const Device& d, Dtype type, int64_t rate) {
  const int64_t bits = d.wavelet_bits * rate;
  int64_t shift = 0;
  while ((int64_t{1} << shift) < bits) shift++;
  CHECK((int64_t{1} << shift) == bits, "{} wavelets of {} bits a cycle", rate, d.wavelet_bits);
  return {.bits = 8 * bytes(type, 1), .round = bits - 1, .shift = shift};
}

int64_t background_steal(const Device& d) { return std::llround(std::ldexp(d.background_wavelet_cycles, kStealShift)); }

void book_step_actions(const Device& d, int64_t exchanges, int64_t operations, int64_t tasks, int64_t k_turns, Tally& tally) {
  const int64_t issued = checked_mul(exchanges, operations), loaded = checked_add(issued, checked_mul(3, k_turns));
  const int64_t step = tasks > 1 ? d.exchange_step_cycles : 0;  // an alignment is no compute-shift step
  add(tally,
      {.communicate =
           static_cast<double>(checked_mul(exchanges, operations * stream_issue_cycles(d) + tasks * d.task_activation_cycles + step)),
       .actions = {.stream_ops = issued, .descriptor_loads = loaded, .descriptor_edits = loaded, .tasks = checked_mul(exchanges, tasks)}});
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

// The same elements by the wavelet.
Packing counted(const Device& d, Packing p) {
  for (int64_t rate = stream_rate(d); rate > 1; rate /= 2) p.shift--;
  p.round = (int64_t{1} << p.shift) - 1;
  return p;
}

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
  // Machine actions around one compute-shift step, as the authors' code issues them: four edits, loads and stream operations issue the
  // exchange; four tasks start: x finished, y finished, both finished, next step.
  p.issue = 4 * stream_issue_cycles(d);
  p.finish = 4 * d.task_activation_cycles + d.exchange_step_cycles;
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

// Tiles that move to their place before the first step, along rows (A) or columns (B): at most half a ring in the shorter sense; a core
// with nothing to move waits for nobody.
struct Alignment {
  bool rows = true;
  std::vector<int64_t> moves, words;  // [lines]; none: nothing to do
  int64_t issue = 0, finish = 0;
  Bound rise;
  Tally tally;
};

Alignment alignment(const ProductSteps& p, const Device& d, const ProductSizes& z, bool rows) {
  const int lines = rows ? p.h : p.w, length = rows ? p.w : p.h;
  Alignment a{.rows = rows, .moves = {}, .words = {}, .issue = p.issue / 2, .finish = d.task_activation_cycles, .rise = {}, .tally = {}};
  if (length == 1) return a;
  const std::vector<int64_t>& hops = rows ? p.x_hops : p.y_hops;
  const int64_t k_most = *std::max_element(z.k.begin(), z.k.end());
  const Packing packing = rows ? p.a : p.b;
  for (int line = 0; line < lines; line++) {
    const Range own = rows ? p.own_rows[static_cast<size_t>(line)] : p.own_cols[static_cast<size_t>(line)];
    int64_t size = 0, moves = 0;
    for (int64_t l = own.begin; l < own.end; l++) {
      moves = std::max(moves, std::min<int64_t>(l, p.L - l));
      size = checked_add(size, rows ? z.rows[static_cast<size_t>(l)] : z.n[static_cast<size_t>(l)]);
    }
    const int64_t elements = checked_mul(size, k_most, rows ? z.heads : 1);
    checked_mul(elements, packing.bits);
    const int64_t words = std::max<int64_t>(1, packing.wavelets(elements));
    a.moves.push_back(moves);
    a.words.push_back(words);
    a.rise = larger(a.rise, Bound(moves) * (Bound(a.issue + a.finish + p.latency + *std::max_element(hops.begin(), hops.end())) + words));
    const int64_t sent = checked_mul(std::max<int64_t>(1, counted(d, packing).wavelets(elements)), moves);
    add(a.tally, {.wavelets = checked_mul(sent, length), .hops = checked_mul(sent, total(hops)), .received = checked_mul(sent, length)});
    book_step_actions(d, moves * length, 2, 1, 0, a.tally);
  }
  return a;
}

template <class T>
void align(const Alignment& a, std::vector<T>& clocks, const ProductSteps& p) {
  const int lines = static_cast<int>(a.moves.size()), length = a.rows ? p.w : p.h;
  AlignLine<T> one{.hops = {}, .issue = static_cast<T>(a.issue), .finish = static_cast<T>(a.finish), .latency = static_cast<T>(p.latency)};
  for (int64_t v : a.rows ? p.x_hops : p.y_hops) one.hops.push_back(static_cast<T>(v));
  parallel_for(0, lines, 16, [&](int64_t begin, int64_t end) {
    std::vector<T> t(static_cast<size_t>(length) + 1), scratch;
    for (int64_t line = begin; line < end; line++) {
      auto at = [&](int q) -> T& {
        const size_t i = static_cast<size_t>(a.rows ? line : q), j = static_cast<size_t>(a.rows ? q : line);
        return clocks[i * static_cast<size_t>(p.w) + j];
      };
      for (int q = 0; q < length; q++) t[static_cast<size_t>(q)] = at(q);
      align_line(one, t, scratch, static_cast<T>(a.words[static_cast<size_t>(line)]), a.moves[static_cast<size_t>(line)]);
      for (int q = 0; q < length; q++) at(q) = t[static_cast<size_t>(q)];
    }
  });
}

// Steps without overlap: every core's product, then the exchange, from which the product is taken out.
template <class T>
void apart_steps(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  ProductSteps exchange = p;
  exchange.rate.assign(p.rate.size(), {});
  exchange.steal = 0;
  for (int64_t s = first; s < first + steps; s++) {
    parallel_for(0, p.h, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        for (int j = 0; j < p.w; j++) {
          int64_t cycles = 0;
          const Range rows = p.own_rows[static_cast<size_t>(i)], cols = p.own_cols[static_cast<size_t>(j)];
          for (int64_t l = rows.begin; l < rows.end; l++)
            for (int64_t c = cols.begin; c < cols.end; c++)
              cycles += p.k[static_cast<size_t>((l + c + s) % p.L)] *
                        tile_cycles_per_k(p.rate[static_cast<size_t>(l)], p.n[static_cast<size_t>(c)]);
          t[static_cast<size_t>(i) * static_cast<size_t>(p.w) + static_cast<size_t>(j)] += static_cast<T>(cycles);
        }
    });
    gemm_steps(exchange, t, s, 1);
  }
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
  p.issue /= 2;                                                    // only B moves
  p.finish = 3 * d.task_activation_cycles + d.exchange_step_cycles;
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
  const Alignment rows = z.align_a ? alignment(p, d, z, true) : Alignment{}, columns = z.align_b ? alignment(p, d, z, false) : Alignment{};
  const T most = *std::max_element(r.t.begin(), r.t.end());
  if (!fits(c, most, gemm_rise(p) + rows.rise + columns.rise)) return;
  align<T>(rows, r.t, p);
  align<T>(columns, r.t, p);
  if (z.together)
    std::fill(r.t.begin(), r.t.end(), *std::max_element(r.t.begin(), r.t.end()) + static_cast<T>(gemm_cycles_together(p)));
  else
    all_steps(r, p, sampled_steps, equal_steps(p), z.overlap ? gemm_steps<T> : apart_steps<T>);
  scatter(r, c);

  // Over a whole turn every core meets every block of k once, so what the steps do is known without them.
  const int64_t k = total(p.k);
  std::map<std::vector<int64_t>, int64_t> known_a, known_b;
  int64_t a = 0, b = 0;
  for (const Range& own : p.own_rows) a = checked_add(a, edge_words(p, counted(d, p.a), p.rows, own, known_a));
  for (const Range& own : p.own_cols) b = checked_add(b, edge_words(p, counted(d, p.b), p.n, own, known_b));
  const int64_t sent = checked_add(checked_mul(a, p.w), checked_mul(b, p.h));
  add(tally, rows.tally);
  add(tally, columns.tally);
  add(tally, {.compute = static_cast<double>(k) * static_cast<double>(cycles_per_k(p)),
              .wavelets = sent,
              .hops = checked_add(checked_mul(a, total(p.x_hops)), checked_mul(b, total(p.y_hops))),
              .received = sent,
              .multiply_adds = checked_mul(total(p.rows), k, total(p.n))});
  book_step_actions(d, int64_t{p.L} * p.w * p.h, 4, 4, checked_mul(k, tiles_with_work(p)), tally);
}

template <class T>
void time_gemm_t(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& z, int64_t sampled_steps, Tally& tally) {
  Rectangle<T> r = gather(c, z.columns);
  const ProductSteps p = gemm_t_setup({c.w, c.h}, d, numerics, z);
  if (!fits(c, *std::max_element(r.t.begin(), r.t.end()), gemm_t_rise(p))) return;
  all_steps(r, p, sampled_steps, false, gemm_t_steps<T>);
  scatter(r, c);

  const int64_t k = total(p.k), steps = int64_t{p.L} * p.w * p.h;
  const Packing b = counted(d, p.b), sums = counted(d, p.sum);
  int64_t sent = 0, hops = 0;
  for (int64_t dims : p.k) {
    int64_t words = 0;
    for (int64_t n : p.n) words = checked_add(words, b.wavelets(n * dims));
    sent = checked_add(sent, checked_mul(words, p.h));
    hops = checked_add(hops, checked_mul(words, total(p.y_hops)));
  }
  for (const Range& own : p.own_rows)
    for (int64_t s = 0; s < p.L; s++) {
      int64_t sum = 0;
      for (int64_t l = own.begin; l < own.end; l++) sum += p.rows[static_cast<size_t>(l)] * p.n[static_cast<size_t>((l + s) % p.L)];
      const int64_t words = checked_mul(std::max<int64_t>(1, sums.wavelets(sum)), p.w - 1);
      sent = checked_add(sent, words);
      hops = checked_add(hops, words);
    }
  add(tally, {.compute = static_cast<double>(k) * static_cast<double>(cycles_per_k(p)),
              .wavelets = sent,
              .hops = hops,
              .received = sent,
              .multiply_adds = checked_mul(total(z.rows), k, total(p.n))});
  book_step_actions(d, steps, 2, 3, checked_mul(k, tiles_with_work(p)), tally);
  book_step_actions(d, steps, p.w > 1 ? 1 : 0, 0, 0, tally);
}

#define WAFER_PRODUCTS(T)                                                                             \
  template void time_gemm(Clocks<T>&, const Device&, Numerics, const ProductSizes&, int64_t, Tally&); \
  template void time_gemm_t(Clocks<T>&, const Device&, Numerics, const ProductSizes&, int64_t, Tally&);
WAFER_PRODUCTS(uint32_t)
WAFER_PRODUCTS(uint64_t)
#undef WAFER_PRODUCTS

}  // namespace wafer::time
