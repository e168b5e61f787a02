// The clocks of a region through a product whose tiles are multicast along whole lines (kernels/cast_gemm.h), cores in the order of the
// line. Internal to time/. Formulas: docs/cost-model.md.
#pragma once
#include <cstdint>
#include <vector>

#include "time/product_schedule.h"
#include "time/product_steps.h"

namespace wafer::time {

struct CastSteps {
  int w = 1, h = 1, L = 1;
  std::vector<int> column_of, row_of;  // [L] the cores that own a block of k
  std::vector<int64_t> rows, n;        // [h], [w] of C that a core holds
  std::vector<int64_t> k;              // [L]
  std::vector<TileRate> rate;          // [h]
  Packing a, b;                        // no bits where that axis has one core only
  int64_t issue = 0, finish = 0;       // of the casts of a turn
  int64_t turn = 0;                    // at the end of a turn that computes, beside them
  int64_t latency = 0, hop = 0;
  int64_t steal = 0;          // as ProductSteps
  int64_t send_cycles = 0;    // gather: of the main thread, for the operations that send a core's tiles
  int64_t gather_cycles = 0;  // and for all that it does for tiles, those that arrive too
};

StreamActions casts_of(const CastSteps& p);    // of one core: a tile along each axis
StreamActions gathers_of(const CastSteps& p);  // the tiles of all cores of its row and of its column

CastSteps cast_setup(mesh::Extent region, const Device& d, Numerics numerics, const ProductSizes& z);

// SUMMA. Turn -1 casts block 0; turn s multiplies block s and casts the next one, where there is one. Each core when it has what it needs;
// t [h][w]. Requires: cast_rise() fits T.
template <class T>
void cast_turn(const CastSteps& p, std::vector<T>& t, int64_t turn);
// The same where the casts of a turn come after its product.
template <class T>
void cast_turn_apart(const CastSteps& p, std::vector<T>& t, int64_t turn);
// Cycles of all turns where each starts on all cores when the one before has ended on all of them.
uint64_t cast_cycles_together(const CastSteps& p);

// The first turn: -1, or 0 on one core, where there is nothing to cast.
inline int64_t first_turn(const CastSteps& p) { return p.w > 1 || p.h > 1 ? -1 : 0; }

// By how much all turns may raise the latest clock; no number computed on the way is larger.
Bound cast_rise(const CastSteps& p);
Bound gather_rise(const CastSteps& p);  // likewise of the allgather

// Allgather: cycles of each core, [h][w], from a start that all have together.
std::vector<int64_t> gather_cycles(const CastSteps& p);

}  // namespace wafer::time
