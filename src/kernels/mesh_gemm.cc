#include "kernels/mesh_gemm.h"

#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

Rings add_rings(const Site& site, const std::string& name, std::vector<Range> runs, bool gemm_t, LineOrder order) {
  Rings rings{.runs = std::move(runs), .x_routes = {}, .y_routes = {}, .chain_routes = {}, .order = order};
  const std::vector<Range> column = {{0, extent(site).h}};
  auto add = [&](std::vector<RouteId>& routes, const std::string& suffix, Axis axis, std::vector<Path> paths) {
    if (!paths.empty()) routes.push_back(add_route(site.program, name + suffix, site.phase, site.region, axis, std::move(paths)));
  };
  add(rings.x_routes, ".x.down", Axis::x, ring_paths(rings.runs, true, order));
  add(rings.x_routes, ".x.up", Axis::x, ring_paths(rings.runs, false, order));
  add(rings.y_routes, ".y.down", Axis::y, ring_paths(column, true, order));
  if (gemm_t) {
    add(rings.y_routes, ".y.up", Axis::y, ring_paths(column, false, order));
    add(rings.chain_routes, ".chain.low", Axis::x, neighbour_paths(rings.runs, true));
    add(rings.chain_routes, ".chain.high", Axis::x, neighbour_paths(rings.runs, false));
  }
  return rings;
}

Step mesh_gemm(const Site& site, std::string name, const Rings& rings, const GemmOperands& o) {
  Product product{.algorithm = rings.order == LineOrder::natural ? Algorithm::cannon : Algorithm::mesh_gemm,
                  .a = o.a,
                  .b = o.b,
                  .c = o.c,
                  .b_slot = o.b_slot,
                  .runs = rings.runs,
                  .a_aligned = o.a_aligned,
                  .b_aligned = o.align_b == AlignB::placed,
                  .heads = o.heads,
                  .overlap = o.overlap,
                  .x_routes = rings.x_routes,
                  .y_routes = rings.y_routes};
  return {.name = std::move(name), .phase = site.phase, .what = std::move(product)};
}

Step gemm_t(const Site& site, std::string name, const Rings& rings, const GemmTOperands& o) {
  Product product{.algorithm = Algorithm::gemm_t,
                  .a = o.a,
                  .b = o.b,
                  .c = o.c,
                  .partial = o.partial,
                  .b_slot = o.b_slot,
                  .runs = rings.runs,
                  .heads = o.heads,
                  .y_routes = rings.y_routes,
                  .chain_routes = rings.chain_routes};
  return {.name = std::move(name), .phase = site.phase, .what = std::move(product)};
}

}  // namespace wafer::kernels
