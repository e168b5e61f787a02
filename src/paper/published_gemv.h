// MeshGEMV as the authors' measured kernel runs it, for timing and for the paper's figure 10 and table 6
// alone: fp16, sizes padded up to whole parts, the published groups with roots off centre, and the machine actions that its code issues.
// The local product is a counted step, which has no values; gemv_program() computes them.
#pragma once
#include <cstdint>

#include "mesh/program.h"

namespace wafer {

struct PublishedGemvShape {
  int64_t k = 1, n = 1;
  mesh::Extent mesh;
  int groups = 0;         // of the allreduce along y; 0: what published_groups() says
  bool broadcast = true;  // else the sums stay at the root's row
};

// Entry "gemv".
mesh::Program published_gemv(const PublishedGemvShape& shape, mesh::Extent device_mesh);

}  // namespace wafer
