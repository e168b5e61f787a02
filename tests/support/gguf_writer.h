// For tests: GGUF files made in memory, right ones and wrong ones.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace wafer {

struct GgufWriter {
  uint64_t pairs = 0;
  std::string metadata;
  struct Tensor {
    std::string name;
    TensorType type;
    std::vector<int64_t> shape;  // [0] is contiguous
    std::string data;
  };
  std::vector<Tensor> tensors;
};

void add_raw(GgufWriter& w, const std::string& key, uint32_t type, const std::string& value);
void add_string(GgufWriter& w, const std::string& key, const std::string& value);
void add_int(GgufWriter& w, const std::string& key, uint32_t value);
void add_float(GgufWriter& w, const std::string& key, float value);
void add_strings(GgufWriter& w, const std::string& key, const std::vector<std::string>& values);
void add_floats(GgufWriter& w, const std::string& key, const std::vector<float>& values);
void add_ints(GgufWriter& w, const std::string& key, const std::vector<int32_t>& values);
// Data: as many bytes as the type and shape need, all of them zero.
void add_tensor(GgufWriter& w, const std::string& name, TensorType type, const std::vector<int64_t>& shape);

// A complete model of the architecture llama with zero weights, and no tokenizer. `tied`: without output.weight.
GgufWriter zero_llama(const ModelConfig& config);
ModelConfig small_config();  // 2 layers, dim 64, 4 heads on 2, head_dim 16, ffn 96, vocab 40

std::string write(const GgufWriter& w, uint32_t version = 3);
// The little-endian bytes of a number; a string with its length before it.
std::string le32(uint32_t value);
std::string le64(uint64_t value);
std::string counted(const std::string& text);

}  // namespace wafer
