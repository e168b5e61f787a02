// Products of matrices as programs of their own on one region, for `bench gemm` and tests.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

struct GemmShape {
  int64_t m = 1, k = 1, n = 1;
  mesh::Extent mesh;
  Numerics numerics = Numerics::fp16;
};

// Entry "gemm"; its parameter rows is m. A and C lie as activations of a prefill, B as its weights, placed aligned.
mesh::Program mesh_gemm_program(const GemmShape& shape, mesh::Extent device_mesh);

}  // namespace wafer::kernels
