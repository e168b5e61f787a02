#include "run/panel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "base/parallel.h"
#include "run/matmul_kernels.h"

namespace wafer::run {
namespace {

constexpr int64_t kSourceQ8Bytes = 34;  // GGUF: fp16 scale, 32 int8
constexpr int64_t kSourceQ4Bytes = 18;  // GGUF: fp16 scale, 16 bytes: k in the low halves, k + 16 in the high ones

constexpr int64_t kChunk = 256;  // k's of a row handled at a time: a multiple of the quantised block

template <class T>
T load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

bool is_quantised(SourceType type) { return type == SourceType::q8_0 || type == SourceType::q4_0; }

// Values [k, k + count) of a row of a checkpoint as floats. k is a multiple of kChunk.
void read_values(const std::byte* row, SourceType type, int64_t k, int64_t count, const GemmKernels& kernels, float* to) {
  switch (type) {
    case SourceType::f32: std::memcpy(to, row + 4 * k, 4 * count); return;
    case SourceType::f16: {
      uint16_t half[kChunk];
      std::memcpy(half, row + 2 * k, 2 * count);
      kernels.f16_to_f32(half, to, count);
      return;
    }
    case SourceType::bf16:
      for (int64_t i = 0; i < count; i++) to[i] = bf16_to_f32(load<uint16_t>(row + 2 * (k + i)));
      return;
    case SourceType::q8_0:
      for (int64_t i = 0; i < count; i++) {
        const std::byte* block = row + (k + i) / kQuantBlock * kSourceQ8Bytes;
        to[i] = f16_to_f32(load<uint16_t>(block)) * static_cast<float>(load<int8_t>(block + 2 + i % kQuantBlock));
      }
      return;
    case SourceType::q4_0:
      for (int64_t i = 0; i < count; i++) {
        const std::byte* block = row + (k + i) / kQuantBlock * kSourceQ4Bytes;
        const int j = static_cast<int>(i % kQuantBlock);
        const int byte = load<uint8_t>(block + 2 + j % 16);
        to[i] = f16_to_f32(load<uint16_t>(block)) * static_cast<float>((j < 16 ? byte & 15 : byte >> 4) - 8);
      }
      return;
  }
}

int64_t count_infinite(const float* values, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) found += (std::bit_cast<uint32_t>(values[i]) & 0x7fffffffu) == 0x7f800000u;
  return found;
}

int64_t count_infinite(const uint16_t* values, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) found += (values[i] & 0x7fffu) == 0x7c00u;
  return found;
}

// Columns of one row into a panel: to[k * 128] = values[k].
template <class T>
void scatter(const T* values, int64_t count, T* to) {
  for (int64_t i = 0; i < count; i++) to[i * kPanelLanes] = values[i];
}

int64_t pack_values(PanelMatrix& m, std::byte* panel, int64_t lane, const std::byte* row, SourceType source, int64_t k, int64_t count,
                    Numerics numerics, const GemmKernels& kernels) {
  const int64_t at = k * kPanelLanes + lane;
  float values[kChunk];
  uint16_t half[kChunk];
  if (source == SourceType::f16 && m.type == PanelType::f16) {
    std::memcpy(half, row + 2 * k, 2 * count);
    scatter(half, count, reinterpret_cast<uint16_t*>(panel) + at);
    return 0;
  }
  read_values(row, source, k, count, kernels, values);
  int64_t overflows = 0;
  if (numerics != Numerics::fp32 && source != SourceType::f16) {
    overflows = -count_infinite(values, count);
    kernels.f32_to_f16(values, half, count);
    overflows += count_infinite(half, count);
    if (m.type == PanelType::f16) {
      scatter(half, count, reinterpret_cast<uint16_t*>(panel) + at);
      return overflows;
    }
    kernels.f16_to_f32(half, values, count);
  }
  scatter(values, count, reinterpret_cast<float*>(panel) + at);
  return overflows;
}

