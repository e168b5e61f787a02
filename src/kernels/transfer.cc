#include "kernels/transfer.h"

#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

std::vector<RouteId> add_kv_shift_routes(const Site& site) {
  const auto paths = neighbour_paths({{0, extent(site).h}}, true);
  if (paths.empty()) return {};
  return {add_route(site.program, "kv.up", site.phase, site.region, Axis::y, paths)};
}

Step kv_shift(const Site& site, std::string name, std::vector<BufferId> caches, const std::vector<RouteId>& routes) {
  return {.name = std::move(name), .phase = site.phase, .what = RowShift{.buffers = std::move(caches)}, .routes = routes};
}

std::vector<RouteId> add_relay_routes(const Site& site, const std::string& name, Axis axis) {
  const std::vector<Range> line = {{0, side(extent(site), axis)}};
  std::vector<RouteId> routes;
  for (bool to_lower : {true, false}) {
    const auto paths = neighbour_paths(line, to_lower);
    if (!paths.empty())
      routes.push_back(add_route(site.program, name + (to_lower ? ".low" : ".high"), site.phase, site.region, axis, paths));
  }
  return routes;
}

Step multicast(const Site& site, std::string name, Axis axis, BufferId buffer, const std::vector<RouteId>& routes) {
  return {.name = std::move(name), .phase = site.phase, .what = Multicast{.axis = axis, .buffer = buffer}, .routes = routes};
}

Step send(const Site& site, MoveId move, const std::vector<RouteId>& routes) {
  return {.name = site.program.moves[move].name + ".send", .phase = site.phase, .what = Send{move}, .routes = routes};
}

Step receive(const Site& site, MoveId move, const std::vector<RouteId>& routes) {
  return {.name = site.program.moves[move].name + ".receive", .phase = site.phase, .what = Receive{move}, .routes = routes};
}

std::vector<RouteId> move_routes(const Site& site) {
  std::vector<RouteId> routes;
  for (const RouteId r : site.program.routes.ids()) {
    const Route& route = site.program.routes[r];
    if (route.phase == site.phase && route.region == site.region) routes.push_back(r);
  }
  if (!routes.empty()) return routes;
  routes = add_relay_routes(site, "move.x", Axis::x);
  for (const RouteId r : add_relay_routes(site, "move.y", Axis::y)) routes.push_back(r);
  return routes;
}

}  // namespace wafer::kernels
