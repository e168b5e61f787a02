#include "paper/published_gemv.h"

#include "kernels/reduce.h"
#include "mesh/builder.h"
#include "paper/published.h"

namespace wafer {

using namespace mesh;
using namespace kernels;

Program published_gemv(const PublishedGemvShape& s, Extent device_mesh) {
  const int w = s.mesh.w, h = s.mesh.h;
  const int64_t k = padded(s.k, h), n = padded(s.n, w), own_k = k / h, own_n = n / w;
  Program p;
  p.name = "published gemv";
  p.numerics = Numerics::fp16;
  p.mesh = device_mesh;
  const RegionId region = add_region(p, {.name = "gemv", .rect = {0, 0, w, h}});
  const PhaseId phase = add_phase(p, "gemv");
  auto buffer = [&](const char* name, std::vector<Dim> dims, BufferKind kind, std::vector<DimCut> cuts) {
    const TensorId tensor = add_tensor(p, {.name = name, .dtype = Dtype::f16, .dims = std::move(dims)});
    return add_buffer(p, {.name = name, .tensor = tensor, .region = region, .kind = kind, .cuts = std::move(cuts), .phases = {phase}});
  };
  const DimCut k_cut{.dim = 0, .axis = Axis::y, .cut = parts_cut(h)};
  buffer("x", {dim("k", k)}, BufferKind::activations, {k_cut});
  buffer("w", {dim("k", k), dim("n", n)}, BufferKind::weights, {k_cut, {.dim = 1, .axis = Axis::x, .cut = parts_cut(w)}});
  const BufferId y = buffer("y", {dim("n", n)}, BufferKind::partials, {{.dim = 0, .axis = Axis::x, .cut = parts_cut(w)}});
  // 2.1: three loads and one descriptor given directly, one clear, then a map of one multiply-add for each input.
  const Work product{.descriptor_loads = 4,
                     .vectors = {{.count = 1, .elements = own_n, .unit = VectorUnit::move},
                                 {.count = own_k, .elements = own_n, .unit = VectorUnit::multiply_add, .map = true}}};
  const Site site{p, region, phase};
  const Tree tree = published_tree(h, s.groups > 0 ? s.groups : published_groups(h));
  const ReduceLine line = add_reduce_line(site, "y.tree", Axis::y, {.runs = {{0, h}}, .trees = {tree}});
  Step join = reduce(site, "gemv.reduce", line, {{.buffer = y, .broadcast = s.broadcast}});
  // 2.2: one edit and one load before the first operation; the descriptors given directly are two an operation on the average. The root
  // sends to the lower side, then to the higher.
  std::get<Reduce>(join.what).issue = add_issue(p, {.first = {.tasks = 0, .descriptor_loads = 3, .descriptor_edits = 1},
                                                    .later = {.tasks = 0, .descriptor_loads = 2, .descriptor_edits = 0},
                                                    .broadcast_operations = 2});
  Steps steps = {{.name = "gemv.product", .phase = phase, .what = Opaque{product}}, std::move(join)};
  p.entries = {{.name = "gemv", .lists = {{.region = region, .steps = std::move(steps)}}}};
  return p;
}

}  // namespace wafer
