// SUMMA and allgather GEMM on the clocks of a region: the clocks, and what the steps send and compute, in closed form.
#include <algorithm>

#include "time/cast_steps.h"
#include "time/clocks.h"

namespace wafer::time {

using namespace mesh;

namespace {

// Wavelets of all tiles of one operand, each sent once along its line; `held` [lines], k [blocks].
int64_t all_words(const Packing& packing, const std::vector<int64_t>& held, const std::vector<int64_t>& k) {
  int64_t sum = 0;
  for (int64_t n : held)
    for (int64_t size : k) sum = checked_add(sum, packing.wavelets(n * size));
  return sum;
}

int64_t total(const std::vector<int64_t>& v) {
  int64_t sum = 0;
  for (int64_t n : v) sum = checked_add(sum, n);
  return sum;
}

// What both do alike: the products, and a copy of every tile for each core of its line.
void book(const CastSteps& p, int64_t a, int64_t b, Tally& tally) {
  const int64_t k = total(p.k), columns = p.w - std::count(p.n.begin(), p.n.end(), 0);
  double per_k = 0;
  for (const TileRate& rate : p.rate)
    per_k +=
        static_cast<double>(columns) * static_cast<double>(rate.per_k) + static_cast<double>(total(p.n)) * static_cast<double>(rate.per_kn);
  const int64_t copies = checked_add(checked_mul(a, p.w - 1), checked_mul(b, p.h - 1));
  add(tally, {.compute = static_cast<double>(k) * per_k,
              .wavelets = checked_add(a, b),
              .hops = copies,
              .received = copies,
              .multiply_adds = checked_mul(total(p.rows), k, total(p.n))});
}

int64_t k_turns(const CastSteps& p) {
  return checked_mul(total(p.k), p.h - std::count(p.rows.begin(), p.rows.end(), 0), p.w - std::count(p.n.begin(), p.n.end(), 0));
}

}  // namespace

template <class T>
void time_gemm_cast(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  const CastSteps p = cast_setup({c.w, c.h}, d, numerics, z);
  if (!fits(c, cast_rise(p))) return;
  if (z.together && z.overlap) {
    std::fill(c.t.begin(), c.t.end(), latest_of(c) + static_cast<T>(cast_cycles_together(p)));
  } else {
    for (int64_t turn = first_turn(p); turn < p.L; turn++) {
      if (z.together) std::fill(c.t.begin(), c.t.end(), *std::max_element(c.t.begin(), c.t.end()));
      z.overlap ? cast_turn(p, c.t, turn) : cast_turn_apart(p, c.t, turn);
    }
    if (z.together) std::fill(c.t.begin(), c.t.end(), *std::max_element(c.t.begin(), c.t.end()));
  }
  c.most = Clocks<T>::kUnknown;
  book(p, all_words(p.a, p.rows, p.k), all_words(p.b, p.n, p.k), tally);
  // Every block is cast once; a turn for each computes.
  const int64_t turns = int64_t{p.L} * p.w * p.h;
  book_product_actions(d, turns * (casts_of(p) + turn_actions()), turns, k_turns(p), tally);
}

template <class T>
void time_gemm_gather(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  const CastSteps p = cast_setup({c.w, c.h}, d, numerics, z);
  if (!fits(c, gather_rise(p))) return;
  const T latest = *std::max_element(c.t.begin(), c.t.end());  // every core waits for all
  const std::vector<int64_t> cycles = gather_cycles(p);
  for (size_t q = 0; q < cycles.size(); q++) c.t[q] = latest + static_cast<T>(cycles[q]);
  c.most = Clocks<T>::kUnknown;
  auto held = [&](const std::vector<int>& owner, int size) {
    std::vector<int64_t> k(static_cast<size_t>(size), 0);
    for (int l = 0; l < p.L; l++) k[static_cast<size_t>(owner[static_cast<size_t>(l)])] += p.k[static_cast<size_t>(l)];
    return k;
  };
  book(p, all_words(p.a, p.rows, held(p.column_of, p.w)), all_words(p.b, p.n, held(p.row_of, p.h)), tally);
  book_product_actions(d, int64_t{p.w} * p.h * gathers_of(p), 0, k_turns(p), tally);
}

#define WAFER_CASTS(T)                                                                            \
  template void time_gemm_cast(Clocks<T>&, const Device&, Numerics, const ProductSizes&, Tally&); \
  template void time_gemm_gather(Clocks<T>&, const Device&, Numerics, const ProductSizes&, Tally&);
WAFER_CASTS(uint32_t)
WAFER_CASTS(uint64_t)
#undef WAFER_CASTS

}  // namespace wafer::time
