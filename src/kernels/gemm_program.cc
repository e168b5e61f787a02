#include "kernels/gemm_program.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/mesh_gemm.h"
#include "kernels/reduce.h"
#include "kernels/reduce_program.h"
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
  Step gemm = mesh_gemm(site, "gemm", rings, {.a = a, .b = b, .c = c, .overlap = s.overlap});
  p.entries = {{.name = "gemm", .lists = {{.region = region, .steps = {std::move(gemm)}}}}};
  return p;
}

Program gemv_program(const GemvShape& s, Extent device_mesh) {
  const int h = s.mesh.h;
  Tree tree;
  if (s.allreduce == "ktree") {
    tree = k_tree(h, s.groups.empty() ? even_groups(h, 2) : s.groups);
  } else if (s.allreduce == "pipeline") {
    tree = chain_tree(h);
  } else if (s.allreduce == "two-phase") {
    tree = two_phase_tree(h, s.groups.empty() ? static_cast<int>(std::lround(std::sqrt(h))) : s.groups.front());
  } else {
    throw Error{{.where = "--allreduce", .found = s.allreduce, .expected = "ktree, pipeline or two-phase", .fix = "choose one of them"}};
  }
  Program p;
  p.name = "gemv";
  p.numerics = s.numerics;
  p.mesh = device_mesh;
  const int region = add_region(p, {.name = "gemv", .rect = {0, 0, s.mesh.w, h}});
  const int phase = add_phase(p, "gemv");
  const Dtype operand = s.numerics == Numerics::fp32 ? Dtype::f32 : Dtype::f16,
              sum = s.numerics == Numerics::fp16 ? Dtype::f16 : Dtype::f32;
  const DimCut k_cut{.dim = 0, .axis = Axis::y, .cut = parts_cut(h)};
  auto buffer = [&](const char* name, Dtype type, std::vector<Dim> dims, BufferKind kind, std::vector<DimCut> cuts) {
    const int tensor = add_tensor(p, {.name = name, .dtype = type, .dims = std::move(dims)});
    return add_buffer(p, {.name = name, .tensor = tensor, .region = region, .kind = kind, .cuts = std::move(cuts), .phases = {phase}});
  };
  const int x = buffer("x", operand, {dim("k", s.k)}, BufferKind::activations, {k_cut});
  const int w = buffer("w", operand, {dim("k", s.k), dim("n", s.n)}, BufferKind::weights,
                       {k_cut, {.dim = 1, .axis = Axis::x, .cut = parts_cut(s.mesh.w)}});
  const int y = buffer("y", sum, {dim("n", s.n)}, BufferKind::partials, {{.dim = 0, .axis = Axis::x, .cut = parts_cut(s.mesh.w)}});
  const Site site{p, region, phase};
  const ReduceLine line = add_reduce_line(site, "y.tree", Axis::y, {.runs = {{0, h}}, .trees = {tree}});
  p.entries = {{.name = "gemv", .lists = {{.region = region, .steps = {mesh_gemv(site, "gemv", x, {{w, y}}, line)}}}}};
  return p;
}

}  // namespace wafer::kernels
