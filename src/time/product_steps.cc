#include "time/product_steps.h"

#include "time/product_drive-inl.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

namespace {

WAFER_CLONES void wide(const inl::GemmRow<uint32_t>& r, int w) { inl::wide_row(r, w); }
WAFER_CLONES void square(const inl::SquareRow<uint32_t>& r, int w) { inl::square_row(r, w); }
WAFER_CLONES void tall(const inl::GemmRow<uint32_t>& r, int w) { inl::tall_row(r, w); }
WAFER_CLONES void block(const inl::GemmTBlock<uint32_t>& b) { inl::gemm_t_block(b); }

WAFER_CLONES void align_once(const uint32_t* t, uint32_t* __restrict out, const uint32_t* hops, size_t n, uint32_t own, uint32_t way,
                             uint32_t finish) {
  for (size_t p = 0; p < n; p++) out[p] = std::max(t[p] + own, t[p + 1] + own + way + hops[p]) + finish;
}

struct Vectors {
  void wide(const inl::GemmRow<uint32_t>& r, int w) const { time::wide(r, w); }
  void square(const inl::SquareRow<uint32_t>& r, int w) const { time::square(r, w); }
  void tall(const inl::GemmRow<uint32_t>& r, int w) const { time::tall(r, w); }
  void block(const inl::GemmTBlock<uint32_t>& b) const { time::block(b); }
};

}  // namespace

void gemm_steps(const ProductSteps& p, std::vector<uint32_t>& t, int64_t first, int64_t steps) {
  inl::drive_gemm<uint32_t>(p, t, first, steps, true, Vectors{});
}

void gemm_t_steps(const ProductSteps& p, std::vector<uint32_t>& t, int64_t first, int64_t steps) {
  inl::drive_gemm_t<uint32_t>(p, t, first, steps, true, Vectors{});
}

void align_line(const AlignLine& a, std::vector<uint32_t>& t, std::vector<uint32_t>& scratch, uint32_t words, int64_t moves) {
  const size_t n = a.hops.size();
  scratch.resize(t.size());
  for (int64_t s = 0; s < moves; s++) {
    t[n] = t[0];
    align_once(t.data(), scratch.data(), a.hops.data(), n, a.issue + words, a.latency, a.finish);
    std::swap(t, scratch);
  }
}

}  // namespace wafer::time
