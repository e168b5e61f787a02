// For tests: what a product sends, issues and computes, counted off the steps of its expansion, core by core and tile by tile, with no
// closed form. The rules of a leaf's operations and tasks are those of time/product_schedule.h.
#pragma once
#include <cstdint>
#include <map>
#include <tuple>

#include "device/device.h"
#include "mesh/expand.h"
#include "time/cost.h"

namespace wafer {

// Of a region's core (x, y), to its neighbour along an axis: the higher one, or the lower.
using Link = std::tuple<int, int, mesh::Axis, bool>;

struct WalkCounts {
  time::Actions actions;  // of all cores
  int64_t multiply_adds = 0;
  int64_t sent = 0, received = 0;  // wavelets
  std::map<Link, int64_t> links;   // wavelets that cross each
  int64_t hops() const;
};

// `expansion`: expand(program, step), or another schedule that stands for the product. `chunk`: of keys, where the product is inside such a
// loop. CHECKs that every tile product finds the tiles that belong together.
WalkCounts walk_expansion(const mesh::Program& program, const mesh::Step& step, const mesh::Steps& expansion, const mesh::Params& params,
                          int64_t chunk, const Device& device);

void add(WalkCounts& to, const WalkCounts& more);

}  // namespace wafer
