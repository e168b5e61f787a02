// The inner loops of GEMM in vectors: a tile of up to 12 x 32 (AVX-512) or 6 x 16 (AVX2) accumulators in registers.
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "run/matmul_gemm_simd.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <algorithm>
#include <type_traits>

#include "base/check.h"
#include "base/half.h"
#include "run/matmul_simd-inl.h"

#if WAFER_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace wafer::run::HWY_NAMESPACE {

constexpr int kTileRows = kLanes == 16 ? 12 : 6;
constexpr int kTileVecs = 2;
constexpr int kTileLanes = kTileVecs * kLanes;

using Mask = hn::Mask<D>;

HWY_INLINE Mask row_mask(const uint32_t* masks, int row, int vec) {
  return hn::LoadMaskBits(D(), reinterpret_cast<const uint8_t*>(masks + row) + vec * kLanes / 8);
}

// acc where the mask is 0.
template <Numerics numerics>
HWY_INLINE V multiply_add_active(Mask mask, V a, V b, V acc) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (numerics != Numerics::fp16) return V{_mm512_mask3_fmadd_ps(a.raw, b.raw, acc.raw, mask.raw)};
#endif
  return hn::IfThenElse(mask, multiply_add<numerics>(a, b, acc), acc);
}

template <Numerics numerics, int kRows>
HWY_INLINE void multiply(const float* a, const float* b, int64_t begin, int64_t end, V (&acc)[kRows][kTileVecs]) {
  for (int64_t k = begin; k < end; k++) {
    V w[kTileVecs];
    WAFER_UNROLL
    for (int v = 0; v < kTileVecs; v++) w[v] = hn::Load(D(), b + k * kTileLanes + v * kLanes);
    WAFER_UNROLL
    for (int r = 0; r < kRows; r++) {
      const V x = hn::Set(D(), a[k * kRows + r]);
      WAFER_UNROLL
      for (int v = 0; v < kTileVecs; v++) acc[r][v] = multiply_add<numerics>(x, w[v], acc[r][v]);
    }
  }
}

// The masks are loaded again for every step: there are more of them than mask registers, and most spans are short.
template <Numerics numerics, int kRows>
HWY_INLINE void multiply_active(const float* a, const float* b, const TileSpan& span, V (&acc)[kRows][kTileVecs]) {
  for (int64_t k = span.begin; k < span.end; k++) {
    V w[kTileVecs];
    WAFER_UNROLL
    for (int v = 0; v < kTileVecs; v++) w[v] = hn::Load(D(), b + k * kTileLanes + v * kLanes);
    WAFER_UNROLL
    for (int r = 0; r < kRows; r++) {
      const V x = hn::Set(D(), a[k * kRows + r]);
      WAFER_UNROLL
      for (int v = 0; v < kTileVecs; v++) acc[r][v] = multiply_add_active<numerics>(row_mask(span.masks, r, v), x, w[v], acc[r][v]);
    }
  }
}

template <int kRows>
HWY_INLINE void clear(V (&acc)[kRows][kTileVecs]) {
  WAFER_UNROLL
  for (int r = 0; r < kRows; r++) {
    WAFER_UNROLL
    for (int v = 0; v < kTileVecs; v++) acc[r][v] = hn::Zero(D());
  }
}

template <int kRows>
HWY_INLINE void load(const float* tile, V (&acc)[kRows][kTileVecs]) {
  WAFER_UNROLL
  for (int r = 0; r < kRows; r++) {
    WAFER_UNROLL
    for (int v = 0; v < kTileVecs; v++) acc[r][v] = hn::Load(D(), tile + r * kTileLanes + v * kLanes);
  }
}

template <int kRows>
HWY_INLINE void store(const V (&acc)[kRows][kTileVecs], float* tile) {
  WAFER_UNROLL
  for (int r = 0; r < kRows; r++) {
    WAFER_UNROLL
    for (int v = 0; v < kTileVecs; v++) hn::Store(acc[r][v], D(), tile + r * kTileLanes + v * kLanes);
  }
}

