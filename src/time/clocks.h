// The clocks of a region and what the kinds of steps do to them. Internal to time/.
#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include "base/checked.h"
#include "device/device.h"
#include "mesh/program.h"
#include "time/cost.h"
#include "time/time.h"

namespace wafer::time {

// Clocks [h][w] of a region, relative to `base`, which grows. T is uint32_t or uint64_t. The steps below start from settled clocks; what
// they write, and all that they compute on the way, is bounded first. Where that does not fit uint32_t, or the clocks of a region are too
// far apart for it, they set too_wide: the clocks are of no use any more, the caller times all again with uint64_t. For uint64_t they throw
// an Error where the bound is beyond kLatest.
template <class T>
struct Clocks {
  static constexpr T kUnknown = std::numeric_limits<T>::max();

  int w = 1, h = 1;
  std::vector<T> t;
  uint64_t base = 0;
  uint64_t floor = 0;     // no core goes on before; joins the clocks when they are next read one by one (settle)
  T most = kUnknown;      // no clock of t is above it; settle() knows it, whoever writes t forgets it
  bool too_wide = false;  // of uint32_t only

  T* row(int y) { return t.data() + static_cast<size_t>(y) * static_cast<size_t>(w); }
};

// The last cycle that is told: 133 years at 1.1 GHz.
constexpr uint64_t kLatest = uint64_t{1} << 62;
// `from` and `more` cycles. Throws Error beyond kLatest.
uint64_t time_after(uint64_t from, Bound more);

// Whether the clocks may advance by `rise` beyond the latest of them; says so in too_wide, or throws, if not. May be called from several
// threads.
template <class T>
bool fits(Clocks<T>& c, Bound rise);
// The same where none of the clocks that advance is above `most`.
template <class T>
bool fits(Clocks<T>& c, T most, Bound rise);
template <class T>
Bound room(const Clocks<T>& c);  // the largest rise that fits

// Of all clocks, as absolute times.
struct ClockStats {
  uint64_t earliest = 0, latest = 0;
  double sum = 0;
};
// Applies the floor and rebases where the clocks are high; then every clock is base + t. `known`: of the clocks with their floor.
template <class T>
void settle(Clocks<T>& c, const ClockStats& known);
template <class T>
ClockStats stats(const Clocks<T>& c);  // of settled clocks
template <class T>
T latest_of(const Clocks<T>& c);  // without base
// A row of w clocks, each later by its cycles. Requires: fits() the largest of them; the caller sets c.most to kUnknown or settles.
void add_to_row(uint32_t* row, const uint32_t* cycles, int w);
void add_to_row(uint64_t* row, const uint64_t* cycles, int w);

// What a step cost, beside the clocks.
struct Tally {
  double compute = 0, communicate = 0;
  int64_t wavelets = 0, hops = 0, received = 0;
  int64_t multiply_adds = 0;  // and other element operations
  Actions actions;
};
void add(Tally& to, const Tally& more);

template <class T>
Clocks<T> transposed(const Clocks<T>& c);

// Wavelets of a reduction on each line of each run: of all parts, and of those that are broadcast. 0: a line has nothing to join, its
// cores go on.
struct ReduceWords {
  std::vector<std::vector<int64_t>> all, cast;  // [runs][lines]
};

// A reduction along y (whatever its axis says), whose lines are columns. Trees count positions from runs[i].begin.
template <class T>
void time_reduce(Clocks<T>& c, const Device& d, const mesh::Forest& forest, const mesh::Issue& issue, const ReduceWords& words, bool fp16,
                 Tally& tally);

// A reduction on rings along y: held[run][x] elements of each part's buffer on the cores of a column, types[part].
template <class T>
void time_ring_reduce(Clocks<T>& c, const Device& d, const mesh::RingReduce& reduce, const std::vector<mesh::Dtype>& types,
                      const std::vector<std::vector<std::vector<int64_t>>>& held, Tally& tally);

// Sizes of a product on a rectangle of the region.
struct ProductSizes {
  mesh::Range columns;              // of the region
  std::vector<int64_t> rows, k, n;  // [L] of each logical tile. GEMM-T: k: [columns by position] dims of each column, n: keys of each block
  mesh::Dtype a = mesh::Dtype::f16, b = mesh::Dtype::f16, sum = mesh::Dtype::f32;
  int64_t heads = 1;  // products one after the other on the same tiles
  bool align_a = false, align_b = false;
  mesh::LineOrder order = mesh::LineOrder::interleaved;  // of the logical positions on both axes
  bool together = false;                                 // all cores start a step at the same time
  bool overlap = true;                                   // a step's product and transfers at the same time, else one after the other
};

void append_key(std::vector<int64_t>& key, const ProductSizes& sizes);  // all numbers of it

// sampled_steps: 0, or how many of the compute-shift steps are timed before the others are taken to be like them.
template <class T>
void time_gemm(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& sizes, int64_t sampled_steps, Tally& tally);
template <class T>
void time_gemm_t(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& sizes, int64_t sampled_steps, Tally& tally);
// Of a whole region, in the order of the line.
template <class T>
void time_gemm_cast(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& sizes, Tally& tally);
template <class T>
void time_gemm_gather(Clocks<T>& c, const Device& d, Numerics numerics, const ProductSizes& sizes, Tally& tally);

}  // namespace wafer::time
