#include "mesh/cut.h"

#include <algorithm>

#include "base/check.h"

namespace wafer::mesh {

int64_t count(const std::vector<Range>& ranges) {
  int64_t n = 0;
  for (const Range& r : ranges) n += r.size();
  return n;
}

void append(std::vector<Range>& ranges, Range r) {
  if (r.size() <= 0) return;
  if (!ranges.empty() && ranges.back().end == r.begin)
    ranges.back().end = r.end;
  else
    ranges.push_back(r);
}

std::vector<std::vector<Range>> split(const std::vector<Range>& ranges, int pieces) {
  const int64_t n = count(ranges);
  std::vector<std::vector<Range>> out(static_cast<size_t>(pieces));
  for (int i = 0; i < pieces; i++) {
    const Range want = part(n, i, pieces);
    int64_t at = 0;
    for (const Range& r : ranges) {
      const int64_t lo = std::max(want.begin, at), hi = std::min(want.end, at + r.size());
      if (lo < hi) append(out[static_cast<size_t>(i)], {r.begin + lo - at, r.begin + hi - at});
      at += r.size();
    }
  }
  return out;
}

Cut whole_cut() { return {}; }
Cut parts_cut(int positions) { return {.kind = CutKind::parts, .positions = positions}; }
Cut ring_cut(int positions, int logical) { return {.kind = CutKind::ring, .positions = positions, .logical = logical}; }
Cut line_cut(int positions, int logical) { return {.kind = CutKind::line, .positions = positions, .logical = logical}; }
Cut chunks_cut(int positions, int logical, int64_t chunk) {
  return {.kind = CutKind::chunks, .positions = positions, .logical = logical, .chunk = chunk};
}
Cut shift_cut(int positions) { return {.kind = CutKind::shift, .positions = positions}; }
Cut table_cut(std::vector<std::vector<Range>> table) {
  Cut c{.kind = CutKind::table, .positions = static_cast<int>(table.size())};
  c.table = std::make_shared<const std::vector<std::vector<Range>>>(std::move(table));
  return c;
}

Range shift_range(int64_t n, int i, int H) {
  int64_t begin = 0;
  if (n > 0) {
    // Row i starts after all rows above it. floor((n+j)/H) is q for j < H - r and q + 1 from there on, with n = q H + r.
    const int64_t q = n / H, r = n % H;
    begin = q * i + std::max<int64_t>(0, i - (H - r));
  }
  return {begin, begin + shift_rows(n, i, H)};
}

namespace {

Range ring_range(int64_t n, int position, int positions, int L, LineOrder order = LineOrder::interleaved) {
  const Range l = logical_positions(position_to_ring(order, position, positions), positions, L);
  return {n * l.begin / L, n * l.end / L};
}
Range ring_range(const Cut& c, int64_t n, int position) { return ring_range(n, position, c.positions, c.logical, order_of(c)); }

// Tile l of L2 where n indices lie as a ring cut with L logical positions over S cores: the holding of the core that owns l, cut evenly.
Range ring_tile(int64_t n, int S, int L, int L2, int64_t l) {
  if (L2 == L) return part(n, l, L);
  const int c = static_cast<int>(((l + 1) * S - 1) / L2);
  const Range mine = logical_positions(c, S, L2), rows = logical_positions(c, S, L);
  const Range held{n * rows.begin / L, n * rows.end / L};
  const Range piece = part(held.size(), l - mine.begin, mine.size());
  return {held.begin + piece.begin, held.begin + piece.end};
}

// The key blocks of a run's rectangle (w x other_side cores) are the rows as they lie along the other axis, cut for that rectangle.
Range key_block_of_run(const Cut& cut, int64_t n, int position) {
  const auto run =
      std::upper_bound(cut.run_positions.begin(), cut.run_positions.end(), position, [](int p, const Range& r) { return p < r.end; });
  if (run == cut.run_positions.end()) return {};
  const int w = static_cast<int>(run->size()), L2 = std::max(w, cut.other_side);
  const Range mine = logical_positions(position_to_ring(position - static_cast<int>(run->begin), w), w, L2);
  return {ring_tile(n, cut.other_side, cut.other_logical, L2, mine.begin).begin,
          ring_tile(n, cut.other_side, cut.other_logical, L2, mine.end - 1).end};
}

}  // namespace

std::vector<Range> ranges_at(const Cut& cut, int64_t n, int position) {
  std::vector<Range> out;
  switch (cut.kind) {
    case CutKind::whole: append(out, {0, n}); break;
    case CutKind::table: out = (*cut.table)[static_cast<size_t>(position)]; break;
    case CutKind::parts: append(out, part(n, position, cut.positions)); break;
    case CutKind::ring:
    case CutKind::line: append(out, ring_range(cut, n, position)); break;
    case CutKind::chunks:
      for (int64_t begin = 0; begin < n; begin += cut.chunk) {
        const Range r = ring_range(std::min(cut.chunk, n - begin), position, cut.positions, cut.logical);
        append(out, {begin + r.begin, begin + r.end});
      }
      break;
    case CutKind::shift: append(out, shift_range(n, position, cut.positions)); break;
    case CutKind::runs: append(out, key_block_of_run(cut, n, position)); break;
  }
  return out;
}

int64_t count_at(const Cut& cut, int64_t n, int position) {
  switch (cut.kind) {
    case CutKind::whole: return n;
    case CutKind::parts: return part(n, position, cut.positions).size();
    case CutKind::ring:
    case CutKind::line: return ring_range(cut, n, position).size();
    case CutKind::shift: return shift_rows(n, position, cut.positions);
    case CutKind::table: return count((*cut.table)[static_cast<size_t>(position)]);
    case CutKind::runs: return key_block_of_run(cut, n, position).size();
    case CutKind::chunks: {
      const auto held = [&](int64_t rows) { return ring_range(rows, position, cut.positions, cut.logical).size(); };
      return n / cut.chunk * held(cut.chunk) + held(n % cut.chunk);
    }
  }
  return 0;
}

int64_t most_at(const Cut& cut, int64_t n, int position) {
  const auto ceiling = [](int64_t rows, int64_t owned, int64_t logical) { return (rows * owned + logical - 1) / logical; };
  const auto owned = [&] {
    return logical_positions(position_to_ring(order_of(cut), position, cut.positions), cut.positions, cut.logical).size();
  };
  switch (cut.kind) {
    case CutKind::parts: return ceiling(n, 1, cut.positions);
    case CutKind::ring:
    case CutKind::line: return ceiling(n, owned(), cut.logical);
    // Full chunks, and one that is not: of what it may hold in a longer list, only its own rows count.
    case CutKind::chunks:
      return std::min(n / cut.chunk * count_at(ring_cut(cut.positions, cut.logical), cut.chunk, position) +
                          ceiling(n % cut.chunk, owned(), cut.logical),
                      n);
    case CutKind::runs: return std::min(n, count_at(cut, n, position) + 1);
    case CutKind::whole:
    case CutKind::table:
    case CutKind::shift: break;
  }
  return count_at(cut, n, position);
}

std::vector<std::vector<Range>> logical_tiles(const Cut& cut, int64_t n, int L) { return logical_tiles(cut, n, L, {0, cut.positions}); }

std::vector<std::vector<Range>> logical_tiles(const Cut& cut, int64_t n, int L, Range run) { return logical_tiles(cut, n, L, run, {0, n}); }

std::vector<std::vector<Range>> logical_tiles(const Cut& cut, int64_t n, int L, Range run, Range within) {
  std::vector<std::vector<Range>> out(static_cast<size_t>(L));
  const int S = static_cast<int>(run.size());
  CHECK(L >= S && S >= 1, "L = {}, S = {}", L, S);
  const LineOrder order = order_of(cut);
  const bool parts =
      (cut.kind == CutKind::ring || cut.kind == CutKind::line) && cut.logical == L && S == cut.positions && within == Range{0, n};
  for (int c = 0; c < S; c++) {
    const Range mine = logical_positions(c, S, L);
    if (parts) {
      for (int64_t l = mine.begin; l < mine.end; l++) append(out[static_cast<size_t>(l)], part(n, l, L));
      continue;
    }
    const int position = static_cast<int>(run.begin) + ring_to_position(order, c, S);
    std::vector<Range> held;
    for (const Range& r : ranges_at(cut, n, position)) append(held, {std::max(r.begin, within.begin), std::min(r.end, within.end)});
    auto tiles = split(held, static_cast<int>(mine.size()));
    for (int64_t l = mine.begin; l < mine.end; l++) out[static_cast<size_t>(l)] = std::move(tiles[static_cast<size_t>(l - mine.begin)]);
  }
  return out;
}

Range head_run(int heads, int W, int h) {
  if (W >= heads) return part(W, h, heads);
  // The last x whose first head is not above h.
  int64_t x = static_cast<int64_t>(h) * W / heads;
  while (part(heads, x, W).end <= h) x++;
  return {x, x + 1};
}

std::vector<Range> head_runs(int heads, int W) {
  std::vector<Range> runs;
  const int n = std::min(heads, W);
  for (int i = 0; i < n; i++) runs.push_back(part(W, i, n));
  return runs;
}

Range heads_at(int heads, int W, int position) {
  if (W < heads) return part(heads, position, W);
  int h = 0;
  while (part(W, h, heads).end <= position) h++;
  return {h, h + 1};
}

}  // namespace wafer::mesh
