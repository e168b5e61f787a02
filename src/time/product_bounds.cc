// How far the steps of a product can move clocks, from above: the largest tiles that any core holds meet in every step, and nothing goes on
// at the same time. What a step computes on the way (elements and bits of tiles, cycles stolen times 2^kStealShift) counts too.
#include <algorithm>

#include "time/cast_steps.h"
#include "time/product_steps.h"

namespace wafer::time {
namespace {

Bound most_of(const std::vector<int64_t>& v) { return v.empty() ? 0 : *std::max_element(v.begin(), v.end()); }

// Of all positions of an axis, the largest sum over the logical positions that one holds.
template <class Value>
Bound most_held(const std::vector<mesh::Range>& own, Value value) {
  Bound most;
  for (const mesh::Range& r : own) {
    Bound sum;
    for (int64_t l = r.begin; l < r.end; l++) sum += Bound(value(static_cast<size_t>(l)));
    most = larger(most, sum);
  }
  return most;
}

// Elements on their way through a ramp: the cycles, and the largest number on the way to them.
struct Stream {
  Bound cycles, bits;
  Stream(const Packing& p, Bound elements) : bits(elements * p.bits + p.round) {
    // Where it saturates, so does all that is made of it.
    cycles = bits.n == Bound::kMost ? bits : Bound(bits.n >> p.shift);
    bits += elements;
  }
};

Bound stolen(Bound words, int64_t steal) {
  const Bound shifted = words * steal;
  return shifted.n == Bound::kMost ? shifted : Bound(shifted.n >> kStealShift);
}

}  // namespace

StepRise gemm_step_rise(const ProductSteps& p) {
  const Bound k = most_of(p.k), rows = most_held(p.own_rows, [&](size_t l) { return p.rows[l]; }),
              per_k = most_held(p.own_rows, [&](size_t l) { return p.rate[l].per_k; }),
              per_kn = most_held(p.own_rows, [&](size_t l) { return p.rate[l].per_kn; }),
              n = most_held(p.own_cols, [&](size_t c) { return p.n[c]; }),
              columns = most_held(p.own_cols, [&](size_t) { return int64_t{1}; });
  const Stream a(p.a, k * rows), b(p.b, k * n);
  const Bound words = (a.cycles + b.cycles) * 2;
  const Bound product = k * (per_k * columns + per_kn * n) + stolen(words, p.steal), turn = Bound(p.issue) + p.finish,
              exchange = Bound(p.latency) + 1 + most_of(p.x_hops) + most_of(p.y_hops) + words;
  return {.step = turn + larger(product, exchange),
          .apart = turn + product + exchange,
          .widest = larger(words * p.steal, larger(a.bits, b.bits))};
}

StepRise gemm_t_step_rise(const ProductSteps& p) {
  const Bound dims = most_of(p.k), rows = most_of(p.rows), sums = most_held(p.own_rows, [](size_t) { return int64_t{1}; }),
              per_k = most_held(p.own_rows, [&](size_t l) { return p.rate[l].per_k; }),
              per_kn = most_held(p.own_rows, [&](size_t l) { return p.rate[l].per_kn; }), n = most_of(p.n);
  const Stream b(p.b, dims * n), sum(p.sum, rows * n);
  const Bound words = b.cycles * 2;
  // The chains of a row end at its root one after the other.
  const Bound chain = Bound(p.w + 4) * (Bound(p.hop) + p.ramp * 2 + p.forward + 1) + Bound(p.reduce_issue) * 2 + (sum.cycles + 1) * 3;
  const Bound step = Bound(p.issue) + p.finish + p.latency + most_of(p.y_hops) + dims * (per_k + per_kn * n) + stolen(words, p.steal) +
                     words + sums * chain;
  return {.step = step, .apart = step, .widest = larger(words * p.steal, larger(b.bits, sum.bits))};
}

Bound gemm_rise(const ProductSteps& p) {
  const StepRise rise = gemm_step_rise(p);
  return larger(Bound(p.L) * rise.apart, rise.widest);
}

Bound gemm_t_rise(const ProductSteps& p) {
  const StepRise rise = gemm_t_step_rise(p);
  return larger(Bound(p.L) * rise.apart, rise.widest);
}

Bound cast_rise(const CastSteps& p) {
  const Bound k = most_of(p.k), n = most_of(p.n);
  Bound rows, per_k, per_kn;
  for (size_t i = 0; i < p.rows.size(); i++) {
    rows = larger(rows, p.rows[i]);
    per_k = larger(per_k, p.rate[i].per_k);
    per_kn = larger(per_kn, p.rate[i].per_kn);
  }
  const Stream a(p.a, k * rows), b(p.b, k * n);
  const Bound words = (a.cycles + b.cycles) * 2;
  const Bound turn = Bound(p.issue) + p.finish + p.turn + p.latency + Bound(p.hop) * (p.w + p.h) + k * (per_k + per_kn * n) +
                     stolen(words, p.steal) + words;
  return larger(Bound(p.L + 1) * turn, larger(words * p.steal, larger(a.bits, b.bits)));
}

Bound gather_rise(const CastSteps& p) {
  // All blocks of a line pass at once: no more than if they were blocks of the largest, one after the other.
  CastSteps whole = p;
  Bound k;
  for (int64_t size : p.k) k += size;
  if (!(k <= kLatest)) return k;
  whole.k = {static_cast<int64_t>(k.n)};
  whole.L = 1;
  return cast_rise(whole) + p.gather_cycles + Bound(p.w + p.h) * (p.steal + 2);
}

}  // namespace wafer::time
