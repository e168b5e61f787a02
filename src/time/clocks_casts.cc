// SUMMA and allgather GEMM on the clocks of a region: the clocks, and what the steps send and compute, in closed form.
#include <algorithm>

#include "base/check.h"
#include "time/cast_steps.h"
#include "time/clocks.h"

namespace wafer::time {

using namespace mesh;

namespace {

// All clocks are `latest`, plus cycles [h][w].
template <class T>
void set_clocks(Clocks& c, uint64_t latest, const std::vector<T>& cycles) {
  const T least = *std::min_element(cycles.begin(), cycles.end());
  for (size_t q = 0; q < cycles.size(); q++) {
    CHECK(cycles[q] - least < (int64_t{1} << 31), "clocks of a region are too far apart");
    c.t[q] = static_cast<uint32_t>(cycles[q] - least);
  }
  c.base += latest + static_cast<uint64_t>(least);
}

// Wavelets of all tiles of one operand, each sent once along its line; `held` [lines], k [blocks].
int64_t all_words(const Packing& packing, const std::vector<int64_t>& held, const std::vector<int64_t>& k) {
  int64_t sum = 0;
  for (int64_t n : held)
    for (int64_t size : k) sum += packing.wavelets(n * size);
  return sum;
}

int64_t total(const std::vector<int64_t>& v) {
  int64_t sum = 0;
  for (int64_t n : v) sum += n;
  return sum;
}

// What both do alike: the products, and a copy of every tile for each core of its line.
void book(const CastSteps& p, int64_t a, int64_t b, Tally& tally) {
  const int64_t k = total(p.k), columns = p.w - std::count(p.n.begin(), p.n.end(), 0);
  double per_k = 0;
  for (const TileRate& rate : p.rate) per_k += static_cast<double>(columns * rate.per_k + total(p.n) * rate.per_kn);
  tally.compute += static_cast<double>(k) * per_k;
  tally.multiply_adds += total(p.rows) * k * total(p.n);
  tally.wavelets += a + b;
  tally.received += a * (p.w - 1) + b * (p.h - 1);
  tally.hops += a * (p.w - 1) + b * (p.h - 1);
}

int64_t k_turns(const CastSteps& p) {
  return total(p.k) * (p.h - std::count(p.rows.begin(), p.rows.end(), 0)) * (p.w - std::count(p.n.begin(), p.n.end(), 0));
}

}  // namespace

void time_gemm_cast(Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  const CastSteps p = cast_setup(c, d, numerics, z);
  const uint64_t latest = *std::max_element(c.t.begin(), c.t.end());
  const uint64_t cycles = cast_cycles_together(p);
  if (z.together) {
    set_clocks(c, latest + cycles, std::vector<int64_t>(c.t.size(), 0));
  } else {
    // No core is later than all would be together.
    const int64_t first = p.w > 1 || p.h > 1 ? -1 : 0;
    if (latest + cycles < (uint64_t{1} << 31)) {
      for (int64_t turn = first; turn < p.L; turn++) cast_turn(p, c.t, turn);
    } else {
      std::vector<uint64_t> t(c.t.begin(), c.t.end());
      for (int64_t turn = first; turn < p.L; turn++) cast_turn(p, t, turn);
      set_clocks(c, 0, std::vector<int64_t>(t.begin(), t.end()));
    }
  }
  book(p, all_words(p.a, p.rows, p.k), all_words(p.b, p.n, p.k), tally);
  const int64_t turns = p.L + (p.w > 1 || p.h > 1 ? 1 : 0);
  book_step_actions(d, turns * p.w * p.h, 2, 4, k_turns(p), tally);
}

void time_gemm_gather(Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  const CastSteps p = cast_setup(c, d, numerics, z);
  set_clocks(c, *std::max_element(c.t.begin(), c.t.end()), gather_cycles(p));
  auto held = [&](const std::vector<int>& owner, int size) {
    std::vector<int64_t> k(static_cast<size_t>(size), 0);
    for (int l = 0; l < p.L; l++) k[static_cast<size_t>(owner[static_cast<size_t>(l)])] += p.k[static_cast<size_t>(l)];
    return k;
  };
  book(p, all_words(p.a, p.rows, held(p.column_of, p.w)), all_words(p.b, p.n, held(p.row_of, p.h)), tally);
  const int64_t cores = static_cast<int64_t>(p.w) * p.h, tiles = p.w - 1 + p.h - 1;
  book_step_actions(d, cores * tiles, 1, 1, k_turns(p), tally);
  book_step_actions(d, cores * ((p.w > 1 ? 1 : 0) + (p.h > 1 ? 1 : 0)), 1, 0, 0, tally);
}

}  // namespace wafer::time
