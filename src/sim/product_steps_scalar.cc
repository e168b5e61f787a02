// The same loops without vectors (see CMakeLists.txt): what 64-bit clocks need, and what the fast ones are measured against.
#include "sim/product_drive-inl.h"
#include "sim/product_steps.h"

namespace wafer::sim {
namespace {

template <class T>
struct Scalars {
  void wide(const inl::GemmRow<T>& r, int w) const { inl::wide_row(r, w); }
  void tall(const inl::GemmRow<T>& r, int w) const { inl::tall_row(r, w); }
  void block(const inl::GemmTBlock<T>& b) const { inl::gemm_t_block(b); }
};

}  // namespace

void gemm_steps_scalar(const ProductSteps& p, std::vector<uint32_t>& t, int64_t first, int64_t steps) {
  inl::drive_gemm<uint32_t>(p, t, first, steps, false, Scalars<uint32_t>{});
}
void gemm_steps_64(const ProductSteps& p, std::vector<uint64_t>& t, int64_t first, int64_t steps) {
  inl::drive_gemm<uint64_t>(p, t, first, steps, true, Scalars<uint64_t>{});
}
void gemm_t_steps_scalar(const ProductSteps& p, std::vector<uint32_t>& t, int64_t first, int64_t steps) {
  inl::drive_gemm_t<uint32_t>(p, t, first, steps, false, Scalars<uint32_t>{});
}
void gemm_t_steps_64(const ProductSteps& p, std::vector<uint64_t>& t, int64_t first, int64_t steps) {
  inl::drive_gemm_t<uint64_t>(p, t, first, steps, true, Scalars<uint64_t>{});
}

}  // namespace wafer::sim
