// How one dimension of a tensor lies along one axis of a region.
//
// A cut says, for each core position along the axis, which indices of the dimension it holds and in which order. The part rule is
// part i of n over P = [n*i/P, n*(i+1)/P); empty parts are allowed. In prefill an axis has L = max(width, height) logical
// positions; the core at ring position c of a side of S cores owns the logical positions [L*c/S, L*(c+1)/S).
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "mesh/coord.h"

namespace wafer::mesh {

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

inline Range part(int64_t n, int64_t i, int64_t parts) { return {n * i / parts, n * (i + 1) / parts}; }
int64_t count(const std::vector<Range>& ranges);
void append(std::vector<Range>& ranges, Range r);  // joins neighbours, drops empty ranges

// Cuts an ordered list of ranges into `pieces` consecutive lists by the part rule on its element count.
std::vector<std::vector<Range>> split(const std::vector<Range>& ranges, int pieces);

enum class CutKind : uint8_t {
  whole,   // every position holds all indices (replicated)
  table,   // a fixed list of ranges for each position: heads that own runs of columns, permuted parts
  parts,   // the part rule, in natural order: position p holds part p
  ring,    // the L logical parts, in ring order
  line,    // the L logical parts, in the order of the line
  chunks,  // as `ring`, separately for each chunk of `chunk` indices: KV rows of a chunked prefill
  shift,   // KV cache by shift: row i of H holds floor((n+i)/H) indices, ascending from the top
  runs     // inside each run of positions separately: the key blocks of the run's rectangle, in the run's ring order
};

struct Cut {
  CutKind kind = CutKind::whole;
  int positions = 1;                                               // cores along the axis
  int logical = 1;                                                 // ring, line, chunks: L
  int64_t chunk = 0;                                               // chunks: indices in a full chunk
  int other_side = 1;                                              // runs: cores along the other axis, where the same indices lie as rows
  int other_logical = 1;                                           // runs: L of the other axis
  std::vector<Range> run_positions;                                // runs: the runs, covering all positions in order
  std::shared_ptr<const std::vector<std::vector<Range>>> table{};  // table: [positions] ranges
};

Cut whole_cut();
Cut parts_cut(int positions);
Cut ring_cut(int positions, int logical);
Cut line_cut(int positions, int logical);
Cut chunks_cut(int positions, int logical, int64_t chunk);
Cut shift_cut(int positions);
Cut table_cut(std::vector<std::vector<Range>> table);

// How the logical positions of a cut lie on its axis.
inline LineOrder order_of(const Cut& c) { return c.kind == CutKind::line ? LineOrder::natural : LineOrder::interleaved; }

// The indices that `position` holds of a dimension of n, in the core's order.
std::vector<Range> ranges_at(const Cut& cut, int64_t n, int position);
int64_t count_at(const Cut& cut, int64_t n, int position);
// The most that `position` holds for any size up to n: a ring part of a smaller size can be larger by one.
int64_t most_at(const Cut& cut, int64_t n, int position);

// Rows in the shift placement: how many of n positions row i of H holds, and the first of them.
inline int64_t shift_rows(int64_t n, int64_t i, int64_t H) { return (n + i) / H; }
Range shift_range(int64_t n, int i, int H);

// The logical positions of the core at `ring` on a side of S cores: consecutive, never empty as L >= S.
inline Range logical_positions(int ring, int S, int L) {
  return {static_cast<int64_t>(L) * ring / S, static_cast<int64_t>(L) * (ring + 1) / S};
}

// The tiles of a product on a side of S = cut.positions cores with L logical positions: tile l is what the core that owns logical
// position l holds, cut evenly among that core's logical positions in order (for a ring cut with the same L: the L parts themselves).
// Of the inner dimension of a product the tiles are those of the side that has one core for each logical position (for a product with
// weights A's side, for P V the rows' cut): on the other side the cores hold unions of them, which this function would cut otherwise.
std::vector<std::vector<Range>> logical_tiles(const Cut& cut, int64_t n, int L);
// The same inside a run of positions [run.begin, run.end), and of the indices in `within` only: one head of the several that a core may
// hold.
std::vector<std::vector<Range>> logical_tiles(const Cut& cut, int64_t n, int L, Range run);
std::vector<std::vector<Range>> logical_tiles(const Cut& cut, int64_t n, int L, Range run, Range within);

// Head runs: `heads` heads on W positions. Where W >= heads, head h owns the positions [W*h/heads, W*(h+1)/heads); else position x owns
// the whole heads [heads*x/W, heads*(x+1)/W).
Range head_run(int heads, int W, int h);
std::vector<Range> head_runs(int heads, int W);  // the runs of positions: one for each head, or one for each position where W < heads
Range heads_at(int heads, int W, int position);

}  // namespace wafer::mesh
