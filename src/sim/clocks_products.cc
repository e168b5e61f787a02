// MeshGEMM and GEMM-T on the clocks of a rectangle, step by step, cores in ring order: the two-hop neighbour is the next index.
#include <algorithm>

#include "base/check.h"
#include "base/parallel.h"
#include "sim/clocks.h"

namespace wafer::sim {

using namespace mesh;

namespace {

// A rectangle in ring order with two arrays of clocks.
struct RingClocks {
  int w, h, L;
  std::vector<uint32_t> t;               // [h][w]
  std::vector<uint32_t> x_hops, y_hops;  // from the next higher ring position to this one

  uint32_t* row(int i) { return t.data() + static_cast<size_t>(i) * static_cast<size_t>(w); }
};

uint32_t ring_distance(int c, int n) {
  const int from = ring_to_position((c + 1) % n, n), to = ring_to_position(c, n);
  return static_cast<uint32_t>(std::abs(from - to));
}

RingClocks gather(Clocks& c, Range columns) {
  RingClocks r{.w = static_cast<int>(columns.size()), .h = c.h, .L = 0, .t = {}, .x_hops = {}, .y_hops = {}};
  r.L = std::max(r.w, r.h);
  r.t.resize(static_cast<size_t>(r.w) * static_cast<size_t>(r.h));
  for (int i = 0; i < r.h; i++)
    for (int j = 0; j < r.w; j++) r.row(i)[j] = c.row(ring_to_position(i, r.h))[columns.begin + ring_to_position(j, r.w)];
  for (int j = 0; j < r.w; j++) r.x_hops.push_back(ring_distance(j, r.w));
  for (int i = 0; i < r.h; i++) r.y_hops.push_back(ring_distance(i, r.h));
  return r;
}

void scatter(RingClocks& r, Clocks& c, Range columns) {
  for (int i = 0; i < r.h; i++)
    for (int j = 0; j < r.w; j++) c.row(ring_to_position(i, r.h))[columns.begin + ring_to_position(j, r.w)] = r.row(i)[j];
}

// Machine actions around one compute-shift step (published-actions.md, 1.1): four edits, loads and stream operations issue the exchange;
// four tasks start: x finished, y finished, both finished, next step.
struct StepActions {
  uint32_t issue, finish, shift_issue, shift_finish, latency;
};
StepActions step_actions(const Device& d) {
  const uint32_t exchange = static_cast<uint32_t>(4 * stream_issue_cycles(d));
  return {.issue = exchange,
          .finish = static_cast<uint32_t>(4 * d.task_activation_cycles),
          .shift_issue = exchange / 2,
          .shift_finish = static_cast<uint32_t>(d.task_activation_cycles),
          .latency = static_cast<uint32_t>(2 * d.ramp_cycles)};
}

uint32_t as_u32(int64_t n) { return static_cast<uint32_t>(n); }

// A rectangle whose cores hold one logical tile or several along each axis: sums over a core's own tiles, for the k blocks of step s.
struct Tiles {
  const ProductSizes& sizes;
  const RingClocks& r;
  std::vector<Range> own_rows, own_cols;  // [h], [w] logical positions

