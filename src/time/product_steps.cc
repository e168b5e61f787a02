#include "time/product_steps.h"

#include <limits>

#include "base/isa.h"
#include "time/gemm_drive-inl.h"
#include "time/gemm_t_drive-inl.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

namespace {

WAFER_CLONES void wide(const inl::GemmRow<uint32_t>& r, int w) { inl::wide_row(r, w); }
WAFER_CLONES void square(const inl::SquareRow<uint32_t>& r, int w) { inl::square_row(r, w); }
WAFER_CLONES void tall(const inl::GemmRow<uint32_t>& r, int w) { inl::tall_row(r, w); }
WAFER_CLONES void block(const inl::GemmTBlock<uint32_t>& b) { inl::gemm_t_block(b); }
WAFER_CLONES void wide(const inl::GemmRow<uint64_t>& r, int w) { inl::wide_row(r, w); }
WAFER_CLONES void square(const inl::SquareRow<uint64_t>& r, int w) { inl::square_row(r, w); }
WAFER_CLONES void tall(const inl::GemmRow<uint64_t>& r, int w) { inl::tall_row(r, w); }
WAFER_CLONES void block(const inl::GemmTBlock<uint64_t>& b) { inl::gemm_t_block(b); }

// Clocks of 16 bits need AVX-512BW, for which GCC's target_clones has no name: here each kernel is compiled by hand for the three.
#define WAFER_FOR_AVX512 __attribute__((target("avx512f,avx512bw")))
#define WAFER_FOR_AVX2 __attribute__((target("avx2")))

using WideRow16 = inl::GemmRow<uint16_t>;
using SquareRow16 = inl::SquareRow<uint16_t>;
using Block16 = inl::GemmTBlock<uint16_t>;

struct NarrowKernels {
  void (*wide)(const WideRow16&, int);
  void (*square)(const SquareRow16&, int);
  void (*tall)(const WideRow16&, int);
  void (*block)(const Block16&);
};

NarrowKernels narrow_kernels(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return {.wide = [](const WideRow16& r, int w) WAFER_FOR_AVX512 { inl::wide_row(r, w); },
              .square = [](const SquareRow16& r, int w) WAFER_FOR_AVX512 { inl::square_row(r, w); },
              .tall = [](const WideRow16& r, int w) WAFER_FOR_AVX512 { inl::tall_row(r, w); },
              .block = [](const Block16& b) WAFER_FOR_AVX512 { inl::gemm_t_block(b); }};
    case Isa::avx2:
      return {.wide = [](const WideRow16& r, int w) WAFER_FOR_AVX2 { inl::wide_row(r, w); },
              .square = [](const SquareRow16& r, int w) WAFER_FOR_AVX2 { inl::square_row(r, w); },
              .tall = [](const WideRow16& r, int w) WAFER_FOR_AVX2 { inl::tall_row(r, w); },
              .block = [](const Block16& b) WAFER_FOR_AVX2 { inl::gemm_t_block(b); }};
    case Isa::scalar: break;
  }
  return {.wide = [](const WideRow16& r, int w) { inl::wide_row(r, w); },
          .square = [](const SquareRow16& r, int w) { inl::square_row(r, w); },
          .tall = [](const WideRow16& r, int w) { inl::tall_row(r, w); },
          .block = [](const Block16& b) { inl::gemm_t_block(b); }};
}

template <class T>
inline __attribute__((always_inline)) void align_body(const T* t, T* __restrict out, const T* hops, size_t n, T own, T way, T finish) {
  for (size_t p = 0; p < n; p++) out[p] = std::max<T>(t[p] + own, t[p + 1] + own + way + hops[p]) + finish;
}
WAFER_CLONES void align_once(const uint32_t* t, uint32_t* __restrict out, const uint32_t* hops, size_t n, uint32_t own, uint32_t way,
                             uint32_t finish) {
  align_body(t, out, hops, n, own, way, finish);
}
WAFER_CLONES void align_once(const uint64_t* t, uint64_t* __restrict out, const uint64_t* hops, size_t n, uint64_t own, uint64_t way,
                             uint64_t finish) {
  align_body(t, out, hops, n, own, way, finish);
}

template <class T>
struct Vectors {
  void wide(const inl::GemmRow<T>& r, int w) const { time::wide(r, w); }
  void square(const inl::SquareRow<T>& r, int w) const { time::square(r, w); }
  void tall(const inl::GemmRow<T>& r, int w) const { time::tall(r, w); }
  void block(const inl::GemmTBlock<T>& b) const { time::block(b); }
};

// Fewer steps than these are not worth the way into 16 bits and back.
constexpr int64_t kNarrowSteps = 16;

// Whether all that is computed beside the clocks fits 16 bits, and the shifts are such that RightShift takes.
bool fits_narrow(const ProductSteps& p, const StepRise& rise) {
  const auto shifts = [](int64_t by) { return by >= 1 && by <= 16; };
  return rise.widest <= Bound(uint64_t{std::numeric_limits<uint16_t>::max()}) && shifts(inl::steal_shift(p)) && shifts(p.b.shift) &&
         shifts(p.sum.shift);
}

}  // namespace

template <class T>
void gemm_steps(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  int64_t done = 0;
  if (steps >= kNarrowSteps && fits_narrow(p, gemm_step_rise(p)))
    done = inl::drive_gemm<uint16_t>(p, t, first, steps, true, narrow_kernels(current_isa()));
  if (done < steps) inl::drive_gemm<T>(p, t, first + done, steps - done, true, Vectors<T>{});
}

template <class T>
void gemm_t_steps(const ProductSteps& p, std::vector<T>& t, int64_t first, int64_t steps) {
  int64_t done = 0;
  if (steps >= kNarrowSteps && fits_narrow(p, gemm_t_step_rise(p)))
    done = inl::drive_gemm_t<uint16_t>(p, t, first, steps, true, narrow_kernels(current_isa()));
  if (done < steps) inl::drive_gemm_t<T>(p, t, first + done, steps - done, true, Vectors<T>{});
}

template <class T>
void align_line(const AlignLine<T>& a, std::vector<T>& t, std::vector<T>& scratch, T words, int64_t moves) {
  const size_t n = a.hops.size();
  scratch.resize(t.size());
  for (int64_t s = 0; s < moves; s++) {
    t[n] = t[0];
    align_once(t.data(), scratch.data(), a.hops.data(), n, a.issue + words, a.latency, a.finish);
    std::swap(t, scratch);
  }
}

#define WAFER_STEPS(T)                                                                \
  template void gemm_steps(const ProductSteps&, std::vector<T>&, int64_t, int64_t);   \
  template void gemm_t_steps(const ProductSteps&, std::vector<T>&, int64_t, int64_t); \
  template void align_line(const AlignLine<T>&, std::vector<T>&, std::vector<T>&, T, int64_t);
WAFER_STEPS(uint32_t)
WAFER_STEPS(uint64_t)
#undef WAFER_STEPS

}  // namespace wafer::time
