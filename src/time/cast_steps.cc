#include "time/cast_steps.h"

#include <algorithm>
#include <cstdlib>
#include <map>

namespace wafer::time {

using namespace mesh;

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

namespace {

template <class T>
T larger(T a, T b) {
  return a > b ? a : b;
}

// What a turn does for one core besides its clocks.
struct CoreTurn {
  int64_t product = 0, a = 0, b = 0;  // cycles; wavelets of the tiles on its row and its column
  bool sends_a = false, sends_b = false;
};

// When a core ends a turn. a_lead and b_lead: when the first word of a tile is at its memory.
int64_t core_end(const CastSteps& p, const CoreTurn& c, int64_t start, int64_t a_lead, int64_t b_lead) {
  const int64_t sent = (c.sends_a ? c.a : 0) + (c.sends_b ? c.b : 0);
  int64_t end = start + std::max(c.product + (((c.a + c.b) * p.steal) >> kStealShift), sent);
  if (!c.sends_a) end = std::max(end, a_lead + c.a);
  if (!c.sends_b) end = std::max(end, b_lead + c.b);
  if (!c.sends_a && !c.sends_b) end = std::max(end, std::min(a_lead, b_lead) + c.a + c.b);  // over one ramp
  return end;
}

int64_t product_of(const CastSteps& p, int64_t turn, int i, int j) {
  if (turn < 0) return 0;
  return p.k[static_cast<size_t>(turn)] * tile_cycles_per_k(p.rate[static_cast<size_t>(i)], p.n[static_cast<size_t>(j)]);
}

// A row of cores none of which owns the rows' block: all receive B, and all but one A.
template <class T>
struct Row {
  T* t;                    // [w]
  const T *product, *has;  // [w] columns of C, and whether there are any
  const T *b, *b_lead;     // [w]
  const T* dx;             // [w] hops from the column that sends
  T per_k, per_kn, a, a_lead, dy, issue, finish, steal;
};

template <class T>
inline __attribute__((always_inline)) void row_body(const Row<T>& r, int w) {
  const Row<T> v = r;
  T* __restrict t = v.t;
  for (int j = 0; j < w; j++) {
    const T b = v.b[j], a_lead = v.a_lead + v.dx[j], b_lead = v.b_lead[j] + v.dy;
    const T own = t[j] + v.issue + v.per_k * v.has[j] + v.per_kn * v.product[j] + (((v.a + b) * v.steal) >> kStealShift);
    const T first = a_lead < b_lead ? a_lead : b_lead;
    t[j] = larger(larger(own, T(first + v.a + b)), larger(T(a_lead + v.a), T(b_lead + b))) + v.finish;
  }
}
WAFER_CLONES void advance(const Row<uint32_t>& r, int w) { row_body(r, w); }
WAFER_CLONES void advance(const Row<uint64_t>& r, int w) { row_body(r, w); }

}  // namespace

StreamActions casts_of(const CastSteps& p) {
  return (p.w > 1 ? cast_actions() : StreamActions{}) + (p.h > 1 ? cast_actions() : StreamActions{});
}
StreamActions gathers_of(const CastSteps& p) {
  return (p.w > 1 ? cast_actions(p.w) : StreamActions{}) + (p.h > 1 ? cast_actions(p.h) : StreamActions{});
}

CastSteps cast_setup(Extent region, const Device& d, Numerics numerics, const ProductSizes& z) {
  CastSteps p{.w = region.w, .h = region.h, .L = std::max(region.w, region.h)};
  p.k = z.k;
  p.column_of.resize(static_cast<size_t>(p.L));
  p.row_of = p.column_of;
  for (int j = 0; j < p.w; j++) {
    int64_t held = 0;
    const Range own = logical_positions(j, p.w, p.L);
    for (int64_t l = own.begin; l < own.end; l++) {
      held = checked_add(held, z.n[static_cast<size_t>(l)]);
      p.column_of[static_cast<size_t>(l)] = j;
    }
    p.n.push_back(held);
  }
  for (int i = 0; i < p.h; i++) {
    int64_t held = 0;
    const Range own = logical_positions(i, p.h, p.L);
    for (int64_t l = own.begin; l < own.end; l++) {
      held = checked_add(held, z.rows[static_cast<size_t>(l)]);
      p.row_of[static_cast<size_t>(l)] = i;
    }
    p.rows.push_back(held);
    p.rate.push_back(tile_rate(d, numerics, held));
  }
  p.a = packing(d, z.a);
  p.b = packing(d, z.b);
  if (p.w == 1) p.a.bits = 0;
  if (p.h == 1) p.b.bits = 0;
  p.issue = issue_cycles(d, casts_of(p));
  p.finish = task_cycles(d, casts_of(p));
  p.turn = turn_cycles(d);
  p.latency = 2 * d.ramp_cycles;
  p.hop = d.hop_cycles;
  p.steal = background_steal(d);
  p.send_cycles = issue_cycles(d, cast_actions());
  p.gather_cycles = issue_cycles(d, gathers_of(p)) + task_cycles(d, gathers_of(p));
  return p;
}

template <class T>
void cast_turn(const CastSteps& p, std::vector<T>& t, int64_t turn) {
  const size_t w = static_cast<size_t>(p.w);
  auto row = [&](int i) { return t.data() + static_cast<size_t>(i) * w; };
  if (turn + 1 == p.L) {  // the last block: no more casts
    for (int i = 0; i < p.h; i++)
      for (int j = 0; j < p.w; j++) row(i)[j] += static_cast<T>(product_of(p, turn, i, j) + p.turn);
    return;
  }
  const int64_t finish = p.finish + (turn < 0 ? 0 : p.turn);
  const int64_t block = turn + 1, k = p.k[static_cast<size_t>(block)], k_now = turn < 0 ? 0 : p.k[static_cast<size_t>(turn)];
  const int root_x = p.column_of[static_cast<size_t>(block)], root_y = p.row_of[static_cast<size_t>(block)];
  auto a_words = [&](int i) { return p.a.wavelets(p.rows[static_cast<size_t>(i)] * k); };
  std::vector<T> b(w), b_lead(w), dx(w), n(w), has(w);
  const T* sends_b = row(root_y);
  for (int j = 0; j < p.w; j++) {
    const size_t at = static_cast<size_t>(j);
    b[at] = static_cast<T>(p.b.wavelets(p.n[at] * k));
    n[at] = static_cast<T>(p.n[at]);
    has[at] = p.n[at] > 0;
    dx[at] = static_cast<T>(std::abs(j - root_x) * p.hop);
    // The core that sends both sends A first.
    b_lead[at] = sends_b[j] + static_cast<T>(p.issue + p.latency + (j == root_x ? a_words(root_y) : 0));
  }
  for (int i = 0; i < p.h; i++) {
    const TileRate rate = p.rate[static_cast<size_t>(i)];
    const T a_lead = row(i)[root_x] + static_cast<T>(p.issue + p.latency), dy = static_cast<T>(std::abs(i - root_y) * p.hop);
    auto end_of = [&](int j) {
      const CoreTurn core{.product = product_of(p, turn, i, j),
                          .a = a_words(i),
                          .b = static_cast<int64_t>(b[static_cast<size_t>(j)]),
                          .sends_a = j == root_x,
                          .sends_b = i == root_y};
      const int64_t end =
          core_end(p, core, static_cast<int64_t>(row(i)[j]) + p.issue, static_cast<int64_t>(a_lead + dx[static_cast<size_t>(j)]),
                   static_cast<int64_t>(b_lead[static_cast<size_t>(j)] + dy));
      return static_cast<T>(end + finish);
    };
    if (i == root_y) {
      for (int j = 0; j < p.w; j++)
        if (j != root_x) row(i)[j] = end_of(j);
      row(i)[root_x] = end_of(root_x);
      continue;
    }
    const T of_root = end_of(root_x);
    advance(Row<T>{.t = row(i),
                   .product = n.data(),
                   .has = has.data(),
                   .b = b.data(),
                   .b_lead = b_lead.data(),
                   .dx = dx.data(),
                   .per_k = static_cast<T>(k_now * rate.per_k),
                   .per_kn = static_cast<T>(k_now * rate.per_kn),
                   .a = static_cast<T>(a_words(i)),
                   .a_lead = a_lead,
                   .dy = dy,
                   .issue = static_cast<T>(p.issue),
                   .finish = static_cast<T>(finish),
                   .steal = static_cast<T>(p.steal)},
            p.w);
    row(i)[root_x] = of_root;
  }
}
template <class T>
void cast_turn_apart(const CastSteps& p, std::vector<T>& t, int64_t turn) {
  for (int i = 0; i < p.h; i++)
    for (int j = 0; j < p.w; j++)
      t[static_cast<size_t>(i) * static_cast<size_t>(p.w) + static_cast<size_t>(j)] += static_cast<T>(product_of(p, turn, i, j));
  CastSteps casts = p;
  casts.rate.assign(p.rate.size(), {});
  casts.steal = 0;
  cast_turn(casts, t, turn);
}
template void cast_turn_apart<uint32_t>(const CastSteps&, std::vector<uint32_t>&, int64_t);
template void cast_turn_apart<uint64_t>(const CastSteps&, std::vector<uint64_t>&, int64_t);
template void cast_turn<uint32_t>(const CastSteps&, std::vector<uint32_t>&, int64_t);
template void cast_turn<uint64_t>(const CastSteps&, std::vector<uint64_t>&, int64_t);

namespace {

// Positions of a line that hold equally much: only the farthest of them from the sender can be the slowest.
struct Line {
  std::map<int64_t, std::vector<int>> members;

