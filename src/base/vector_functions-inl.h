// 2^y, 1/d and SiLU as sequences of vector operations that a core has: the one definition of each function. Whoever includes this file says
// where to: WAFER_VECTOR_NAMESPACE names the namespace, once for each kind of vectors. The text is then read for
//   one float at a time   base/scalar_math.h,
//   vectors of the host   run/rows_simd.cc, for each set of instructions,
//   operations by count   base/vector_ops.h, which is what time/cost.cc charges.
//
// A kind of vectors M has a type V and these operations, each one operation of a core on a whole vector; `c`, `k` are numbers:
//   max(v, c)           the larger; a NaN in v stays
//   add(v, w) add(v, c) sub(v, w) sub(v, c) sub(c, v) mul(v, w)
//   fma(c, v, k)        c + v * k, fused, and fma(w, v, k). A core multiplies and adds a vector by a number only, never by a vector
//   scale(v, t)         v * 2^n, rounded once, n the low 16 bits of t, signed
//   high_from(h, d)     16-bit words: the high halves are h - those of d, the low ones are cleared: two operations
// No include guard: it is meant to be read several times.

namespace WAFER_VECTOR_NAMESPACE {

// Adding 1.5 * 2^23 rounds to an integer n, to nearest even; n is then in the low 16 bits of the sum too, if they can hold it.
constexpr float kMagic = 12582912.0f;

// 2^(n + r), |r| <= 1/2, t = n + kMagic. A polynomial of degree 5, of least relative error (9.3e-8) among those with 1 for r = 0, with
// coefficients of f32; its sum is split by Estrin's scheme, as multiply-adds take numbers for factors.
template <class M>
constexpr typename M::V power_of_two(M& m, typename M::V r, typename M::V t) {
  using V = typename M::V;
  const V low = m.fma(1.0f, r, 0.693147004f);
  const V middle = m.fma(0.240222469f, r, 0.0555071123f);
  const V high = m.fma(0.00967129413f, r, 0.0013269406f);
  const V square = m.mul(r, r);
  const V rest = m.add(middle, m.mul(square, high));
  return m.scale(m.add(low, m.mul(square, rest)), t);
}

// 2^y: relative error below 4e-7, subnormal results rounded once more, 0 below -150, 1 for 0. Requires: y < 32767 (infinity from 128 on),
// or NaN. What is below -151 is taken as -151, so that n fits.
template <class M>
constexpr typename M::V exp2(M& m, typename M::V y) {
  using V = typename M::V;
  const V above = m.max(y, -151.0f);
  const V t = m.add(above, kMagic);
  return power_of_two(m, m.sub(above, m.sub(t, kMagic)), t);
}

// 1/d, relative error below 2e-7 for 2^-126 <= |d| <= 2^125. NaN for NaN, no finite number for zeros and infinities; other d are not for
// it. The high half of a float is nearly its logarithm, so one subtraction is 1/d within 5.6 %; each of three Newton steps squares the
// error.
template <class M>
constexpr typename M::V reciprocal(M& m, typename M::V d) {
  typename M::V x = m.high_from(0x7ef3, d);
  for (int i = 0; i < 3; i++) x = m.mul(x, m.sub(2.0f, m.mul(d, x)));
  return x;
}

// g / (1 + e^-g), relative error below 1e-6 for g >= -86.5, and silu(-86.5) = -2.4e-36 below. e^-g is 2^(n + r) with -g log2(e) in two
// floats; |g| up to 86.5 is enough for it (1 + e^-86.5 is 1), and keeps 1 + e^-g where it has a reciprocal.
template <class M>
constexpr typename M::V silu(M& m, typename M::V g) {
  using V = typename M::V;
  const V above = m.max(g, -86.5f);
  const V x = m.max(m.sub(0.0f, above), -86.5f);
  const V t = m.fma(kMagic, x, 1.44269502f);
  const V part = m.fma(m.sub(kMagic, t), x, 1.44269502f);
  const V r = m.fma(part, x, 1.92596303e-8f);
  return m.mul(above, reciprocal(m, m.add(power_of_two(m, r, t), 1.0f)));
}

}  // namespace WAFER_VECTOR_NAMESPACE
#undef WAFER_VECTOR_NAMESPACE
