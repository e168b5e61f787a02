#include "paper/capacity.h"

#include <algorithm>

namespace wafer {
namespace {

constexpr int64_t kPrompt = 4096;  // table 5

int64_t parameters(const ModelConfig& c) {
  const int64_t router = has_experts(c) ? c.dim * c.experts : 0;
  const int64_t layer = 2 * c.dim * q_width(c) + 2 * c.dim * kv_width(c) + 3 * c.dim * c.ffn * c.experts + router + 2 * c.dim;
  return c.layers * layer + (c.tied_embedding ? 1 : 2) * c.vocab * c.dim + c.dim;
}

}  // namespace

PaperCapacity paper_capacity(const ModelConfig& config, const Device& device, int64_t position_bytes, int64_t rows) {
  const int64_t left = device.chip_cores * data_bytes_per_core(device) - 2 * parameters(config);
  PaperCapacity out{.cores = device.chip_cores, .prompt = kPrompt};
  out.shift = std::max<int64_t>(0, left / position_bytes - kPrompt);
  out.concat = out.shift / rows;
  return out;
}

}  // namespace wafer
