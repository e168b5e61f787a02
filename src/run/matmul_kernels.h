// The inner loops of matmul, once for each instruction set. Internal to run/.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/isa.h"
#include "run/panel.h"

namespace wafer::run {

// GEMV: goes over k in [begin, end) of one panel for all 128 lanes: acc[b][lane] continues, or starts from 0 if `first`.
// x[b * x_stride + k] is the operand of k.
using GemvSegment = void (*)(const std::byte* panel, int64_t begin, int64_t end, const float* x, int64_t x_stride, int batch, bool first,
                             float* acc);

// values[position][count]: v = values[chain[0]]; v = values[chain[i]] + v; values[chain[length - 1]] = v. count is a multiple of 128.
using AddChain = void (*)(float* values, int64_t count, const int* chain, int length);

// Steps [begin, end) of a tile's chain. If `masks` is not null, row r takes part only in the lanes whose bit in masks[r] is 1.
struct TileSpan {
  int64_t begin = 0, end = 0;
  const uint32_t* masks = nullptr;
};

// GEMM: tile[rows][tile_lanes] = the chain fma(a[step][rows], b[step][tile_lanes], acc) from 0 over the spans, one after the other.
// `rows` is a value of padded_tile_rows.
using TileProduct = void (*)(const float* a, int rows, const float* b, const TileSpan* spans, int64_t span_count, float* tile);

// The same where spans count pieces: piece p is steps [bounds[p], bounds[p + 1]) with scales[p][tile_lanes], b holds the integers.
using TileQuantProduct = void (*)(const float* a, int rows, const float* b, const int64_t* bounds, const float* scales,
                                  const TileSpan* spans, int64_t span_count, float* tile);

// Weights of lanes [lane, lane + count) of a panel as floats (the integers of quantised types): to[(k - begin) * stride + i].
using UnpackLanes = void (*)(const std::byte* panel, int lane, int count, int64_t begin, int64_t end, float* to, int64_t stride);

struct GemvKernels {
  GemvSegment segment[4];       // by PanelType; sums in fp32
  GemvSegment segment_fp16[2];  // f32 and f16 panels; fp16 numerics
  AddChain add_chain;
  AddChain add_chain_fp16;
};

struct GemmKernels {
  int tile_rows;   // most rows of a tile
  int tile_lanes;  // at most 32
  TileProduct tile;
  TileProduct tile_fp16;
  TileQuantProduct tile_quant;
  UnpackLanes unpack[4];  // by PanelType
  void (*f16_to_f32)(const uint16_t* from, float* to, int64_t count);
  void (*f32_to_f16)(const float* from, uint16_t* to, int64_t count);
};

// Tiles are compiled for 1 row and for even numbers of rows.
inline int padded_tile_rows(int rows) { return rows <= 1 ? 1 : (rows + 1) / 2 * 2; }

const GemvKernels& scalar_gemv_kernels();
const GemmKernels& scalar_gemm_kernels();
const GemvKernels& gemv_kernels(Isa isa);
const GemmKernels& gemm_kernels(Isa isa);

}  // namespace wafer::run
