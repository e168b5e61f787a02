#include "kernels/gemm_program.h"

#include <algorithm>

#include "kernels/mesh_gemm.h"
#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

Program mesh_gemm_program(const GemmShape& s, Extent device_mesh) {
  Program p;
  p.name = "gemm";
  p.numerics = s.numerics;
  p.mesh = device_mesh;
  const int L = std::max(s.mesh.w, s.mesh.h);
  const int region = add_region(p, {.name = "gemm", .rect = {0, 0, s.mesh.w, s.mesh.h}});
  const int phase = add_phase(p, "gemm");
  const Dtype operand = s.numerics == Numerics::fp32 ? Dtype::f32 : Dtype::f16,
              sum = s.numerics == Numerics::fp16 ? Dtype::f16 : Dtype::f32;
  const Dim rows{.name = "rows", .size = {.kind = SizeKind::rows, .fixed = s.m, .limit = s.m}};
  auto matrix = [&](const char* name, Dtype type, Dim a, Dim b, BufferKind kind, int slots) {
    const int tensor = add_tensor(p, {.name = name, .dtype = type, .dims = {a, b}});
    return add_buffer(
        p, {.name = name,
            .tensor = tensor,
            .region = region,
            .kind = kind,
            .cuts = {{.dim = 0, .axis = Axis::y, .cut = ring_cut(s.mesh.h, L)}, {.dim = 1, .axis = Axis::x, .cut = ring_cut(s.mesh.w, L)}},
            .slots = slots,
            .phases = {phase}});
  };
  const int a = matrix("a", operand, rows, dim("k", s.k), BufferKind::activations, 2);
  const int b = matrix("b", operand, dim("k", s.k), dim("n", s.n), BufferKind::weights, 2);
  const int c = matrix("c", sum, rows, dim("n", s.n), BufferKind::activations, 1);
  const Site site{p, region, phase};
  const Rings rings = add_rings(site, "ring", {{0, s.mesh.w}}, false);
  Step gemm = mesh_gemm(site, "gemm", rings, {.a = a, .b = b, .c = c});
  p.entries = {{.name = "gemm", .lists = {{.region = region, .steps = {std::move(gemm)}}}}};
  return p;
}

}  // namespace wafer::kernels