template <Numerics numerics, int kRows>
HWY_NOINLINE void plain_span(const float* a, const float* b, const TileSpan& span, float* tile) {
  V acc[kRows][kTileVecs];
  load(tile, acc);
  multiply<numerics, kRows>(a, b, span.begin, span.end, acc);
  store(acc, tile);
}

template <Numerics numerics, int kRows>
HWY_NOINLINE void active_span(const float* a, const float* b, const TileSpan& span, float* tile) {
  V acc[kRows][kTileVecs];
  load(tile, acc);
  multiply_active<numerics, kRows>(a, b, span, acc);
  store(acc, tile);
}

template <Numerics numerics, int kRows>
void tile_of(const float* a, const float* b, const TileSpan* spans, int64_t span_count, float* tile) {
  if constexpr (kLanes == 8) {
    // 16 registers are too few to keep the accumulators from one span to the next: masks in vectors would push them out.
    std::memset(tile, 0, sizeof(float) * kRows * kTileLanes);
    for (int64_t s = 0; s < span_count; s++) {
      spans[s].masks == nullptr ? plain_span<numerics, kRows>(a, b, spans[s], tile) : active_span<numerics, kRows>(a, b, spans[s], tile);
    }
  } else {
    V acc[kRows][kTileVecs];
    clear(acc);
    for (int64_t s = 0; s < span_count; s++) {
      if (spans[s].masks == nullptr) {
        multiply<numerics, kRows>(a, b, spans[s].begin, spans[s].end, acc);
      } else {
        multiply_active<numerics, kRows>(a, b, spans[s], acc);
      }
    }
    store(acc, tile);
  }
}

// The registers hold the sums of one piece; the totals stay in `tile`, in L1.
template <int kRows>
void quant_tile_of(const float* a, const float* b, const int64_t* bounds, const float* scales, const TileSpan* spans, int64_t span_count,
                   float* tile) {
  std::memset(tile, 0, sizeof(float) * kRows * kTileLanes);
  for (int64_t s = 0; s < span_count; s++) {
    const uint32_t* masks = spans[s].masks;
    for (int64_t p = spans[s].begin; p < spans[s].end; p++) {
      V sum[kRows][kTileVecs];
      clear(sum);
      multiply<Numerics::fp32, kRows>(a, b, bounds[p], bounds[p + 1], sum);
      V scale[kTileVecs];
      WAFER_UNROLL
      for (int v = 0; v < kTileVecs; v++) scale[v] = hn::Load(D(), scales + p * kTileLanes + v * kLanes);
      WAFER_UNROLL
      for (int r = 0; r < kRows; r++) {
        WAFER_UNROLL
        for (int v = 0; v < kTileVecs; v++) {
          float* to = tile + r * kTileLanes + v * kLanes;
          const V old = hn::Load(D(), to);
          const V total = hn::MulAdd(scale[v], sum[r][v], old);
          hn::Store(masks == nullptr ? total : hn::IfThenElse(row_mask(masks, r, v), total, old), D(), to);
        }
      }
    }
  }
}

// Calls fn with the number of rows as a constant.
template <class Fn>
HWY_INLINE void with_rows(int rows, const Fn& fn) {
  using std::integral_constant;
  switch (rows) {
    case 1: return fn(integral_constant<int, 1>());
    case 2: return fn(integral_constant<int, 2>());
    case 4: return fn(integral_constant<int, 4>());
    case 6: return fn(integral_constant<int, 6>());
#if HWY_TARGET == HWY_AVX3
    case 8: return fn(integral_constant<int, 8>());
    case 10: return fn(integral_constant<int, 10>());
    case 12: return fn(integral_constant<int, 12>());
#endif
    default: CHECK(false, "{} rows", rows);
  }
}

template <Numerics numerics>
void tile(const float* a, int rows, const float* b, const TileSpan* spans, int64_t span_count, float* out) {
  with_rows(rows, [&](auto constant) { tile_of<numerics, constant()>(a, b, spans, span_count, out); });
}

