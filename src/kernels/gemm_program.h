// Products as programs of their own on one region, for `bench gemm`, `bench gemv` and tests.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

struct GemmShape {
  int64_t m = 1, k = 1, n = 1;
  mesh::Extent mesh;
  Numerics numerics = Numerics::fp16;
  bool overlap = true;  // of product and exchange in a step
};

// Entry "gemm"; its parameter rows is m. A and C lie as activations of a prefill, B as its weights, placed aligned.
mesh::Program mesh_gemm_program(const GemmShape& shape, mesh::Extent device_mesh);

struct GemvShape {
  int64_t k = 1, n = 1;
  mesh::Extent mesh;
  Numerics numerics = Numerics::fp16;
  std::string allreduce = "ktree";  // ktree; pipeline: one chain over the whole line; two-phase: chains in groups, then one of their heads
  std::vector<int> groups;          // as ReduceShape's; two-phase without: about the root of the height
};

// Entry "gemv": y = x W, x cut along y and the sums joined along y, with the result on all cores of a column. Throws Error for an unknown
// allreduce.
mesh::Program gemv_program(const GemvShape& shape, mesh::Extent device_mesh);

}  // namespace wafer::kernels