  Tiles(const ProductSizes& product, const RingClocks& ring) : sizes(product), r(ring) {
    for (int i = 0; i < r.h; i++) own_rows.push_back(logical_positions(i, r.h, r.L));
    for (int j = 0; j < r.w; j++) own_cols.push_back(logical_positions(j, r.w, r.L));
  }
  int64_t k_at(int64_t block) const { return sizes.k[static_cast<size_t>(block % r.L)]; }
};

void tally_shift(Tally& tally, int64_t words, uint32_t hops) {
  tally.wavelets += words;
  tally.received += words;
  tally.hops += words * hops;
}

// Row tiles (or column tiles) move to their place, at most half a ring in the shorter sense; a core with nothing to move waits for nobody.
void align(RingClocks& r, const Device& d, const ProductSizes& z, bool rows, Tally& tally) {
  const StepActions a = step_actions(d);
  const int lines = rows ? r.h : r.w, length = rows ? r.w : r.h;
  auto at = [&](int line, int p) -> uint32_t& { return rows ? r.row(line)[p] : r.row(p)[line]; };
  std::vector<uint32_t> now(static_cast<size_t>(length));
  for (int line = 0; line < lines; line++) {
    const Range own = logical_positions(line, lines, r.L);
    int64_t moves = 0, size = 0;
    for (int64_t l = own.begin; l < own.end; l++) {
      moves = std::max(moves, std::min<int64_t>(l, r.L - l));
      size += rows ? z.rows[static_cast<size_t>(l)] : z.n[static_cast<size_t>(l)];
    }
    const int64_t k_most = *std::max_element(z.k.begin(), z.k.end());
    const int64_t words = std::max<int64_t>(1, wavelets(d, rows ? z.a : z.b, size * k_most * (rows ? z.heads : 1)));
    for (int64_t s = 0; s < moves && length > 1; s++) {
      for (int p = 0; p < length; p++) {
        const uint32_t hops = rows ? r.x_hops[static_cast<size_t>(p)] : r.y_hops[static_cast<size_t>(p)];
        const uint32_t own_end = at(line, p) + a.shift_issue + as_u32(words);
        now[static_cast<size_t>(p)] =
            std::max(own_end, at(line, (p + 1) % length) + a.shift_issue + as_u32(words) + a.latency + hops) + a.shift_finish;
        tally_shift(tally, words, hops);
      }
      for (int p = 0; p < length; p++) at(line, p) = now[static_cast<size_t>(p)];
    }
  }
}

// ---- one tile a core: a square rectangle -------------------------------------------------------------------------------------------

// Wavelets of n elements: (n * element_bits + wavelet_bits - 1) >> shift, for a wavelet of 2^shift bits.
struct Packing {
  uint32_t bits, round, shift;
};
Packing packing(const Device& d, Dtype type) {
  const uint32_t wavelet_bits = as_u32(d.wavelet_bits);
  uint32_t shift = 0;
  while ((1u << shift) < wavelet_bits) shift++;
  CHECK((1u << shift) == wavelet_bits, "a wavelet of {} bits", wavelet_bits);
  return {.bits = as_u32(8 * bytes(type, 1)), .round = wavelet_bits - 1, .shift = shift};
}

struct RowStep {
  const uint32_t *t, *t_below;  // [w + 1], the first element once more at the end
  const uint32_t *k, *k_below;  // k of the block at column j and on, for this row and the next
  const uint32_t *n, *x_hops;   // [w]
  uint32_t rows, rows_below, per_k, per_kn, y_hops, issue, finish, latency;
  Packing a, b;
  uint32_t* out;  // [w]
};
struct RowSums {
  uint64_t product = 0, words = 0, received = 0, hops = 0;
};

// The clocks of one row of cores after one compute-shift step. Plain loops over arrays, compiled for several instruction sets.
__attribute__((target_clones("avx512f", "avx2", "default"))) RowSums row_step(const RowStep& r, int w) {
  uint32_t products = 0, words = 0, received = 0, hops = 0;
  const uint32_t *t = r.t, *t_below = r.t_below, *k = r.k, *k_below = r.k_below, *n = r.n, *x_hops = r.x_hops;
  uint32_t* __restrict out = r.out;
  const RowStep v = r;
  for (int j = 0; j < w; j++) {
    const uint32_t product = k[j] * (v.per_k + n[j] * v.per_kn);
    const uint32_t aw = (v.rows * k[j] * v.a.bits + v.a.round) >> v.a.shift, bw = (k[j] * n[j] * v.b.bits + v.b.round) >> v.b.shift;
    const uint32_t aw_right = (v.rows * k[j + 1] * v.a.bits + v.a.round) >> v.a.shift;
    const uint32_t aw_below = (v.rows_below * k_below[j] * v.a.bits + v.a.round) >> v.a.shift,
                   bw_below = (k_below[j] * n[j] * v.b.bits + v.b.round) >> v.b.shift;
    const uint32_t start = t[j] + v.issue, a_start = t[j + 1] + v.issue, b_start = t_below[j] + v.issue;
    const uint32_t a_in = a_start + aw_right + v.latency + x_hops[j];
    const uint32_t b_in = b_start + aw_below + bw_below + v.latency + v.y_hops;
    const uint32_t ramp_in = std::min(a_start, b_start) + v.latency + 1 + aw_right + bw_below;
    const uint32_t own = std::max(start + product, start + aw + bw);
    out[j] = std::max(std::max(own, ramp_in), std::max(a_in, b_in)) + v.finish;
    products += product;
    words += aw + bw;
    received += aw_right + bw_below;
    hops += aw_right * x_hops[j] + bw_below * v.y_hops;
  }
  return {products, words, received, hops};
}

void gemm_square_steps(RingClocks& r, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  const int L = r.L;
  const StepActions a = step_actions(d);
  const Packing pa = packing(d, z.a), pb = packing(d, z.b);
  std::vector<uint32_t> k, n;
  for (int i = 0; i < 2 * L + 1; i++) k.push_back(as_u32(z.k[static_cast<size_t>(i % L)] * z.heads));
  for (int64_t v : z.n) n.push_back(as_u32(v));
  const size_t stride = static_cast<size_t>(L) + 1;
  std::vector<uint32_t> now(stride * static_cast<size_t>(L)), next(now.size());
  for (int i = 0; i < L; i++) std::copy_n(r.row(i), L, now.data() + static_cast<size_t>(i) * stride);
  std::vector<RowSums> sums(static_cast<size_t>(L));
  for (int s = 0; s < L; s++) {
    for (int i = 0; i < L; i++) now[static_cast<size_t>(i) * stride + static_cast<size_t>(L)] = now[static_cast<size_t>(i) * stride];
    parallel_for(0, L, 32, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t below = (i + 1) % L;
        const TileRate rate = tile_rate(d, numerics, z.rows[static_cast<size_t>(i)]);
        const RowStep step{.t = now.data() + static_cast<size_t>(i) * stride,
                           .t_below = now.data() + static_cast<size_t>(below) * stride,
                           .k = k.data() + (i + s) % L,
                           .k_below = k.data() + (below + s) % L,
                           .n = n.data(),
                           .x_hops = r.x_hops.data(),
                           .rows = as_u32(z.rows[static_cast<size_t>(i)]),
                           .rows_below = as_u32(z.rows[static_cast<size_t>(below)]),
                           .per_k = as_u32(rate.per_k),
                           .per_kn = as_u32(rate.per_kn),
                           .y_hops = r.y_hops[static_cast<size_t>(i)],
                           .issue = a.issue,
                           .finish = a.finish,
                           .latency = a.latency,
                           .a = pa,
                           .b = pb,
                           .out = next.data() + static_cast<size_t>(i) * stride};
        const RowSums one = row_step(step, L);
        RowSums& all = sums[static_cast<size_t>(i)];
        all.product += one.product;
        all.words += one.words;
        all.received += one.received;
        all.hops += one.hops;
      }
    });
    std::swap(now, next);
  }
  for (int i = 0; i < L; i++) std::copy_n(now.data() + static_cast<size_t>(i) * stride, L, r.row(i));
  for (const RowSums& m : sums) {
    tally.compute += static_cast<double>(m.product);
    tally.wavelets += static_cast<int64_t>(m.words);
    tally.received += static_cast<int64_t>(m.received);
    tally.hops += static_cast<int64_t>(m.hops);
  }
}

}  // namespace

