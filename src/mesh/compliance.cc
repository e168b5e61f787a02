#include "mesh/compliance.h"

#include <algorithm>

#include "mesh/bytes.h"
#include "mesh/expand.h"
#include "mesh/visit.h"

namespace wafer::mesh {
namespace {

int64_t farthest(const Program& p, const Step& s) {
  int64_t hops = 0;
  for (const RouteId r : s.routes)
    for (const Path& path : p.routes[r].paths) hops = std::max<int64_t>({hops, path.hi - path.from, path.from - path.lo});
  return hops;
}

// Cores of a buffer's region that hold none of it.
int64_t idle(const Program& p, BufferId id, const Params& params) {
  const Buffer& b = p.buffers[id];
  const Extent e = extent(p.regions[b.region].rect);
  int64_t busy = 1;
  for (const Axis axis : {Axis::x, Axis::y}) {
    int64_t positions = 0;
    for (int at = 0; at < side(e, axis); at++)
      positions += std::all_of(b.cuts.begin(), b.cuts.end(), [&](const DimCut& c) {
        return c.axis != axis || count_at(c.cut, value(p.tensors[b.tensor].dims[static_cast<size_t>(c.dim)].size, params), at) > 0;
      });
    busy *= positions;
  }
  return static_cast<int64_t>(e.w) * e.h - busy;
}

}  // namespace

Compliance compliance(const Program& program, const std::string& entry_name, const Params& params, const Limits& limits) {
  Compliance c{.bytes_limit = limits.sram_bytes - limits.code_bytes, .colours = colours_max(program), .colours_limit = limits.colours};
  for (const RegionSteps& list : entry(program, entry_name).lists)
    for_each_expanded_step(program, list.steps, [&](const Step& step) {
      const auto hops = [&] { c.longest_hops = std::max(c.longest_hops, farthest(program, step)); };
      visit(
          step, for_kinds<Shift, TileCast>(hops),
          [&](const Product& product) {
            const Rect r = program.regions[list.region].rect;
            c.cores += static_cast<int64_t>(r.w) * r.h;
            c.idle_cores += idle(program, product.c, params);
          },
          nothing_for<Local, Opaque, Reduce, RingReduce, Multicast, RowShift, RootReduce, Send, Receive, Host, Loop, Group>());
    });
  c.bytes = fullest(phase_bytes(program, 0)).fullest.total();
  c.breaks_p = c.idle_cores > 0;
  c.breaks_l = c.longest_hops > kNearHops;
  c.breaks_m = c.bytes > c.bytes_limit;
  c.breaks_r = c.colours > c.colours_limit;
  for (const auto& [broken, letter] : {std::pair{c.breaks_p, "P"}, {c.breaks_l, "L"}, {c.breaks_m, "M"}, {c.breaks_r, "R"}})
    if (broken) c.breaks.emplace_back(letter);
  return c;
}

}  // namespace wafer::mesh
