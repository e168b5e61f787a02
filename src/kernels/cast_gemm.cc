#include "kernels/cast_gemm.h"

#include <algorithm>

#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

namespace {

// The casts of both operands; none along an axis of one core, which has its tiles where they arrive.
Steps casts_of(const Site& site, const std::string& name, const Casts& casts, const CastOperands& o, int64_t ahead, bool all) {
  Steps steps;
  auto add = [&](const char* suffix, Axis axis, BufferId from, BufferId to, const std::vector<RouteId>& routes) {
    if (side(extent(site), axis) > 1)
      steps.push_back({.name = name + suffix,
                       .phase = site.phase,
                       .what = TileCast{.axis = axis, .buffer = from, .out = to, .ahead = ahead, .all = all},
                       .routes = routes});
  };
  add(".cast_a", Axis::x, o.a, o.a_here, casts.x_routes);
  add(".cast_b", Axis::y, o.b, o.b_here, casts.y_routes);
  return steps;
}

Step overlap(const Site& site, std::string name, Steps body) {
  return {.name = std::move(name), .phase = site.phase, .what = Group{.kind = GroupKind::overlap, .body = std::move(body)}};
}

Step product(const Site& site, const std::string& name, const CastOperands& o) {
  return {.name = name + ".product", .phase = site.phase, .what = Local{.op = LocalOp::tile_fma, .in = {o.a_here, o.b_here}, .out = {o.c}}};
}

Step whole(const Site& site, std::string name, GroupKind kind, Steps body, const CastOperands& o) {
  Group group{.kind = kind, .body = std::move(body), .a = o.a, .b = o.b, .c = o.c, .runs = {{0, extent(site).w}}};
  return {.name = std::move(name), .phase = site.phase, .what = std::move(group)};
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
  const int64_t blocks = std::max(extent(site).w, extent(site).h);
  Steps turn = {product(site, name, o)};
  for (Step& cast : casts_of(site, name, casts, o, 1, false)) turn.push_back(std::move(cast));
  Steps body;
  if (Steps first = casts_of(site, name + ".first", casts, o, 0, false); !first.empty())
    body.push_back(overlap(site, name + ".first", std::move(first)));
  body.push_back(
      {.name = name + ".steps",
       .phase = site.phase,
       .what =
           Loop{.var = LoopVar::ring_step, .fixed = blocks, .body = {overlap(site, name + ".step", std::move(turn))}, .together = true}});
  return whole(site, std::move(name), GroupKind::gemm_cast, std::move(body), o);
}

Step allgather_gemm(const Site& site, std::string name, const Casts& casts, const CastOperands& o) {
  Steps body;
  if (Steps all = casts_of(site, name + ".gather", casts, o, 0, true); !all.empty())
    body.push_back(overlap(site, name + ".gather", std::move(all)));
  body.push_back(product(site, name, o));
  return whole(site, std::move(name), GroupKind::gemm_gather, std::move(body), o);
}

}  // namespace wafer::kernels
