// Products of matrices as programs of their own on one region, for `bench gemm` and tests.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

enum class GemmAlgorithm : uint8_t {
  meshgemm,
  cannon,    // as MeshGEMM, on rings in the order of the line: a step sends from one end of the line to the other
  summa,     // blocks of k are multicast one after the other
  allgather  // all tiles of the row and of the column are gathered first
};
const char* name(GemmAlgorithm algorithm);
GemmAlgorithm gemm_algorithm(const std::string& option, const std::string& text);  // throws Error for an unknown one

struct GemmShape {
  int64_t m = 1, k = 1, n = 1;
  mesh::Extent mesh;
  Numerics numerics = Numerics::fp16;
  GemmAlgorithm algorithm = GemmAlgorithm::meshgemm;
  bool overlap = true;  // MeshGEMM and Cannon: of product and exchange in a step
};

// Entry "gemm"; its parameter rows is m. MeshGEMM: A and C lie as activations of a prefill, B as its weights, placed aligned. Cannon: the
// same, in the order of the line. SUMMA and allgather: all three in the order of the line, nothing aligned.
mesh::Program gemm_program(const GemmShape& shape, mesh::Extent device_mesh);

}  // namespace wafer::kernels
