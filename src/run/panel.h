// Weight matrices of the host, in panels: 128 consecutive outputs side by side under each k, [ceil(n/128)][k][128].
//
// Vector lanes run across outputs, and so across the cores of a mesh, while k ascends: the order of additions inside every core is
// kept exactly, whatever the mesh. One packed matrix serves every mesh size, and a panel is read from end to end.
//
// Layout of one panel by type (lanes past n are zero):
//   f32   float    [k][128]
//   f16   uint16_t [k][128]
//   q8_0  for each 32 k: { uint16_t scale[128]; int8_t q[32][128]; }                    4352 bytes
//   q4_0  for each 32 k: { uint16_t scale[128]; uint32_t q[32][16]; }                   2304 bytes
//         bits 4i to 4i + 3 of word j of a row are lane 16 i + j, value q - 8: one vector of words is a whole row
// Scales are fp16. The storage has 64 spare bytes at its end, so that a vector load may pass the last lane.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/numerics.h"

namespace wafer::run {

constexpr int64_t kPanelLanes = 128;
constexpr int64_t kQuantBlock = 32;  // k's that share a scale in q8_0 and q4_0
constexpr int64_t kQ8BlockBytes = 4352;
constexpr int64_t kQ4BlockBytes = 2304;

enum class PanelType { f32, f16, q8_0, q4_0 };
enum class SourceType { f32, f16, bf16, q8_0, q4_0 };  // of a checkpoint; q8_0 and q4_0 as GGUF stores them (34 and 18 bytes a block)

struct PanelMatrix {
  int64_t k = 0;  // inputs
  int64_t n = 0;  // outputs
  PanelType type = PanelType::f32;
  AlignedBuffer storage;
};

inline int64_t panel_count(const PanelMatrix& m) { return (m.n + kPanelLanes - 1) / kPanelLanes; }
int64_t panel_bytes(PanelType type, int64_t k);  // of one panel
inline const std::byte* panel_data(const PanelMatrix& m, int64_t panel) {
  return m.storage.as<std::byte>() + panel * panel_bytes(m.type, m.k);
}

inline bool is_quantised(PanelType type) { return type == PanelType::q8_0 || type == PanelType::q4_0; }

// The type in which weights of a checkpoint are kept. mixed and fp16 hold weights in fp16; fp16 also rounds quantised ones to it.
PanelType panel_type(SourceType source, Numerics numerics);

// Requires: k and n >= 0, k a multiple of 32 for the quantised types. The content is undefined (lanes past n are zero).
PanelMatrix make_panels(PanelType type, int64_t k, int64_t n);

// Packs `row_count` rows [out][in] of a checkpoint, `row_bytes` apart, as outputs first_output, first_output + 1, ...; several tensors
// may be packed after each other into one matrix. Each value is rounded as `numerics` says (once, to nearest even).
// Requires: m.type is panel_type(source, numerics), or f32 for a source that is not quantised.
// Returns: how many finite values became infinite, which the caller reports as an Error.
int64_t pack_rows(PanelMatrix& m, int64_t first_output, const std::byte* rows, SourceType source, int64_t row_count, int64_t row_bytes,
                  Numerics numerics);

// Packs a host matrix [k][n], rows `stride` floats apart, into f32 panels unchanged.
void pack_columns(PanelMatrix& m, const float* matrix, int64_t stride);

// Sets the weights of one k for all outputs, rounded to fp16 in an f16 matrix: how a V cache grows, k being the position. (A K cache grows
// by pack_rows of one row, n being the position; m.n may be any number up to what was made, as the layout does not depend on it.)
void store_input(PanelMatrix& m, int64_t k, const float* values);

// One weight as a float: its exact value for f32 and f16, scale * q in fp32 for the quantised types. For tests and small jobs.
float panel_value(const PanelMatrix& m, int64_t k, int64_t n);

}  // namespace wafer::run
