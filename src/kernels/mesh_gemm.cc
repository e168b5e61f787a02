#include "kernels/mesh_gemm.h"

#include <algorithm>

#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

namespace {

// Steps of the longest ring among the rectangles: L of the widest.
int64_t ring_steps(const Site& site, const std::vector<Range>& runs) {
  int64_t L = extent(site).h;
  for (const Range& r : runs) L = std::max(L, r.size());
  return L;
}

Step shift(const Site& site, const std::string& name, ShiftKind kind, Axis axis, BufferId buffer, const Rings& rings) {
  return {.name = name,
          .phase = site.phase,
          .what = Shift{.kind = kind, .axis = axis, .buffer = buffer, .runs = rings.runs, .order = rings.order},
          .routes = axis == Axis::x ? rings.x_routes : rings.y_routes};
}

Step ring_loop(const Site& site, std::string name, int64_t count, Steps body, bool together = false) {
  return {.name = std::move(name),
          .phase = site.phase,
          .what = Loop{.var = LoopVar::ring_step, .fixed = count, .body = std::move(body), .together = together}};
}

}  // namespace

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
  const int64_t L = ring_steps(site, rings.runs);
  Steps body;
  // No tile is farther than half a ring from its place.
  if (!o.a_aligned && L > 1)
    body.push_back(ring_loop(site, name + ".align_a", L / 2, {shift(site, name + ".align_a", ShiftKind::align_rows, Axis::x, o.a, rings)}));
  if (o.align_b == AlignB::shifted && L > 1)
    body.push_back(ring_loop(site, name + ".align_b", L / 2, {shift(site, name + ".align_b", ShiftKind::align_cols, Axis::y, o.b, rings)}));
  Group step{.kind = GroupKind::overlap};
  step.body.push_back(
      {.name = name + ".product", .phase = site.phase, .what = Local{.op = LocalOp::tile_fma, .in = {o.a, o.b}, .out = {o.c}}});
  step.body.push_back(shift(site, name + ".shift_a", ShiftKind::ring_down, Axis::x, o.a, rings));
  step.body.push_back(shift(site, name + ".shift_b", ShiftKind::ring_down, Axis::y, o.b, rings));
  body.push_back(ring_loop(site, name + ".steps", L,
                           o.overlap ? Steps{{.name = name + ".step", .phase = site.phase, .what = std::move(step)}} : step.body,
                           o.together));
  Group group{.kind = GroupKind::gemm,
              .body = std::move(body),
              .a = o.a,
              .b = o.b,
              .c = o.c,
              .runs = rings.runs,
              .aligned = o.a_aligned,
              .heads = o.heads};
  return {.name = std::move(name), .phase = site.phase, .what = std::move(group)};
}

Step gemm_t(const Site& site, std::string name, const Rings& rings, const GemmTOperands& o) {
  const int64_t L = ring_steps(site, rings.runs);
  Steps turn;
  Group step{.kind = GroupKind::overlap};
  step.body.push_back(
      {.name = name + ".product", .phase = site.phase, .what = Local{.op = LocalOp::tile_fma_t, .in = {o.a, o.b}, .out = {o.partial}}});
  step.body.push_back(shift(site, name + ".shift_b", ShiftKind::ring_down, Axis::y, o.b, rings));
  turn.push_back({.name = name + ".step", .phase = site.phase, .what = std::move(step)});
  turn.push_back({.name = name + ".row_sum",
                  .phase = site.phase,
                  .what = RootReduce{.partial = o.partial, .out = o.c, .runs = rings.runs},
                  .routes = rings.chain_routes});
  Group group{.kind = GroupKind::gemm_t,
              .body = {ring_loop(site, name + ".steps", L, std::move(turn))},
              .a = o.a,
              .b = o.b,
              .c = o.c,
              .runs = rings.runs,
              .heads = o.heads};
  return {.name = std::move(name), .phase = site.phase, .what = std::move(group)};
}

}  // namespace wafer::kernels
