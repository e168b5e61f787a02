// The inner loops of GEMV in vectors: accumulators of up to 128 lanes stay in registers over the k's of one mesh position.
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "run/matmul_gemv_simd.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <algorithm>

#include "run/matmul_simd-inl.h"

#if WAFER_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace wafer::run::HWY_NAMESPACE {

// Registers for accumulators.
constexpr int kAccumulators = kLanes == 16 ? 16 : 8;
// Vectors of lanes at once.
constexpr int vectors_at_once(int batch) { return std::clamp(kAccumulators / batch, 1, 8); }
// Rows that stay in L1 while all lanes and all of the batch go over them.
constexpr int64_t kRowsAtATime = 32;
// How far ahead memory is asked for: a few times latency x bandwidth of one core, found by measurement.
constexpr int64_t kPrefetchBytes = 8192;

template <PanelType type>
HWY_INLINE V weight(const std::byte* panel, int64_t k, int64_t lane) {
  const int64_t at = k * kPanelLanes + lane;
  if constexpr (type == PanelType::f32) return hn::Load(D(), reinterpret_cast<const float*>(panel) + at);
  return from_f16(reinterpret_cast<const uint16_t*>(panel) + at);
}

// kVecs vectors of lanes from `lane` on, kBatch rows of x and acc.
template <PanelType type, Numerics numerics, int kVecs, int kBatch>
HWY_INLINE void run_plain(const std::byte* panel, int64_t lane, int64_t begin, int64_t end, const float* x, int64_t x_stride, bool first,
                          float* acc) {
  constexpr int64_t row_bytes = kPanelLanes * (type == PanelType::f32 ? 4 : 2);
  V sum[kBatch][kVecs];
  WAFER_UNROLL
  for (int b = 0; b < kBatch; b++) {
    WAFER_UNROLL
    for (int v = 0; v < kVecs; v++) sum[b][v] = first ? hn::Zero(D()) : hn::Load(D(), acc + b * kPanelLanes + lane + v * kLanes);
  }
  for (int64_t k = begin; k < end; k++) {
    if (lane == 0) {
      WAFER_UNROLL
      for (int64_t i = 0; i < row_bytes; i += 64) hwy::Prefetch(panel + k * row_bytes + kPrefetchBytes + i);
    }
    V operand[kBatch];
    WAFER_UNROLL
    for (int b = 0; b < kBatch; b++) operand[b] = hn::Set(D(), x[b * x_stride + k]);
    WAFER_UNROLL
    for (int v = 0; v < kVecs; v++) {
      const V w = weight<type>(panel, k, lane + v * kLanes);
      WAFER_UNROLL
      for (int b = 0; b < kBatch; b++) sum[b][v] = multiply_add<numerics>(w, operand[b], sum[b][v]);
    }
  }
  WAFER_UNROLL
  for (int b = 0; b < kBatch; b++) {
    WAFER_UNROLL
    for (int v = 0; v < kVecs; v++) hn::Store(sum[b][v], D(), acc + b * kPanelLanes + lane + v * kLanes);
  }
}

// The integers of lanes lane, lane + 1, ... of one row of a block; lane is a multiple of the vector.
template <PanelType type>
HWY_INLINE V quantised_weight(const std::byte* integers, int64_t row, int64_t lane) {
  if constexpr (type == PanelType::q8_0) return from_int8(reinterpret_cast<const int8_t*>(integers) + row * kPanelLanes + lane);
  const VUint word = hn::Load(DUint(), reinterpret_cast<const uint32_t*>(integers) + row * 16 + lane % 16);
  return from_low_nibble(hn::ShiftRightSame(word, static_cast<int>(lane / 16 * 4)));
}

// S of one piece: rows [begin, end) of the block at `block`, x[b * x_stride] for the first of them. Only lane 0 asks for memory ahead.
template <PanelType type, int kVecs, int kBatch>
HWY_INLINE void run_piece(const std::byte* block, int64_t lane, int64_t begin, int64_t end, const float* x, int64_t x_stride,
                          V (&sum)[kBatch][kVecs]) {
  constexpr int64_t row_bytes = type == PanelType::q8_0 ? 128 : 64;
  const std::byte* integers = block + 2 * kPanelLanes;
  for (int64_t row = begin; row < end; row++, x++) {
    if (lane == 0) {
      WAFER_UNROLL
      for (int64_t i = 0; i < row_bytes; i += 64) hwy::Prefetch(integers + row * row_bytes + kPrefetchBytes + i);
    }
    WAFER_UNROLL
    for (int v = 0; v < kVecs; v++) {
      const V w = quantised_weight<type>(integers, row, lane + v * kLanes);
      WAFER_UNROLL
      for (int b = 0; b < kBatch; b++) sum[b][v] = hn::MulAdd(w, hn::Set(D(), x[b * x_stride]), sum[b][v]);
    }
  }
}

