#include "sim/matmul_kernels.h"
namespace wafer::sim {
const MatmulKernels& matmul_kernels() { return scalar_matmul_kernels(); }
}
