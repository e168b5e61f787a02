#include "kernel_bench/gemv_program.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "base/printable.h"
#include "kernel_bench/reduce_program.h"
#include "kernels/reduce.h"
#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

namespace {

int group_of(const GemvShape& s) {
  if (s.groups.empty()) return static_cast<int>(std::lround(std::sqrt(s.mesh.h)));
  return cores_of_a_group(s.groups, s.mesh.h);
}

// The tree along the height; not for ring.
Tree tree_of(const GemvShape& s) {
  const int h = s.mesh.h;
  if (s.allreduce == "pipeline") return chain_tree(h);
  if (s.allreduce == "two-phase") return two_phase_tree(h, group_of(s));
  check_tree_groups(s.groups, h);
  if (s.allreduce == "ktree") return k_tree(h, s.groups.empty() ? even_groups(h, 2) : s.groups);
  throw Error{{.where = "--allreduce",
               .found = wafer::quoted(s.allreduce),
               .expected = "ktree, pipeline, ring or two-phase",
               .fix = "choose one of them"}};
}

}  // namespace

Program gemv_program(const GemvShape& s, Extent device_mesh) {
  if ((s.allreduce == "pipeline" || s.allreduce == "ring") && !s.groups.empty())
    throw Error{{.where = "--groups",
                 .found = fmt::format("{}", fmt::join(s.groups, ",")),
                 .expected = "none with " + s.allreduce,
                 .fix = "leave the option out"}};
  const int h = s.mesh.h;
  const Tree tree = s.allreduce == "ring" ? Tree{} : tree_of(s);
  Program p;
  p.name = "gemv";
  p.numerics = s.numerics;
  p.mesh = device_mesh;
  const RegionId region = add_region(p, {.name = "gemv", .rect = {0, 0, s.mesh.w, h}});
  const PhaseId phase = add_phase(p, "gemv");
  const Dtype operand = s.numerics == Numerics::fp32 ? Dtype::f32 : Dtype::f16,
              sum = s.numerics == Numerics::fp16 ? Dtype::f16 : Dtype::f32;
  const DimCut k_cut{.dim = 0, .axis = Axis::y, .cut = parts_cut(h)};
  auto buffer = [&](const char* name, Dtype type, std::vector<Dim> dims, BufferKind kind, std::vector<DimCut> cuts) {
    const TensorId tensor = add_tensor(p, {.name = name, .dtype = type, .dims = std::move(dims)});
    return add_buffer(p, {.name = name, .tensor = tensor, .region = region, .kind = kind, .cuts = std::move(cuts), .phases = {phase}});
  };
  const BufferId x = buffer("x", operand, {dim("k", s.k)}, BufferKind::activations, {k_cut});
  const BufferId w = buffer("w", operand, {dim("k", s.k), dim("n", s.n)}, BufferKind::weights,
                            {k_cut, {.dim = 1, .axis = Axis::x, .cut = parts_cut(s.mesh.w)}});
  const BufferId y = buffer("y", sum, {dim("n", s.n)}, BufferKind::partials, {{.dim = 0, .axis = Axis::x, .cut = parts_cut(s.mesh.w)}});
  const Site site{p, region, phase};
  Step step;
  if (s.allreduce == "ring") {
    step = ring_gemv(site, "gemv", x, {{w, y}}, add_ring_line(site, "y.ring", Axis::y, {{0, h}}), s.broadcast);
  } else {
    Forest forest{.runs = {{0, h}}, .trees = {tree}};
    step = mesh_gemv(site, "gemv", x, {{w, y}}, add_reduce_line(site, "y.tree", Axis::y, std::move(forest)), s.broadcast);
  }
  p.entries = {{.name = "gemv", .lists = {{.region = region, .steps = {std::move(step)}}}, .inputs = {x, w}, .outputs = {y}}};
  return p;
}

}  // namespace wafer::kernels
