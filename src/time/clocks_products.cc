// MeshGEMM and GEMM-T on the clocks of a rectangle: what the steps need is set up here, product_steps.cc advances the clocks.
#include <algorithm>
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
  tally.actions = tally.actions + Actions{.stream_ops = exchanges * operations,
                                          .descriptor_loads = exchanges * operations + 3 * k_turns,
                                          .descriptor_edits = exchanges * operations + 3 * k_turns,
                                          .tasks = exchanges * tasks};
  const int64_t step = tasks > 1 ? d.exchange_step_cycles : 0;  // an alignment is no compute-shift step
  tally.communicate += static_cast<double>(exchanges * (operations * stream_issue_cycles(d) + tasks * d.task_activation_cycles + step));
}

namespace {

// The clocks of a rectangle, in ring order along both axes.
struct Rectangle {
  Range columns;
  std::vector<int> x, y;    // [w], [h] physical column and row of each ring position
  std::vector<uint32_t> t;  // [h][w]
};

Rectangle gather(Clocks& c, Range columns, LineOrder order = LineOrder::interleaved) {
  Rectangle r{.columns = columns, .x = {}, .y = {}, .t = {}};
  const int w = static_cast<int>(columns.size());
  for (int j = 0; j < w; j++) r.x.push_back(static_cast<int>(columns.begin) + ring_to_position(order, j, w));
  for (int i = 0; i < c.h; i++) r.y.push_back(ring_to_position(order, i, c.h));
  r.t.reserve(r.x.size() * r.y.size());
  for (int y : r.y) {
    const uint32_t* row = c.row(y);
    for (int x : r.x) r.t.push_back(row[x]);
  }
  return r;
}

void scatter(const Rectangle& r, Clocks& c) {
  const uint32_t* t = r.t.data();
  for (int y : r.y) {
    uint32_t* row = c.row(y);
    for (int x : r.x) row[x] = *t++;
  }
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

ProductSteps steps_of(const Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z) {
  ProductSteps p{.w = static_cast<int>(z.columns.size()), .h = c.h};
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
  // Machine actions around one compute-shift step (published-actions.md, 1.1): four edits, loads and stream operations issue the exchange;
  // four tasks start: x finished, y finished, both finished, next step.
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
  for (int64_t n : v) sum += n;
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
    it->second += packing.wavelets(elements);
  }
  return it->second;
}

// Cycles for one k of all pairs of a row tile and a column tile.
int64_t cycles_per_k(const ProductSteps& p) {
  const int64_t columns = p.L - std::count(p.n.begin(), p.n.end(), 0), n = total(p.n);
  int64_t sum = 0;
  for (const TileRate& rate : p.rate) sum += columns * rate.per_k + n * rate.per_kn;
  return sum;
}

int64_t tiles_with_work(const ProductSteps& p) {
  return (p.L - std::count(p.rows.begin(), p.rows.end(), 0)) * (p.L - std::count(p.n.begin(), p.n.end(), 0));
}

// Row tiles (or column tiles) move to their place, at most half a ring in the shorter sense; a core with nothing to move waits for nobody.
void align(Rectangle& r, const ProductSteps& p, const Device& d, const ProductSizes& z, bool rows, Tally& tally) {
  const int lines = rows ? p.h : p.w, length = rows ? p.w : p.h;
  if (length == 1) return;
  const std::vector<int64_t>& hops = rows ? p.x_hops : p.y_hops;
  AlignLine a{.hops = {},
              .issue = static_cast<uint32_t>(p.issue / 2),
              .finish = static_cast<uint32_t>(d.task_activation_cycles),
              .latency = static_cast<uint32_t>(p.latency)};
  for (int64_t v : hops) a.hops.push_back(static_cast<uint32_t>(v));
  const int64_t k_most = *std::max_element(z.k.begin(), z.k.end());
  const Packing packing = rows ? p.a : p.b;
  std::vector<int64_t> moves(static_cast<size_t>(lines), 0), words(moves);
  for (int line = 0; line < lines; line++) {
    const Range own = rows ? p.own_rows[static_cast<size_t>(line)] : p.own_cols[static_cast<size_t>(line)];
    int64_t size = 0;
    for (int64_t l = own.begin; l < own.end; l++) {
      moves[static_cast<size_t>(line)] = std::max(moves[static_cast<size_t>(line)], std::min<int64_t>(l, p.L - l));
      size += rows ? z.rows[static_cast<size_t>(l)] : z.n[static_cast<size_t>(l)];
    }
    const int64_t elements = size * k_most * (rows ? z.heads : 1);
    words[static_cast<size_t>(line)] = std::max<int64_t>(1, packing.wavelets(elements));
    const int64_t sent = std::max<int64_t>(1, counted(d, packing).wavelets(elements)) * moves[static_cast<size_t>(line)];
    tally.wavelets += sent * length;
    tally.received += sent * length;
    tally.hops += sent * total(hops);
    book_step_actions(d, moves[static_cast<size_t>(line)] * length, 2, 1, 0, tally);
  }
  parallel_for(0, lines, 16, [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> t(static_cast<size_t>(length) + 1), scratch;
    for (int64_t line = begin; line < end; line++) {
      auto at = [&](int q) -> uint32_t& {
        const size_t i = static_cast<size_t>(rows ? line : q), j = static_cast<size_t>(rows ? q : line);
        return r.t[i * static_cast<size_t>(p.w) + j];
      };
      for (int q = 0; q < length; q++) t[static_cast<size_t>(q)] = at(q);
      align_line(a, t, scratch, static_cast<uint32_t>(words[static_cast<size_t>(line)]), moves[static_cast<size_t>(line)]);
      for (int q = 0; q < length; q++) at(q) = t[static_cast<size_t>(q)];
    }
  });
}

// Whether clocks and sizes of a product stay in 32 bits.
bool fits_32_bits(const ProductSteps& p, const std::vector<uint32_t>& t, int64_t k_most) {
  const double rows = static_cast<double>(*std::max_element(p.rows.begin(), p.rows.end())),
               n = static_cast<double>(*std::max_element(p.n.begin(), p.n.end())), k = static_cast<double>(k_most),
               tiles_y = static_cast<double>(p.own_rows.front().size() + 1), tiles_x = static_cast<double>(p.own_cols.front().size() + 1);
  double per_k = 0;
  for (const TileRate& rate : p.rate) per_k = std::max(per_k, static_cast<double>(rate.per_k) + n * static_cast<double>(rate.per_kn));
  const double bits = 32 * k * std::max({rows * tiles_y, n * tiles_x, 1.0}) + 32 * rows * n * tiles_y;
  const double step = k * per_k * tiles_x * tiles_y + bits / 8 + static_cast<double>(p.issue + p.finish) + 8.0 * p.w + 2.0 * p.h;
  const double limit = 2147483648.0;
  return bits < limit && step * p.L + static_cast<double>(*std::max_element(t.begin(), t.end())) < limit;
}

// Steps without overlap: every core's product, then the exchange, from which the product is taken out.
void apart_steps(const ProductSteps& p, std::vector<uint32_t>& t, int64_t first, int64_t steps) {
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
          t[static_cast<size_t>(i) * static_cast<size_t>(p.w) + static_cast<size_t>(j)] += static_cast<uint32_t>(cycles);
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
template <class Advance>
void repeated_steps(std::vector<uint32_t>& t, const ProductSteps& p, Advance advance) {
  constexpr int64_t kTurn = 16;
  int64_t done = 0;
  for (std::vector<uint32_t> before; done + 2 * kTurn <= p.L; done += kTurn) {
    before = t;
    advance(p, t, done, kTurn);
    const uint32_t shift = t[0] - before[0];
    bool same = true;
    for (size_t q = 0; same && q < t.size(); q++) same = t[q] - before[q] == shift;
    if (!same) continue;
    const int64_t turns = (p.L - done - kTurn) / kTurn;
    for (uint32_t& v : t) v += static_cast<uint32_t>(turns) * shift;
    done += (turns + 1) * kTurn;
    break;
  }
  advance(p, t, done, p.L - done);
}

// All steps of the ring, or the first `sampled` and the others at the mean rate of the second half of those.
template <class Advance, class Advance64>
void all_steps(Clocks& c, Rectangle& r, const ProductSteps& p, int64_t k_most, int64_t sampled, bool repeats, Advance advance,
               Advance64 advance_64) {
  if (!fits_32_bits(p, r.t, k_most)) {
    std::vector<uint64_t> t(r.t.begin(), r.t.end());
    advance_64(p, t, 0, p.L);
    const uint64_t least = *std::min_element(t.begin(), t.end());
    CHECK(r.t.size() == c.t.size() || *std::max_element(t.begin(), t.end()) < (uint64_t{1} << 31), "clocks of a product are too large");
    const uint64_t shift = r.t.size() == c.t.size() ? least : 0;
    for (size_t q = 0; q < t.size(); q++) {
      CHECK(t[q] - shift < (uint64_t{1} << 31), "clocks of a region are too far apart");
      r.t[q] = static_cast<uint32_t>(t[q] - shift);
    }
    c.base += shift;
    return;
  }
  if (repeats) return repeated_steps(r.t, p, advance);
  if (sampled < 2 || 2 * sampled >= p.L) return advance(p, r.t, 0, p.L);
  auto sum = [&] {
    double all = 0;
    for (uint32_t v : r.t) all += v;
    return all;
  };
  const int64_t half = sampled / 2;
  advance(p, r.t, 0, half);
  const double before = sum();
  advance(p, r.t, half, sampled - half);
  const double rate = (sum() - before) / static_cast<double>(r.t.size()) / static_cast<double>(sampled - half);
  const uint32_t rest = static_cast<uint32_t>(rate * static_cast<double>(p.L - sampled));
  for (uint32_t& v : r.t) v += rest;
}

}  // namespace

ProductSteps gemm_setup(const Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z) {
  ProductSteps p = steps_of(c, d, numerics, z);
  for (int64_t k : z.k) p.k.push_back(k * z.heads);
  return p;
}

ProductSteps gemm_t_setup(const Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z) {
  ProductSteps p = steps_of(c, d, numerics, z);
  for (int j = 0; j < p.w; j++) p.k.push_back(z.k[static_cast<size_t>(ring_to_position(j, p.w))] * z.heads);
  for (int64_t& rows : p.rows) rows *= z.heads;  // of the partial tiles that the row sums carry
  p.issue /= 2;                                  // only B moves
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

void time_gemm(Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z, int64_t sampled_steps, Tally& tally) {
  Rectangle r = gather(c, z.columns, z.order);
  const ProductSteps p = gemm_setup(c, d, numerics, z);
  if (z.align_a) align(r, p, d, z, true, tally);
  if (z.align_b) align(r, p, d, z, false, tally);
  if (z.together) {
    const uint64_t end = *std::max_element(r.t.begin(), r.t.end()) + gemm_cycles_together(p);
    const bool all = r.t.size() == c.t.size();
    CHECK(all || end < (uint64_t{1} << 31), "clocks of a product are too large");
    std::fill(r.t.begin(), r.t.end(), all ? 0 : static_cast<uint32_t>(end));
    c.base += all ? end : 0;
  } else {
    const int64_t k_most = *std::max_element(p.k.begin(), p.k.end());
    if (z.overlap)
      all_steps(c, r, p, k_most, sampled_steps, equal_steps(p), gemm_steps, gemm_steps_64);
    else
      all_steps(
          c, r, p, k_most, sampled_steps, equal_steps(p), apart_steps,
          [](const ProductSteps&, std::vector<uint64_t>&, int64_t, int64_t) { CHECK(false, "a product of such size without overlap"); });
  }
  scatter(r, c);

  // Over a whole turn every core meets every block of k once, so what the steps do is known without them.
  const int64_t k = total(p.k);
  tally.compute += static_cast<double>(k) * static_cast<double>(cycles_per_k(p));
  tally.multiply_adds += total(p.rows) * k * total(p.n);
  std::map<std::vector<int64_t>, int64_t> known_a, known_b;
  int64_t a = 0, b = 0;
  for (const Range& own : p.own_rows) a += edge_words(p, counted(d, p.a), p.rows, own, known_a);
  for (const Range& own : p.own_cols) b += edge_words(p, counted(d, p.b), p.n, own, known_b);
  tally.wavelets += a * p.w + b * p.h;
  tally.received += a * p.w + b * p.h;
  tally.hops += a * total(p.x_hops) + b * total(p.y_hops);
  book_step_actions(d, static_cast<int64_t>(p.L) * p.w * p.h, 4, 4, k * tiles_with_work(p), tally);
}

void time_gemm_t(Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z, int64_t sampled_steps, Tally& tally) {
  Rectangle r = gather(c, z.columns);
  const ProductSteps p = gemm_t_setup(c, d, numerics, z);
  all_steps(c, r, p, *std::max_element(p.k.begin(), p.k.end()), sampled_steps, false, gemm_t_steps, gemm_t_steps_64);
  scatter(r, c);

  const int64_t k = total(p.k), steps = static_cast<int64_t>(p.L) * p.w * p.h;
  tally.compute += static_cast<double>(k) * static_cast<double>(cycles_per_k(p));
  tally.multiply_adds += total(z.rows) * k * total(p.n);
  const Packing b = counted(d, p.b), sums = counted(d, p.sum);
  for (int64_t dims : p.k) {
    int64_t words = 0;
    for (int64_t n : p.n) words += b.wavelets(n * dims);
    tally.wavelets += words * p.h;
    tally.received += words * p.h;
    tally.hops += words * total(p.y_hops);
  }
  for (const Range& own : p.own_rows)
    for (int64_t s = 0; s < p.L; s++) {
      int64_t sum = 0;
      for (int64_t l = own.begin; l < own.end; l++) sum += p.rows[static_cast<size_t>(l)] * p.n[static_cast<size_t>((l + s) % p.L)];
      const int64_t words = std::max<int64_t>(1, sums.wavelets(sum)) * (p.w - 1);
      tally.wavelets += words;
      tally.received += words;
      tally.hops += words;
    }
  book_step_actions(d, steps, 2, 3, k * tiles_with_work(p), tally);
  book_step_actions(d, steps, p.w > 1 ? 1 : 0, 0, 0, tally);
}

}  // namespace wafer::time
