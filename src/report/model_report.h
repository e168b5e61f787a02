// What a model's file holds: config, tensors, tokenizer, totals; for `inspect`.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "model/gguf.h"
#include "text/tokenizer.h"

namespace wafer {

struct TensorRow {
  std::string name;
  std::string type;
  std::vector<int64_t> shape;  // rows first: [outputs, inputs]
  int64_t bytes = 0;
};

struct ModelReport {
  std::string path;
  std::string format;  // "GGUF 3", "shape"
  std::optional<ModelConfig> config;
  std::string why_no_config;                                  // what in the file this system cannot compute
  std::vector<std::pair<std::string, std::string>> metadata;  // as short text, in the file's order
  std::vector<TensorRow> tensors;                             // in the file's order
  std::optional<Tokenizer> tokenizer;
  std::string why_no_tokenizer;
};

ModelReport model_report(const Gguf& gguf);  // all but config and tokenizer
ModelReport shape_report(const std::string& path, const ModelConfig& config);

std::string model_text(const ModelReport& report);
std::string model_json(const ModelReport& report);  // one line

}  // namespace wafer
