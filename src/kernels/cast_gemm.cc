#include "kernels/cast_gemm.h"

#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

namespace {

Step product_by_casts(const Site& site, std::string name, Algorithm algorithm, const Casts& casts, const CastOperands& o) {
  Product product{.algorithm = algorithm,
                  .a = o.a,
                  .b = o.b,
                  .c = o.c,
                  .a_here = o.a_here,
                  .b_here = o.b_here,
                  .runs = {{0, extent(site).w}},
                  .x_routes = casts.x_routes,
                  .y_routes = casts.y_routes};
  return {.name = std::move(name), .phase = site.phase, .what = std::move(product)};
}

}  // namespace

Casts add_casts(const Site& site, const std::string& name) {
  Casts casts;
  for (const Axis axis : {Axis::x, Axis::y}) {
    std::vector<Path> paths = cast_paths(side(extent(site), axis));
    if (paths.empty()) continue;
    const RouteId route = add_route(site.program, name + (axis == Axis::x ? ".x" : ".y"), site.phase, site.region, axis, std::move(paths));
    (axis == Axis::x ? casts.x_routes : casts.y_routes).push_back(route);
  }
  return casts;
}

Step summa(const Site& site, std::string name, const Casts& casts, const CastOperands& o) {
  return product_by_casts(site, std::move(name), Algorithm::summa, casts, o);
}

Step allgather_gemm(const Site& site, std::string name, const Casts& casts, const CastOperands& o) {
  return product_by_casts(site, std::move(name), Algorithm::allgather, casts, o);
}

}  // namespace wafer::kernels
