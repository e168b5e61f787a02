// The same loops without vectors (see CMakeLists.txt), which the fast ones are measured against and must agree with.
#include "time/gemm_drive-inl.h"
#include "time/gemm_t_drive-inl.h"
#include "time/product_steps.h"
#include "time/reduce_steps-inl.h"

namespace wafer::time {
namespace {

template <class T>
struct Scalars {
  void wide(const inl::GemmRow<T>& r, int w) const { inl::wide_row(r, w); }
  void square(const inl::SquareRow<T>& r, int w) const { inl::square_row(r, w); }
  void tall(const inl::GemmRow<T>& r, int w) const { inl::tall_row(r, w); }
  void block(const inl::GemmTBlock<T>& b) const { inl::gemm_t_block(b); }
};

template <class T>
struct ScalarChains {
  void start(const inl::Line<T>& line, int w) const { inl::chain_start(line, w); }
  void pass(const inl::Line<T>& line, int w) const { inl::chain_pass(line, w); }
  void end(const inl::Line<T>& line, int w) const { inl::chain_end(line, w); }
};

}  // namespace

template <class T>
ReduceCounts reduce_steps_scalar(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations) {
  return inl::drive_reduce(s, tree, broadcast_operations, ScalarChains<T>{});
}

template <class T>
void gemm_steps_scalar(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  inl::drive_gemm<T, T>(p, t, first, steps, false, Scalars<T>{});
}

template <class T>
void gemm_t_steps_scalar(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  inl::drive_gemm_t<T, T>(p, t, first, steps, false, Scalars<T>{});
}

#define WAFER_STEPS(T)                                                                      \
  template ReduceCounts reduce_steps_scalar(const ReduceSteps<T>&, const mesh::Tree&, int); \
  template void gemm_steps_scalar(const ProductSteps&, std::vector<T>&, int64_t, int64_t);  \
  template void gemm_t_steps_scalar(const ProductSteps&, std::vector<T>&, int64_t, int64_t);
WAFER_STEPS(uint32_t)
WAFER_STEPS(uint64_t)
#undef WAFER_STEPS

}  // namespace wafer::time
