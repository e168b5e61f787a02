// The meshes that a search ranks.
#pragma once
#include <vector>

#include "mesh/coord.h"
#include "model/config.h"

namespace wafer {

// Squares at whose sides the widest share of the model's width or of its ffn drops by one, some between `least` (the side of the smallest
// that may hold the whole) and the largest, rectangles of five shapes with sides a tenth apart, and those that tile the device. Each once.
std::vector<mesh::Extent> candidate_meshes(const ModelConfig& config, mesh::Extent device, double least);

}  // namespace wafer
