// How many positions of KV cache a wafer holds by the arithmetic of the paper's table 5: all cores of the chip as one memory, (their data
// bytes - 2 bytes a parameter) / bytes of a position - prompt. By concat, which fills one row of a region only: that divided by its rows.
#pragma once
#include <cstdint>

#include "device/device.h"
#include "model/config.h"

namespace wafer {

struct PaperCapacity {
  int64_t cores = 0;   // of the chip, as the paper counts them
  int64_t prompt = 0;  // tokens before the first one generated
  int64_t shift = 0;   // positions; 0: the weights alone are too many bytes
  int64_t concat = 0;
};

// position_bytes: K and V of one position in all layers. rows: of a region of decode.
PaperCapacity paper_capacity(const ModelConfig& config, const Device& device, int64_t position_bytes, int64_t rows);

}  // namespace wafer
