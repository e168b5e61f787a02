#include "kernels/reduce.h"

#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

ReduceLine add_reduce_line(const Site& site, const std::string& name, Axis axis, Forest forest) {
  ReduceLine line{.axis = axis, .forest = std::move(forest), .routes = {}};
  const auto levels = forest_paths(line.forest);
  for (size_t l = 0; l < levels.size(); l++)
    line.routes.push_back(add_route(site.program, name + ".level" + std::to_string(l + 1), site.phase, site.region, axis, levels[l]));
  const auto cast = broadcast_paths(line.forest);
  if (!cast.empty()) line.routes.push_back(add_route(site.program, name + ".cast", site.phase, site.region, axis, cast));
  return line;
}

Step reduce(const Site& site, std::string name, const ReduceLine& line, std::vector<ReducePart> parts) {
  return {.name = std::move(name),
          .phase = site.phase,
          .what = Reduce{.axis = line.axis, .parts = std::move(parts), .forest = line.forest},
          .routes = line.routes};
}

namespace {

// Local steps and the reduction that joins their results, as a part of the program of that name.
Step folded(const Site& site, std::string name, Steps locals, Step join) {
  Group group{.kind = GroupKind::block, .body = std::move(locals)};
  group.body.push_back(std::move(join));
  return {.name = std::move(name), .phase = site.phase, .what = std::move(group)};
}

}  // namespace

Step fold(const Site& site, std::string name, Steps locals, const ReduceLine& line, std::vector<ReducePart> parts) {
  Step join = reduce(site, name + ".reduce", line, std::move(parts));
  return folded(site, std::move(name), std::move(locals), std::move(join));
}

RingLine add_ring_line(const Site& site, const std::string& name, Axis axis, std::vector<Range> runs) {
  RingLine line{.axis = axis, .runs = std::move(runs), .routes = {}};
  std::vector<Path> paths = ring_paths(line.runs, true);
  if (!paths.empty()) line.routes.push_back(add_route(site.program, name, site.phase, site.region, axis, std::move(paths)));
  return line;
}

Step ring_reduce(const Site& site, std::string name, const RingLine& line, std::vector<ReducePart> parts) {
  return {.name = std::move(name),
          .phase = site.phase,
          .what = RingReduce{.axis = line.axis, .parts = std::move(parts), .runs = line.runs},
          .routes = line.routes};
}

namespace {

Steps products_of(const Site& site, const std::string& name, BufferId x, const std::vector<GemvProduct>& products) {
  Steps locals;
  for (const GemvProduct& p : products)
    locals.push_back(
        {.name = name + ".product", .phase = site.phase, .what = Local{.op = LocalOp::mat_vec, .in = {p.weights, x}, .out = {p.out}}});
  return locals;
}

std::vector<ReducePart> results_of(const std::vector<GemvProduct>& products, bool broadcast) {
  std::vector<ReducePart> out;
  for (const GemvProduct& p : products) out.push_back({.buffer = p.out, .op = ReduceOp::add, .broadcast = broadcast});
  return out;
}

}  // namespace

Step mesh_gemv(const Site& site, std::string name, BufferId x, const std::vector<GemvProduct>& products, const ReduceLine& line,
               bool broadcast) {
  Steps locals = products_of(site, name, x, products);
  return fold(site, std::move(name), std::move(locals), line, results_of(products, broadcast));
}

Step ring_gemv(const Site& site, std::string name, BufferId x, const std::vector<GemvProduct>& products, const RingLine& line,
               bool broadcast) {
  Step join = ring_reduce(site, name + ".reduce", line, results_of(products, broadcast));
  Steps locals = products_of(site, name, x, products);
  return folded(site, std::move(name), std::move(locals), std::move(join));
}

}  // namespace wafer::kernels