void tile_quant(const float* a, int rows, const float* b, const int64_t* bounds, const float* scales, const TileSpan* spans,
                int64_t span_count, float* out) {
  with_rows(rows, [&](auto constant) { quant_tile_of<constant()>(a, b, bounds, scales, spans, span_count, out); });
}

// The weights of kLanes lanes; may read, but not use, up to 60 bytes past the last lane.
template <PanelType type>
HWY_INLINE V weight(const std::byte* panel, int64_t k, int64_t lane) {
  const int64_t at = k * kPanelLanes + lane;
  if constexpr (type == PanelType::f32) {
    return hn::LoadU(D(), reinterpret_cast<const float*>(panel) + at);
  } else if constexpr (type == PanelType::f16) {
    return from_f16(reinterpret_cast<const uint16_t*>(panel) + at);
  } else if constexpr (type == PanelType::q8_0) {
    const std::byte* block = panel + k / kQuantBlock * kQ8BlockBytes + 2 * kPanelLanes;
    return from_int8(reinterpret_cast<const int8_t*>(block) + k % kQuantBlock * kPanelLanes + lane);
  } else {
    // Requires that no lane lies in the next 16: other runs go one by one.
    const std::byte* block = panel + k / kQuantBlock * kQ4BlockBytes + 2 * kPanelLanes;
    const VUint word = hn::LoadU(DUint(), reinterpret_cast<const uint32_t*>(block) + k % kQuantBlock * 16 + lane % 16);
    return from_low_nibble(hn::ShiftRightSame(word, static_cast<int>(lane / 16 * 4)));
  }
}

template <PanelType type>
void unpack(const std::byte* panel, int lane, int count, int64_t begin, int64_t end, float* to, int64_t stride) {
  if (type == PanelType::q4_0 && lane % 16 + std::min(count, 16) > 16) {  // cut where the words begin again
    const int here = 16 - lane % 16;
    unpack<type>(panel, lane, here, begin, end, to, stride);
    return unpack<type>(panel, lane + here, count - here, begin, end, to + here, stride);
  }
  const int whole = count / kLanes * kLanes;
  const auto rest = hn::FirstN(D(), static_cast<size_t>(count - whole));
  for (int64_t k = begin; k < end; k++, to += stride) {
    for (int i = 0; i < whole; i += kLanes) hn::StoreU(weight<type>(panel, k, lane + i), D(), to + i);
    if (whole < count) hn::BlendedStore(weight<type>(panel, k, lane + whole), rest, D(), to + whole);
  }
}

void promote(const uint16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(from_f16(from + i), D(), to + i);
  for (; i < count; i++) to[i] = f16_to_f32(from[i]);
}

void demote(const float* from, uint16_t* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(hn::DemoteTo(DHalf(), hn::LoadU(D(), from + i)), DHalf(), reinterpret_cast<hwy::float16_t*>(to + i));
  }
  for (; i < count; i++) to[i] = f32_to_f16(from[i]);
}

const GemmKernels& gemm_kernels_here() {
  using enum PanelType;
  static constexpr GemmKernels kernels{
      .tile_rows = kTileRows,
      .tile_lanes = kTileLanes,
      .tile = tile<Numerics::fp32>,
      .tile_fp16 = tile<Numerics::fp16>,
      .tile_quant = tile_quant,
      .unpack = {unpack<f32>, unpack<f16>, unpack<q8_0>, unpack<q4_0>},
      .f16_to_f32 = promote,
      .f32_to_f16 = demote,
  };
  return kernels;
}

}  // namespace wafer::run::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // WAFER_SIMD_TARGET

#if HWY_ONCE
namespace wafer::run {

const GemmKernels& gemm_kernels(Isa isa) {
#if HWY_TARGETS & HWY_AVX3
  if (isa == Isa::avx512) return N_AVX3::gemm_kernels_here();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (isa == Isa::avx2) return N_AVX2::gemm_kernels_here();
#endif
  return scalar_gemm_kernels();
}

}  // namespace wafer::run
#endif  // HWY_ONCE
