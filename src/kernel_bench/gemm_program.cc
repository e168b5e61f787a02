#include "kernel_bench/gemm_program.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cast_gemm.h"
#include "kernels/mesh_gemm.h"
#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

const char* name(GemmAlgorithm a) {
  static constexpr const char* kNames[] = {"meshgemm", "cannon", "summa", "allgather"};
  return kNames[static_cast<size_t>(a)];
}

GemmAlgorithm gemm_algorithm(const std::string& option, const std::string& text) {
  for (const GemmAlgorithm a : {GemmAlgorithm::meshgemm, GemmAlgorithm::cannon, GemmAlgorithm::summa, GemmAlgorithm::allgather})
    if (text == name(a)) return a;
  throw Error{{.where = option, .found = text, .expected = "meshgemm, cannon, summa or allgather", .fix = "choose one of them"}};
}

Program gemm_program(const GemmShape& s, Extent device_mesh) {
  Program p;
  p.name = "gemm";
  p.numerics = s.numerics;
  p.mesh = device_mesh;
  const int L = std::max(s.mesh.w, s.mesh.h);
  const RegionId region = add_region(p, {.name = "gemm", .rect = {0, 0, s.mesh.w, s.mesh.h}});
  const PhaseId phase = add_phase(p, "gemm");
  const Dtype operand = s.numerics == Numerics::fp32 ? Dtype::f32 : Dtype::f16,
              sum = s.numerics == Numerics::fp16 ? Dtype::f16 : Dtype::f32;
  const bool ring = s.algorithm == GemmAlgorithm::meshgemm, travels = ring || s.algorithm == GemmAlgorithm::cannon;
  const Dim rows{.name = "rows", .size = {.kind = SizeKind::rows, .fixed = s.m, .limit = s.m}};
  const DimCut along_y{.dim = 0, .axis = Axis::y, .cut = ring ? ring_cut(s.mesh.h, L) : line_cut(s.mesh.h, L)},
      along_x{.dim = 1, .axis = Axis::x, .cut = ring ? ring_cut(s.mesh.w, L) : line_cut(s.mesh.w, L)};
  auto tensor = [&](const char* name, Dtype type, Dim first, Dim second) {
    return add_tensor(p, {.name = name, .dtype = type, .dims = {std::move(first), std::move(second)}});
  };
  auto buffer = [&](const char* name, TensorId of, BufferKind kind, std::vector<DimCut> cuts, int slots) {
    return add_buffer(
        p, {.name = name, .tensor = of, .region = region, .kind = kind, .cuts = std::move(cuts), .slots = slots, .phases = {phase}});
  };
  const TensorId a_all = tensor("a", operand, rows, dim("k", s.k)), b_all = tensor("b", operand, dim("k", s.k), dim("n", s.n)),
                 c_all = tensor("c", sum, rows, dim("n", s.n));
  const int slots = travels && s.overlap ? 2 : 1;  // the next tile arrives beside the current one, or in its place
  const BufferId a = buffer("a", a_all, BufferKind::activations, {along_y, along_x}, slots);
  const BufferId b = buffer("b", b_all, BufferKind::weights, {along_y, along_x}, slots);
  const BufferId c = buffer("c", c_all, BufferKind::activations, {along_y, along_x}, 1);
  const Site site{p, region, phase};
  Step gemm;
  if (travels) {
    const Rings rings = add_rings(site, "ring", {{0, s.mesh.w}}, false, ring ? LineOrder::interleaved : LineOrder::natural);
    gemm = mesh_gemm(site, "gemm", rings, {.a = a, .b = b, .c = c, .overlap = s.overlap});
  } else {
    const Casts casts = add_casts(site, "cast");
    CastOperands o{.a = a, .b = b, .c = c};
    if (s.algorithm == GemmAlgorithm::summa) {
      // The block that is multiplied, and the next one, which arrives; the own tile stays where it is, to be sent in its turn.
      const Dim block = dim("block", (s.k + L - 1) / L);
      o.a_here = buffer("a_block", tensor("a_block", operand, rows, block), BufferKind::staging, {along_y}, 2);
      o.b_here = buffer("b_block", tensor("b_block", operand, block, dim("n", s.n)), BufferKind::staging, {along_x}, 2);
      gemm = summa(site, "gemm", casts, o);
    } else {
      o.a_here = buffer("a_row", a_all, BufferKind::staging, {along_y}, 1);
      o.b_here = buffer("b_column", b_all, BufferKind::staging, {along_x}, 1);
      gemm = allgather_gemm(site, "gemm", casts, o);
    }
  }
  p.entries = {{.name = "gemm", .lists = {{.region = region, .steps = {std::move(gemm)}}}, .inputs = {a, b}, .outputs = {c}}};
  return p;
}

}  // namespace wafer::kernels