void time_gemm(Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  RingClocks r = gather(c, z.columns);
  const StepActions a = step_actions(d);
  const int w = r.w, h = r.h, L = r.L;
  if (z.align_a) align(r, d, z, true, tally);
  if (z.align_b) align(r, d, z, false, tally);
  if (w == h && w > 1) {
    gemm_square_steps(r, d, numerics, z, tally);
    tally.communicate += static_cast<double>(a.issue + a.finish) * L * w * h;
    scatter(r, c, z.columns);
    return;
  }
  const Tiles tiles(z, r);
  std::vector<TileRate> rate;
  for (int64_t rows : z.rows) rate.push_back(tile_rate(d, numerics, rows));
  std::vector<uint32_t> next(r.t.size());
  std::vector<uint32_t> a_words(static_cast<size_t>(w) * static_cast<size_t>(h)), b_words(a_words.size());
  std::vector<Tally> part(static_cast<size_t>(h));
  for (int s = 0; s < L; s++) {
    // What every core sends: the tiles at the lower edge of its run of logical positions.
    parallel_for(0, h, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        for (int j = 0; j < w; j++) {
          int64_t a_elements = 0, b_elements = 0;
          const Range rows = tiles.own_rows[static_cast<size_t>(i)], cols = tiles.own_cols[static_cast<size_t>(j)];
          for (int64_t l = rows.begin; l < rows.end; l++) a_elements += z.rows[static_cast<size_t>(l)] * tiles.k_at(l + cols.begin + s);
          for (int64_t l = cols.begin; l < cols.end; l++) b_elements += z.n[static_cast<size_t>(l)] * tiles.k_at(rows.begin + l + s);
          const size_t at = static_cast<size_t>(i) * static_cast<size_t>(w) + static_cast<size_t>(j);
          a_words[at] = w > 1 ? as_u32(wavelets(d, z.a, a_elements * z.heads)) : 0;
          b_words[at] = h > 1 ? as_u32(wavelets(d, z.b, b_elements * z.heads)) : 0;
        }
    });
    parallel_for(0, h, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t below = (i + 1) % h;
        const uint32_t *t = r.row(static_cast<int>(i)), *t_below = r.row(static_cast<int>(below));
        const uint32_t *aw = a_words.data() + i * w, *bw = b_words.data() + i * w, *aw_below = a_words.data() + below * w,
                       *bw_below = b_words.data() + below * w;
        uint32_t* out = next.data() + i * w;
        const Range rows = tiles.own_rows[static_cast<size_t>(i)];
        Tally& mine = part[static_cast<size_t>(i)];
        for (int j = 0; j < w; j++) {
          const int right = (j + 1) % w;
          int64_t product = 0;
          const Range cols = tiles.own_cols[static_cast<size_t>(j)];
          for (int64_t l = rows.begin; l < rows.end; l++) {
            const TileRate& cost = rate[static_cast<size_t>(l)];
            for (int64_t q = cols.begin; q < cols.end; q++)
              product += tiles.k_at(l + q + s) * (cost.per_k + z.n[static_cast<size_t>(q)] * cost.per_kn);
          }
          product *= z.heads;
          const uint32_t start = t[j] + a.issue;
          const uint32_t sent = start + aw[j] + bw[j];
          const uint32_t a_start = t[right] + a.issue, b_start = t_below[j] + a.issue;
          // A leaves a ramp before B; both arrive over one ramp.
          const uint32_t a_in = a_start + aw[right] + a.latency + r.x_hops[static_cast<size_t>(j)];
          const uint32_t b_in = b_start + aw_below[j] + bw_below[j] + a.latency + r.y_hops[static_cast<size_t>(i)];
          const uint32_t ramp_in = std::min(a_start, b_start) + a.latency + 1 + aw[right] + bw_below[j];
          out[j] = std::max({start + as_u32(product), sent, a_in, b_in, ramp_in}) + a.finish;
          mine.compute += static_cast<double>(product);
          mine.wavelets += aw[j] + bw[j];
          mine.received += aw[right] + bw_below[j];
          mine.hops += static_cast<int64_t>(aw[right]) * r.x_hops[static_cast<size_t>(j)] +
                       static_cast<int64_t>(bw_below[j]) * r.y_hops[static_cast<size_t>(i)];
        }
      }
    });
    std::swap(r.t, next);
  }
  for (const Tally& m : part) {
    tally.compute += m.compute;
    tally.wavelets += m.wavelets;
    tally.received += m.received;
    tally.hops += m.hops;
  }
  tally.communicate += static_cast<double>(a.issue + a.finish) * L * w * h;
  scatter(r, c, z.columns);
}

