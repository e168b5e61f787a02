// The same loops without vectors (see CMakeLists.txt): what 64-bit clocks need, and what the fast ones are measured against.
#include "time/product_drive-inl.h"
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

struct ScalarChains {
  void start(const inl::Line& line, int w) const { inl::chain_start(line, w); }
  void pass(const inl::Line& line, int w) const { inl::chain_pass(line, w); }
  void end(const inl::Line& line, int w) const { inl::chain_end(line, w); }
};

}  // namespace

ReduceCounts reduce_steps_scalar(const ReduceSteps& s, const mesh::Tree& tree, int broadcast_operations) {
  return inl::drive_reduce(s, tree, broadcast_operations, ScalarChains{});
}

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

}  // namespace wafer::time
