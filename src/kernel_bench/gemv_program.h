// Products of a vector and a matrix as programs of their own on one region, for `bench gemv` and tests.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

struct GemvShape {
  int64_t k = 1, n = 1;
  mesh::Extent mesh;
  Numerics numerics = Numerics::fp16;
  // ktree; pipeline: one chain over the whole line; two-phase: chains in groups, then one of their heads; ring: reduce-scatter and
  // allgather
  std::string allreduce = "ktree";
  std::vector<int> groups;  // ktree: of each level, as k_tree() takes them; two-phase: cores of a group; without: about even ones
  bool broadcast = true;    // else the sums stay at the root's row, or in parts on the ring
};

// Entry "gemv": y = x W, x cut along y and the sums joined along y, with the result on all cores of a column if broadcast. Throws Error for
// an unknown allreduce and for groups that it does not take.
mesh::Program gemv_program(const GemvShape& shape, mesh::Extent device_mesh);

}  // namespace wafer::kernels
