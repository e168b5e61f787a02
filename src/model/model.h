// A checkpoint in memory: the config and a view of every tensor, in the types and the order of the file.
//
// Nothing is converted here. A matrix is [rows = outputs][cols = inputs], a row contiguous; Q and K rows are in the order
// in which RoPE turns adjacent pairs (2i, 2i+1) of a head, as GGUF has them for the architecture "llama".
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mmap.h"
#include "model/config.h"
#include "model/gguf.h"

namespace wafer {

struct TensorView {
  std::string name;
  TensorType type = TensorType::f32;
  int64_t rows = 0;                  // outputs; 1 for a vector
  int64_t cols = 0;                  // inputs, contiguous
  std::span<const std::byte> bytes;  // [rows][cols / block_elements] blocks
};

// Bytes of one row, and where it lies. Requires: 0 <= row < rows.
std::span<const std::byte> row_bytes(const TensorView& tensor, int64_t row);
// Row `row` as fp32, exactly as its type defines (all five widen without rounding, but scale * q of q8_0 and q4_0, which is exact too).
void row_to_f32(const TensorView& tensor, int64_t row, float* out);  // out[cols]

struct LayerTensors {
  TensorView attn_norm;  // [dim]
  TensorView q;          // [heads * head_dim, dim]
  TensorView k;          // [kv_heads * head_dim, dim]
  TensorView v;          // [kv_heads * head_dim, dim]
  TensorView o;          // [dim, heads * head_dim]
  TensorView ffn_norm;   // [dim]
  TensorView gate;       // [ffn, dim]
  TensorView up;         // [ffn, dim]
  TensorView down;       // [dim, ffn]
};

struct Model {
  ModelConfig config;
  TensorView embedding;    // [vocab, dim]
  TensorView output_norm;  // [dim]
  TensorView output;       // [vocab, dim]; the embedding itself if tied
  std::vector<LayerTensors> layers;
  std::shared_ptr<const MappedFile> file;  // what the views look into
};

// Loads a GGUF of the architecture "llama". Every tensor's shape is checked against the config; what this system does not
// compute (biases, experts, other rotary scalings, ...) is an Error, never left out in silence.
Model load_model(const std::string& path);
// The same of a file already read, for callers who also need its tokenizer. The model shares gguf.file.
Model load_model(const Gguf& gguf);

// Whether a path holds a checkpoint (it begins with GGUF's magic) or a shape (it ends in .toml). Anything else is an Error
// that says what the file looks like.
enum class ModelKind { checkpoint, shape };
ModelKind kind_of(const std::string& path);

// The config of either kind.
ModelConfig load_config(const std::string& path);

}  // namespace wafer
