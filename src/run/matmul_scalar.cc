// The inner loops of matmul as plain loops: what every other instruction set must equal, and the only path on other machines.
#include <cstring>

#include "base/half.h"
#include "run/matmul_kernels.h"

namespace wafer::run {
namespace {

float fma_of(Numerics numerics, float a, float b, float c) { return numerics == Numerics::fp16 ? fma_f16(a, b, c) : fma(a, b, c); }

// The weight (for quantised types the integer) of one k and lane of a panel.
float weight(PanelType type, const std::byte* panel, int64_t k, int64_t lane) {
  switch (type) {
    case PanelType::f32: return reinterpret_cast<const float*>(panel)[k * kPanelLanes + lane];
    case PanelType::f16: return f16_to_f32(reinterpret_cast<const uint16_t*>(panel)[k * kPanelLanes + lane]);
    case PanelType::q8_0: {
      const std::byte* block = panel + k / kQuantBlock * kQ8BlockBytes + 2 * kPanelLanes;
      return static_cast<float>(reinterpret_cast<const int8_t*>(block)[k % kQuantBlock * kPanelLanes + lane]);
    }
    case PanelType::q4_0: {
      const std::byte* block = panel + k / kQuantBlock * kQ4BlockBytes + 2 * kPanelLanes;
      const uint32_t word = reinterpret_cast<const uint32_t*>(block)[k % kQuantBlock * 16 + lane % 16];
      return static_cast<float>(static_cast<int>(word >> (lane / 16 * 4) & 15u) - 8);
    }
  }
  return 0;
}

float scale(PanelType type, const std::byte* panel, int64_t k, int64_t lane) {
  const std::byte* block = panel + k / kQuantBlock * (type == PanelType::q8_0 ? kQ8BlockBytes : kQ4BlockBytes);
  return f16_to_f32(reinterpret_cast<const uint16_t*>(block)[lane]);
}

template <PanelType type, Numerics numerics>
void gemv_segment(const std::byte* panel, int64_t begin, int64_t end, const float* x, int64_t x_stride, int batch, bool first, float* acc) {
  if (first) std::memset(acc, 0, sizeof(float) * batch * kPanelLanes);
  while (begin < end) {
    const int64_t piece_end = is_quantised(type) ? std::min(end, (begin / kQuantBlock + 1) * kQuantBlock) : end;
    for (int b = 0; b < batch; b++) {
      for (int64_t lane = 0; lane < kPanelLanes; lane++) {
        float& a = acc[b * kPanelLanes + lane];
        float sum = is_quantised(type) ? 0 : a;
        for (int64_t k = begin; k < piece_end; k++) sum = fma_of(numerics, weight(type, panel, k, lane), x[b * x_stride + k], sum);
        a = is_quantised(type) ? fma(scale(type, panel, begin, lane), sum, a) : sum;
      }
    }
    begin = piece_end;
  }
}

template <Numerics numerics>
void add_chain(float* values, int64_t count, const int* chain, int length) {
  for (int64_t i = 0; i < count; i++) {
    float v = values[chain[0] * count + i];
    for (int q = 1; q < length; q++) {
      const float own = values[chain[q] * count + i];
      v = numerics == Numerics::fp16 ? add_f16(own, v) : own + v;
    }
    values[chain[length - 1] * count + i] = v;
  }
}

constexpr int kTileRows = 4;
constexpr int kTileLanes = 16;

bool active(const TileSpan& span, int row, int lane) { return span.masks == nullptr || (span.masks[row] >> lane & 1u) != 0; }

template <Numerics numerics>
void tile(const float* a, int rows, const float* b, const TileSpan* spans, int64_t span_count, float* out) {
  for (int r = 0; r < rows; r++) {
    for (int lane = 0; lane < kTileLanes; lane++) {
      float acc = 0;
      for (int64_t s = 0; s < span_count; s++) {
        if (!active(spans[s], r, lane)) continue;
        for (int64_t k = spans[s].begin; k < spans[s].end; k++) acc = fma_of(numerics, a[k * rows + r], b[k * kTileLanes + lane], acc);
      }
      out[r * kTileLanes + lane] = acc;
    }
  }
}

void tile_quant(const float* a, int rows, const float* b, const int64_t* bounds, const float* scales, const TileSpan* spans,
                int64_t span_count, float* out) {
  for (int r = 0; r < rows; r++) {
    for (int lane = 0; lane < kTileLanes; lane++) {
      float acc = 0;
      for (int64_t s = 0; s < span_count; s++) {
        if (!active(spans[s], r, lane)) continue;
        for (int64_t p = spans[s].begin; p < spans[s].end; p++) {
          float sum = 0;
          for (int64_t k = bounds[p]; k < bounds[p + 1]; k++) sum = fma(a[k * rows + r], b[k * kTileLanes + lane], sum);
          acc = fma(scales[p * kTileLanes + lane], sum, acc);
        }
      }
      out[r * kTileLanes + lane] = acc;
    }
  }
}

template <PanelType type>
void unpack(const std::byte* panel, int lane, int count, int64_t begin, int64_t end, float* to, int64_t stride) {
  for (int64_t k = begin; k < end; k++) {
    for (int i = 0; i < count; i++) to[(k - begin) * stride + i] = weight(type, panel, k, lane + i);
  }
}

void promote(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = f16_to_f32(from[i]);
}

void demote(const float* from, uint16_t* to, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = f32_to_f16(from[i]);
}

}  // namespace

const GemvKernels& scalar_gemv_kernels() {
  using enum PanelType;
  constexpr Numerics n32 = Numerics::fp32, n16 = Numerics::fp16;
  static constexpr GemvKernels kernels{
      .segment = {gemv_segment<f32, n32>, gemv_segment<f16, n32>, gemv_segment<q8_0, n32>, gemv_segment<q4_0, n32>},
      .segment_fp16 = {gemv_segment<f32, n16>, gemv_segment<f16, n16>},
      .add_chain = add_chain<n32>,
      .add_chain_fp16 = add_chain<n16>,
  };
  return kernels;
}

const GemmKernels& scalar_gemm_kernels() {
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

}  // namespace wafer::run
