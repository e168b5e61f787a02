// Where a kernel puts its steps: a region of a program in a phase. Kernels add the routes that they need and return steps.
#pragma once
#include "mesh/program.h"

namespace wafer::kernels {

struct Site {
  mesh::Program& program;
  mesh::RegionId region{};
  mesh::PhaseId phase{};
};

inline mesh::Extent extent(const Site& s) { return mesh::extent(s.program.regions[s.region].rect); }

}  // namespace wafer::kernels