void pack_q8(std::byte* panel, int64_t lane, const std::byte* row, int64_t k, int64_t count) {
  for (int64_t b = k / kQuantBlock; b < (k + count) / kQuantBlock; b++) {
    const std::byte* from = row + b * kSourceQ8Bytes;
    std::byte* to = panel + b * kQ8BlockBytes;
    reinterpret_cast<uint16_t*>(to)[lane] = load<uint16_t>(from);
    for (int64_t i = 0; i < kQuantBlock; i++) to[2 * kPanelLanes + i * kPanelLanes + lane] = from[2 + i];
  }
}

// Blocks of lanes [first, last) of a panel; `rows` is that of lane `first`. Staged as bytes, so that the words of a row are made at once.
void pack_q4(std::byte* panel, int64_t first, int64_t last, const std::byte* rows, int64_t row_bytes, int64_t k, int64_t count) {
  uint32_t others[16];  // bits of each word that belong to other lanes
  std::fill_n(others, 16, ~0u);
  for (int64_t lane = first; lane < last; lane++) others[lane % 16] &= ~(15u << (lane / 16 * 4));
  uint8_t staged[kQuantBlock][kPanelLanes] = {};
  for (int64_t b = k / kQuantBlock; b < (k + count) / kQuantBlock; b++) {
    std::byte* to = panel + b * kQ4BlockBytes;
    for (int64_t lane = first; lane < last; lane++) {
      const std::byte* from = rows + (lane - first) * row_bytes + b * kSourceQ4Bytes;
      reinterpret_cast<uint16_t*>(to)[lane] = load<uint16_t>(from);
      for (int64_t i = 0; i < 16; i++) {
        const auto byte = load<uint8_t>(from + 2 + i);
        staged[i][lane] = byte & 15u;
        staged[i + 16][lane] = byte >> 4;
      }
    }
    auto* words = reinterpret_cast<uint32_t*>(to + 2 * kPanelLanes);
    for (int64_t i = 0; i < kQuantBlock; i++) {
      uint32_t row[16] = {};
      for (int64_t group = 0; group < 8; group++) {
        for (int64_t j = 0; j < 16; j++) row[j] |= static_cast<uint32_t>(staged[i][16 * group + j]) << (4 * group);
      }
      for (int64_t j = 0; j < 16; j++) words[i * 16 + j] = (words[i * 16 + j] & others[j]) | row[j];
    }
  }
}

}  // namespace

int64_t panel_bytes(PanelType type, int64_t k) {
  switch (type) {
    case PanelType::f32: return k * kPanelLanes * 4;
    case PanelType::f16: return k * kPanelLanes * 2;
    case PanelType::q8_0: return k / kQuantBlock * kQ8BlockBytes;
    case PanelType::q4_0: return k / kQuantBlock * kQ4BlockBytes;
  }
  return 0;
}

PanelType panel_type(SourceType source, Numerics numerics) {
  if (numerics == Numerics::fp16) return PanelType::f16;
  switch (source) {
    case SourceType::q8_0: return PanelType::q8_0;
    case SourceType::q4_0: return PanelType::q4_0;
    case SourceType::f16: return PanelType::f16;
    case SourceType::f32:
    case SourceType::bf16: return numerics == Numerics::fp32 ? PanelType::f32 : PanelType::f16;
  }
  return PanelType::f32;
}

PanelMatrix make_panels(PanelType type, int64_t k, int64_t n) {
  CHECK(k >= 0 && n >= 0 && (!is_quantised(type) || k % kQuantBlock == 0), "k {} n {}", k, n);
  PanelMatrix m{.k = k, .n = n, .type = type};
  const int64_t bytes = panel_count(m) * panel_bytes(type, k);
  m.storage = make_aligned(static_cast<size_t>(bytes) + 64);
  std::memset(m.storage.as<std::byte>() + bytes, 0, 64);
  if (n % kPanelLanes != 0) std::memset(m.storage.as<std::byte>() + n / kPanelLanes * panel_bytes(type, k), 0, panel_bytes(type, k));
  return m;
}