void time_gemm_t(Clocks& c, const Device& d, Numerics numerics, const ProductSizes& z, Tally& tally) {
  RingClocks r = gather(c, z.columns);
  const StepActions a = step_actions(d);
  const int w = r.w, h = r.h, L = r.L;
  const Tiles tiles(z, r);
  const uint32_t issue = as_u32(stream_issue_cycles(d)), ramp = as_u32(d.ramp_cycles), hop = as_u32(d.hop_cycles);
  const uint32_t exchange = a.issue / 2, finish = as_u32(3 * d.task_activation_cycles);
  std::vector<uint32_t> next(r.t.size());
  std::vector<Tally> part(static_cast<size_t>(h));
  // Ring position of each physical column, for the row sums, which go from neighbour to neighbour.
  std::vector<int> ring_of(static_cast<size_t>(w));
  for (int p = 0; p < w; p++) ring_of[static_cast<size_t>(p)] = position_to_ring(p, w);
  for (int s = 0; s < L; s++) {
    parallel_for(0, h, 4, [&](int64_t begin, int64_t end) {
      std::vector<uint32_t> row(static_cast<size_t>(w));
      for (int64_t i = begin; i < end; i++) {
        const int64_t below = (i + 1) % h;
        const uint32_t *t = r.row(static_cast<int>(i)), *t_below = r.row(static_cast<int>(below));
        const Range own = tiles.own_rows[static_cast<size_t>(i)], own_below = tiles.own_rows[static_cast<size_t>(below)];
        uint32_t* out = next.data() + i * w;
        Tally& mine = part[static_cast<size_t>(i)];
        int64_t rows = 0, sum_elements = 0;
        for (int64_t l = own.begin; l < own.end; l++) {
          rows += z.rows[static_cast<size_t>(l)];
          sum_elements += z.rows[static_cast<size_t>(l)] * z.n[static_cast<size_t>((l + s) % L)];
        }
        // product and shift
        for (int j = 0; j < w; j++) {
          const int64_t dims = z.k[static_cast<size_t>(ring_to_position(j, w))];
          int64_t product = 0;
          for (int64_t l = own.begin; l < own.end; l++) {
            const TileRate cost = tile_rate(d, numerics, z.rows[static_cast<size_t>(l)]);
            product += dims * (cost.per_k + z.n[static_cast<size_t>((l + s) % L)] * cost.per_kn);
          }
          product *= z.heads;
          const uint32_t words = h > 1 ? as_u32(wavelets(d, z.b, z.n[static_cast<size_t>((own.begin + s) % L)] * dims * z.heads)) : 0;
          const uint32_t arriving =
              h > 1 ? as_u32(wavelets(d, z.b, z.n[static_cast<size_t>((own_below.begin + s) % L)] * dims * z.heads)) : 0;
          const uint32_t start = t[j] + exchange;
          const uint32_t in = t_below[j] + exchange + arriving + a.latency + r.y_hops[static_cast<size_t>(i)];
          out[j] = std::max({start + as_u32(product), start + words, in});
          mine.compute += static_cast<double>(product);
          mine.wavelets += words;
          mine.received += arriving;
          mine.hops += static_cast<int64_t>(arriving) * r.y_hops[static_cast<size_t>(i)];
        }
        // row sum: a chain from both ends to the column that owns the block
        const int64_t block = (own.begin + s) % L;
        int owner = 0;
        while (tiles.own_cols[static_cast<size_t>(owner)].end <= block) owner++;
        const int root = ring_to_position(owner, w);
        const uint32_t words = as_u32(std::max<int64_t>(1, wavelets(d, z.sum, sum_elements * z.heads)));
        for (int p = 0; p < w; p++) row[static_cast<size_t>(p)] = out[ring_of[static_cast<size_t>(p)]];
        for (int sense : {1, -1}) {
          const int first = sense > 0 ? 0 : w - 1;
          if (first == root) continue;
          uint32_t lead = row[static_cast<size_t>(first)] + issue + ramp, last = lead + words - 1;
          row[static_cast<size_t>(first)] += issue + words;
          for (int p = first + sense; p != root; p += sense) {
            uint32_t& own_t = row[static_cast<size_t>(p)];
            const uint32_t leave = std::max(lead + hop + ramp, own_t + issue) + 1 + ramp;
            last = std::max(last + hop + 2 * ramp + 1, leave + words - 1);
            lead = leave;
            own_t = last + 1 - ramp;
          }
          uint32_t& root_t = row[static_cast<size_t>(root)];
          root_t = std::max(last + hop + ramp, std::max(lead + hop + ramp, root_t + issue) + words - 1) + 1;
        }
        for (int p = 0; p < w; p++) out[ring_of[static_cast<size_t>(p)]] = row[static_cast<size_t>(p)] + finish;
        mine.wavelets += static_cast<int64_t>(words) * (w - 1);
        mine.received += static_cast<int64_t>(words) * (w - 1);
        mine.hops += static_cast<int64_t>(words) * (w - 1);
        (void)rows;
      }
    });
    std::swap(r.t, next);
  }
  for (const Tally& m : part) {
    tally.compute += m.compute;
    tally.wavelets += m.wavelets;
    tally.received += m.received;
    tally.hops += m.hops;
  }
  tally.communicate += static_cast<double>(exchange + finish) * L * w * h;
  scatter(r, c, z.columns);
}

}  // namespace wafer::sim