// The registers hold the sums of one piece; the totals stay in `acc`, in L1.
template <PanelType type, int kVecs, int kBatch>
HWY_INLINE void run_quantised(const std::byte* panel, int64_t lane, int64_t begin, int64_t end, const float* x, int64_t x_stride,
                              bool first, float* acc) {
  constexpr int64_t block_bytes = type == PanelType::q8_0 ? kQ8BlockBytes : kQ4BlockBytes;
  for (int64_t k = begin; k < end; first = false) {
    const int64_t stop = std::min(end, (k / kQuantBlock + 1) * kQuantBlock);
    const std::byte* block = panel + k / kQuantBlock * block_bytes;
    if (lane == 0 && k % kQuantBlock == 0) {
      for (int64_t i = 0; i < 2 * kPanelLanes; i += 64) hwy::Prefetch(block + kPrefetchBytes + i);
    }
    V sum[kBatch][kVecs];
    WAFER_UNROLL
    for (int b = 0; b < kBatch; b++) {
      WAFER_UNROLL
      for (int v = 0; v < kVecs; v++) sum[b][v] = hn::Zero(D());
    }
    const int64_t row = k % kQuantBlock;
    run_piece<type, kVecs, kBatch>(block, lane, row, row + stop - k, x + k, x_stride, sum);
    WAFER_UNROLL
    for (int v = 0; v < kVecs; v++) {
      const V scale = from_f16(reinterpret_cast<const uint16_t*>(block) + lane + v * kLanes);
      WAFER_UNROLL
      for (int b = 0; b < kBatch; b++) {
        float* total = acc + b * kPanelLanes + lane + v * kLanes;
        hn::Store(hn::MulAdd(scale, sum[b][v], first ? hn::Zero(D()) : hn::Load(D(), total)), D(), total);
      }
    }
    k = stop;
  }
}

template <PanelType type, Numerics numerics, int kBatch>
void run_batch(const std::byte* panel, int64_t begin, int64_t end, const float* x, int64_t x_stride, bool first, float* acc) {
  constexpr bool quantised = type == PanelType::q8_0 || type == PanelType::q4_0;
  constexpr int kVecs = vectors_at_once(kBatch);
  for (int64_t lane = 0; lane < kPanelLanes; lane += kVecs * kLanes) {
    if constexpr (quantised) {
      run_quantised<type, kVecs, kBatch>(panel, lane, begin, end, x, x_stride, first, acc);
    } else {
      run_plain<type, numerics, kVecs, kBatch>(panel, lane, begin, end, x, x_stride, first, acc);
    }
  }
}

template <PanelType type, Numerics numerics>
void segment(const std::byte* panel, int64_t begin, int64_t end, const float* x, int64_t x_stride, int batch, bool first, float* acc) {
  // One pass over the rows if the registers hold all lanes.
  if (batch == 1 && vectors_at_once(1) * kLanes == kPanelLanes) {
    return run_batch<type, numerics, 1>(panel, begin, end, x, x_stride, first, acc);
  }
  while (begin < end) {
    // Quantised pieces must not be cut: rows end at a multiple of the block.
    const int64_t stop = std::min(end, (begin / kRowsAtATime + 1) * kRowsAtATime);
    for (int b = 0; b < batch;) {
      const float* from = x + b * x_stride;
      float* to = acc + b * kPanelLanes;
      if (batch - b >= 4) {
        run_batch<type, numerics, 4>(panel, begin, stop, from, x_stride, first, to);
        b += 4;
      } else if (batch - b >= 2) {
        run_batch<type, numerics, 2>(panel, begin, stop, from, x_stride, first, to);
        b += 2;
      } else {
        run_batch<type, numerics, 1>(panel, begin, stop, from, x_stride, first, to);
        b += 1;
      }
    }
    begin = stop;
    first = false;
  }
}
static_assert(kRowsAtATime % kQuantBlock == 0);

template <Numerics numerics>
void add_chain(float* values, int64_t count, const int* chain, int length) {
  for (int64_t i = 0; i < count; i += kLanes) {
    V v = hn::Load(D(), values + chain[0] * count + i);
    for (int q = 1; q < length; q++) {
      v = hn::Add(hn::Load(D(), values + chain[q] * count + i), v);
      if constexpr (numerics == Numerics::fp16) v = rounded_f16(v);
    }
    hn::Store(v, D(), values + chain[length - 1] * count + i);
  }
}

const GemvKernels& gemv_kernels_here() {
  using enum PanelType;
  constexpr Numerics n32 = Numerics::fp32, n16 = Numerics::fp16;
  static constexpr GemvKernels kernels{
      .segment = {segment<f32, n32>, segment<f16, n32>, segment<q8_0, n32>, segment<q4_0, n32>},
      .segment_fp16 = {segment<f32, n16>, segment<f16, n16>},
      .add_chain = add_chain<n32>,
      .add_chain_fp16 = add_chain<n16>,
  };
  return kernels;
}

}  // namespace wafer::run::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // WAFER_SIMD_TARGET

#if HWY_ONCE
namespace wafer::run {

const GemvKernels& gemv_kernels(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::gemv_kernels_here();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::gemv_kernels_here();
#endif
  return scalar_gemv_kernels();
}

}  // namespace wafer::run
#endif  // HWY_ONCE
