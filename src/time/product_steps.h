// The clocks of a rectangle through the steps of a product, cores in ring order: the neighbour two hops away is the next index. Internal to
// time/. Formulas: docs/cost-model.md.
#pragma once
#include <cstdint>
#include <vector>

#include "device/device.h"
#include "mesh/cut.h"
#include "time/clocks.h"
#include "time/cost.h"

namespace wafer::time {

constexpr int kStealShift = 8;

// Cycles for which n elements are on their way through a ramp: (n * bits + round) >> shift, where 2^shift bits pass in a cycle. With one
// wavelet a cycle they are the number of wavelets.
struct Packing {
  int64_t bits = 0, round = 0, shift = 0;
  int64_t wavelets(int64_t n) const { return (n * bits + round) >> shift; }
};

Packing packing(const Device& d, mesh::Dtype type, int64_t rate = 1);  // of `rate` wavelets a cycle
Packing by_wavelet(const Device& d, Packing packing);                  // of the same elements, one wavelet a cycle: counts them
int64_t background_steal(const Device& d);                             // ProductSteps::steal

// What the steps of one product need to know. L = max(w, h) logical positions.
struct ProductSteps {
  int w = 1, h = 1, L = 1;
  std::vector<int64_t> x_hops, y_hops;          // from the next higher ring position to this one
  std::vector<mesh::Range> own_rows, own_cols;  // [h], [w] logical positions that a core holds
  std::vector<int64_t> rows, k, n;              // [L], as ProductSizes; k times the heads
  std::vector<TileRate> rate;                   // [L] by logical row
  Packing a, b, sum;                            // a, b: no bits where that axis has one core only: nothing crosses a link
  int64_t issue = 0, finish = 0, latency = 0;   // latency: of the two ramps
  int64_t steal = 0;                            // cycles that a wavelet to or from memory takes from the product, times 2^kStealShift
  int64_t reduce_issue = 0, ramp = 0, hop = 0, forward = 0;  // GEMM-T's row sums
  std::vector<int> ring_of;                                  // [w] ring position of each column, for the row sums between neighbours
};

// From when the neighbour's first word leaves its memory until it is here; a core alone on its ring waits for nobody.
inline int64_t x_way(const ProductSteps& p, int ring) { return p.w > 1 ? p.x_hops[static_cast<size_t>(ring)] + p.latency : 0; }
inline int64_t y_way(const ProductSteps& p, int ring) { return p.h > 1 ? p.y_hops[static_cast<size_t>(ring)] + p.latency : 0; }
// The same over one link, and the cycle in which the ramp takes it.
inline int64_t ramp_way(const ProductSteps& p) { return p.w > 1 || p.h > 1 ? p.latency + 1 : 0; }

ProductSteps gemm_setup(mesh::Extent region, const Device& d, Numerics numerics, const ProductSizes& z);
ProductSteps gemm_t_setup(mesh::Extent region, const Device& d, Numerics numerics, const ProductSizes& z);

// MeshGEMM: advances t [h][w] by `steps` of L compute-shift steps, the first one at `first`. Requires: gemm_rise() fits T.
template <class T>
void gemm_steps(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps);
template <class T>
void gemm_steps_scalar(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps);  // one thread, no vectors

// Cycles of all L steps where every step starts on all cores when the one before has ended on all of them.
uint64_t gemm_cycles_together(const ProductSteps& p);

// GEMM-T, likewise. Here k is [w] by ring position of the column: the dims that it holds.
template <class T>
void gemm_t_steps(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps);
template <class T>
void gemm_t_steps_scalar(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps);

// By how much a step may raise the latest clock, a step whose product and exchange do not overlap too; and the largest number computed on
// the way that is no clock.
struct StepRise {
  Bound step, apart, widest;
};
StepRise gemm_step_rise(const ProductSteps& p);
StepRise gemm_t_step_rise(const ProductSteps& p);
// By how much all L steps may raise the latest clock; no number computed on the way is larger.
Bound gemm_rise(const ProductSteps& p);
Bound gemm_t_rise(const ProductSteps& p);

// Rows (or columns) of tiles move `moves` ring positions; `words` travel each time. t [length + 1]: the last element is scratch.
template <class T>
struct AlignLine {
  std::vector<T> hops;  // [length]
  T issue = 0, finish = 0, latency = 0;
};
template <class T>
void align_line(const AlignLine<T>& a, std::vector<T>& t, std::vector<T>& scratch, T words, int64_t moves);

namespace inl {
constexpr int kLanes = 64;  // rows of a GEMM-T that are advanced together

template <class T>
struct GemmTBlock {
  int w = 1;
  int64_t stride = 0;                             // between columns of t and out
  const T* t = nullptr;                           // [w][lanes + 1]: the row below each is the next element
  T* out = nullptr;                               // [w][lanes]
  const T* dims = nullptr;                        // [w]
  const int* dims_class = nullptr;                // [w] index into words and arriving
  const T* const* words = nullptr;                // [classes][lanes]
  const T* const* arriving = nullptr;             // [classes][lanes]
  const T *product = nullptr, *y_ways = nullptr;  // [lanes]; product: for one dim
  int64_t sums = 1, lanes = 0;                    // row sums one after the other, and from one's numbers to the next one's
  const T *root = nullptr, *sum_words = nullptr;  // [sums][lanes]; where there are several, no words: that row has fewer sums
  const int* ring_of = nullptr;                   // [w]
  int first_root = 0, last_root = 0;              // the range of root
  T issue = 0, steal = 0, reduce_issue = 0, ramp = 0, hop = 0, forward = 0;
};
}  // namespace inl

}  // namespace wafer::time
