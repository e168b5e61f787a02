// Where a kernel puts its steps: a region of a program in a phase. Kernels add the routes that they need and return steps.
#pragma once
#include "mesh/program.h"

namespace wafer::kernels {

struct Site {
  mesh::Program& program;
  int region = 0;
  int phase = 0;
};

inline mesh::Extent extent(const Site& s) { return mesh::extent(s.program.regions[static_cast<size_t>(s.region)].rect); }

}  // namespace wafer::kernels
