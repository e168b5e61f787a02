#include "mesh/expand.h"

#include <algorithm>

#include "base/check.h"

namespace wafer::mesh {
namespace {

struct Expansion {
  const Program& program;
  const std::string& name;
  PhaseId phase;
  const Product& product;
  int64_t L;

  Extent region() const { return extent(program.regions[program.buffers[product.a].region].rect); }

  Step step(const char* suffix, decltype(Step::what) what, const std::vector<RouteId>& routes = {}) const {
    return {.name = name + suffix, .phase = phase, .what = std::move(what), .routes = routes};
  }

  Step shift(const char* suffix, ShiftKind kind, Axis axis, BufferId buffer) const {
    return step(suffix, Shift{.kind = kind, .axis = axis, .buffer = buffer, .runs = product.runs, .order = order_of(product.algorithm)},
                axis == Axis::x ? product.x_routes : product.y_routes);
  }

  Step loop(const char* suffix, int64_t count, Steps body) const {
    return step(suffix, Loop{.var = LoopVar::ring_step, .fixed = count, .body = std::move(body)});
  }

  // The L steps of product and transfers.
  Step main_loop(Steps turn) const {
    Step steps = loop(".steps", L, std::move(turn));
    std::get<Loop>(steps.what).together = starts_together(product.algorithm);
    return steps;
  }

  Step overlap(const char* suffix, Steps body) const { return step(suffix, Group{.kind = GroupKind::overlap, .body = std::move(body)}); }

  Step tile_product(LocalOp op, BufferId a, BufferId b, BufferId out) const {
    return step(".product", Local{.op = op, .in = {a, b}, .out = {out}});
  }

  Steps mesh_gemm() const {
    const Product& p = product;
    Steps steps;
    // No tile is farther than half a ring from its place.
    if (!p.a_aligned && L > 1) steps.push_back(loop(".align_a", L / 2, {shift(".align_a", ShiftKind::align_rows, Axis::x, p.a)}));
    if (!p.b_aligned && L > 1) steps.push_back(loop(".align_b", L / 2, {shift(".align_b", ShiftKind::align_cols, Axis::y, p.b)}));
    Steps turn = {tile_product(LocalOp::tile_fma, p.a, p.b, p.c), shift(".shift_a", ShiftKind::ring_down, Axis::x, p.a),
                  shift(".shift_b", ShiftKind::ring_down, Axis::y, p.b)};
    if (p.overlap) turn = {overlap(".step", std::move(turn))};
    steps.push_back(main_loop(std::move(turn)));
    return steps;
  }

  Steps gemm_t() const {
    const Product& p = product;
    Steps turn = {tile_product(LocalOp::tile_fma_t, p.a, p.b, p.partial), shift(".shift_b", ShiftKind::ring_down, Axis::y, p.b)};
    if (p.overlap) turn = {overlap(".step", std::move(turn))};
    turn.push_back(step(".row_sum", RootReduce{.partial = p.partial, .out = p.c, .runs = p.runs}, p.chain_routes));
    return {main_loop(std::move(turn))};
  }

  // The casts of both operands; none along an axis of one core, which has its tiles where they arrive.
  Steps casts(const char* of_a, const char* of_b, int64_t ahead, bool all) const {
    Steps steps;
    const Extent e = region();
    const auto cast = [&](const char* suffix, Axis axis, BufferId from, BufferId to, const std::vector<RouteId>& routes) {
      if (side(e, axis) > 1)
        steps.push_back(step(suffix, TileCast{.axis = axis, .buffer = from, .out = to, .ahead = ahead, .all = all}, routes));
    };
    cast(of_a, Axis::x, product.a, product.a_here, product.x_routes);
    cast(of_b, Axis::y, product.b, product.b_here, product.y_routes);
    return steps;
  }

  Step product_here() const { return tile_product(LocalOp::tile_fma, product.a_here, product.b_here, product.c); }

  Steps summa() const {
    Steps steps;
    if (Steps first = casts(".first.cast_a", ".first.cast_b", 0, false); !first.empty())
      steps.push_back(overlap(".first", std::move(first)));
    Steps turn = {product_here()};
    for (Step& cast : casts(".cast_a", ".cast_b", 1, false)) turn.push_back(std::move(cast));
    if (product.overlap) turn = {overlap(".step", std::move(turn))};
    steps.push_back(main_loop(std::move(turn)));
    return steps;
  }

  Steps allgather() const {
    Steps steps;
    if (Steps all = casts(".cast_a", ".cast_b", 0, true); !all.empty()) steps.push_back(overlap(".gather", std::move(all)));
    steps.push_back(product_here());
    return steps;
  }
};

}  // namespace

int64_t ring_steps(const Program& program, const Product& product) {
  int64_t L = program.regions[program.buffers[product.a].region].rect.h;
  for (const Range& run : product.runs) L = std::max(L, run.size());
  return L;
}

Steps expand(const Program& program, const Step& step) {
  const Product* product = std::get_if<Product>(&step.what);
  CHECK(product != nullptr, "step {} is no product", step.name);
  const Expansion e{.program = program, .name = step.name, .phase = step.phase, .product = *product, .L = ring_steps(program, *product)};
  switch (product->algorithm) {
    case Algorithm::mesh_gemm:
    case Algorithm::cannon: return e.mesh_gemm();
    case Algorithm::gemm_t: return e.gemm_t();
    case Algorithm::summa: return e.summa();
    case Algorithm::allgather: return e.allgather();
  }
  return {};
}

}  // namespace wafer::mesh