int64_t pack_rows(PanelMatrix& m, int64_t first_output, const std::byte* rows, SourceType source, int64_t row_count, int64_t row_bytes,
                  Numerics numerics) {
  CHECK(first_output >= 0 && row_count >= 0 && first_output + row_count <= m.n, "{} + {} of {}", first_output, row_count, m.n);
  CHECK(m.type == panel_type(source, numerics) || (m.type == PanelType::f32 && !is_quantised(source)), "types {} {}",
        static_cast<int>(m.type), static_cast<int>(source));
  CHECK(!is_quantised(source) || m.k % kQuantBlock == 0, "k {}", m.k);
  if (row_count == 0) return 0;
  const GemmKernels& kernels = gemm_kernels(current_isa());
  const int64_t last = first_output + row_count;
  const int64_t panel_first = first_output / kPanelLanes;
  const int64_t panels = (last + kPanelLanes - 1) / kPanelLanes - panel_first;
  std::vector<int64_t> overflows(panels);
  parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) {
      std::byte* panel = m.storage.as<std::byte>() + (panel_first + p) * panel_bytes(m.type, m.k);
      const int64_t base = (panel_first + p) * kPanelLanes;
      const int64_t from = std::max(first_output, base), to = std::min(last, base + kPanelLanes);
      for (int64_t k = 0; k < m.k; k += kChunk) {
        const int64_t count = std::min(kChunk, m.k - k);
        if (m.type == PanelType::q4_0) {
          pack_q4(panel, from - base, to - base, rows + (from - first_output) * row_bytes, row_bytes, k, count);
          continue;
        }
        for (int64_t n = from; n < to; n++) {
          const std::byte* row = rows + (n - first_output) * row_bytes;
          if (m.type == PanelType::q8_0) {
            pack_q8(panel, n - base, row, k, count);
          } else {
            overflows[p] += pack_values(m, panel, n - base, row, source, k, count, numerics, kernels);
          }
        }
      }
    }
  });
  int64_t total = 0;
  for (int64_t count : overflows) total += count;
  return total;
}

void pack_columns(PanelMatrix& m, const float* matrix, int64_t stride) {
  CHECK(m.type == PanelType::f32, "type {}", static_cast<int>(m.type));
  parallel_for(0, m.k, std::max<int64_t>(1, 65536 / std::max<int64_t>(m.n, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++) store_input(m, k, matrix + k * stride);
  });
}

void store_input(PanelMatrix& m, int64_t k, const float* values) {
  CHECK(!is_quantised(m.type) && k >= 0 && k < m.k, "type {}, k {} of {}", static_cast<int>(m.type), k, m.k);
  const GemmKernels& kernels = gemm_kernels(current_isa());
  for (int64_t n = 0; n < m.n; n += kPanelLanes) {
    std::byte* panel = m.storage.as<std::byte>() + n / kPanelLanes * panel_bytes(m.type, m.k);
    const int64_t lanes = std::min(kPanelLanes, m.n - n);
    if (m.type == PanelType::f32) {
      std::memcpy(reinterpret_cast<float*>(panel) + k * kPanelLanes, values + n, sizeof(float) * lanes);
    } else {
      kernels.f32_to_f16(values + n, reinterpret_cast<uint16_t*>(panel) + k * kPanelLanes, lanes);
    }
  }
}

float panel_value(const PanelMatrix& m, int64_t k, int64_t n) {
  const std::byte* panel = panel_data(m, n / kPanelLanes);
  const int64_t lane = n % kPanelLanes;
  float value;
  scalar_gemm_kernels().unpack[static_cast<int>(m.type)](panel, static_cast<int>(lane), 1, k, k + 1, &value, 1);
  if (!is_quantised(m.type)) return value;
  const std::byte* block = panel + k / kQuantBlock * (m.type == PanelType::q8_0 ? kQ8BlockBytes : kQ4BlockBytes);
  return f16_to_f32(reinterpret_cast<const uint16_t*>(block)[lane]) * value;
}

}  // namespace wafer::run