  explicit Line(const std::vector<int64_t>& held) {
    for (size_t p = 0; p < held.size(); p++) members[held[p]].push_back(static_cast<int>(p));
  }
  // The sender, and of each class the member farthest from it.
  std::vector<int> candidates(int root) const {
    std::vector<int> out = {root};
    for (const auto& [held, at] : members) {
      const int far = root - at.front() > at.back() - root ? at.front() : at.back();
      if (far != root) out.push_back(far);
    }
    return out;
  }
};

}  // namespace

uint64_t cast_cycles_together(const CastSteps& p) {
  const Line columns(p.n), rows(p.rows);
  int64_t cycles = 0;
  for (int64_t turn = first_turn(p); turn < p.L; turn++) {
    const bool last = turn + 1 == p.L;
    const size_t block = static_cast<size_t>(last ? turn : turn + 1);
    const int root_x = p.column_of[block], root_y = p.row_of[block];
    int64_t most = 0;
    for (int i : rows.candidates(root_y))
      for (int j : columns.candidates(root_x)) {
        CoreTurn core{.product = product_of(p, turn, i, j)};
        if (last) {
          most = std::max(most, core.product);
          continue;
        }
        core.a = p.a.wavelets(p.rows[static_cast<size_t>(i)] * p.k[block]);
        core.b = p.b.wavelets(p.n[static_cast<size_t>(j)] * p.k[block]);
        core.sends_a = j == root_x;
        core.sends_b = i == root_y;
        const int64_t a_first = j == root_x ? p.a.wavelets(p.rows[static_cast<size_t>(root_y)] * p.k[block]) : 0;
        most = std::max(most,
                        core_end(p, core, 0, p.latency + std::abs(j - root_x) * p.hop, p.latency + a_first + std::abs(i - root_y) * p.hop));
      }
    cycles += (last ? 0 : p.issue + p.finish) + most + (turn < 0 ? 0 : p.turn);
  }
  return static_cast<uint64_t>(cycles);
}

namespace {

// When a core has all tiles of its line, which all leave at 0: a link passes the tiles of the nearer cores first.
std::vector<int64_t> arrivals(const CastSteps& p, const std::vector<int64_t>& words) {
  const int n = static_cast<int>(words.size());
  std::vector<int64_t> out(words.size(), 0);
  for (const bool up : {true, false}) {
    int64_t sum = 0, latest = 0;  // latest: of the tiles of the cores passed so far, less the hops to come
    for (int q = 0; q < n; q++) {
      const size_t at = static_cast<size_t>(up ? q : n - 1 - q);
      if (q > 0) out[at] = std::max(out[at], latest + q * p.hop);
      sum += words[at];
      latest = std::max(latest, sum - q * p.hop);
    }
  }
  return out;
}

}  // namespace

std::vector<int64_t> gather_cycles(const CastSteps& p) {
  auto blocks = [&](const std::vector<int>& owner, int size) {
    std::vector<int64_t> k(static_cast<size_t>(size), 0);
    for (int l = 0; l < p.L; l++) k[static_cast<size_t>(owner[static_cast<size_t>(l)])] += p.k[static_cast<size_t>(l)];
    return k;
  };
  const std::vector<int64_t> k_of_column = blocks(p.column_of, p.w), k_of_row = blocks(p.row_of, p.h);
  // By how much of C a line of cores holds: few values.
  auto lines = [&](const std::vector<int64_t>& held, const std::vector<int64_t>& k, const Packing& packing) {
    std::map<int64_t, std::vector<int64_t>> words;
    for (int64_t n : held) {
      std::vector<int64_t>& line = words[n];
      if (line.empty())
        for (int64_t size : k) line.push_back(packing.wavelets(n * size));
    }
    return words;
  };
  const auto a = lines(p.rows, k_of_column, p.a), b = lines(p.n, k_of_row, p.b);
  std::map<int64_t, std::vector<int64_t>> a_in, b_in;
  std::map<int64_t, int64_t> a_sum, b_sum;
  auto sums = [&](const auto& words, auto& in, auto& sum) {
    for (const auto& [held, line] : words) {
      in[held] = arrivals(p, line);
      for (int64_t v : line) sum[held] += v;
    }
  };
  sums(a, a_in, a_sum);
  sums(b, b_in, b_sum);
  int64_t k = 0;
  for (int64_t size : p.k) k += size;
  std::vector<int64_t> out;
  for (int i = 0; i < p.h; i++)
    for (int j = 0; j < p.w; j++) {
      const size_t y = static_cast<size_t>(i), x = static_cast<size_t>(j);
      const int64_t rows = p.rows[y], n = p.n[x], own = a.at(rows)[x] + b.at(n)[y], in = a_sum[rows] + b_sum[n] - own;
      int64_t end = p.gather_cycles + (((own + in) * p.steal) >> kStealShift);
      if (p.w > 1 || p.h > 1)
        end = std::max({end, p.send_cycles + p.latency + 1 + in, p.send_cycles + p.latency + std::max(a_in[rows][x], b_in[n][y])});
      out.push_back(end + k * tile_cycles_per_k(p.rate[y], n));
    }
  return out;
}

}  // namespace wafer::time
