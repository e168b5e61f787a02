#include "plan/regions.h"

#include <algorithm>

#include "base/check.h"
#include "mesh/cut.h"

namespace wafer {

using namespace mesh;

int64_t slot_count(Extent device, Extent e) { return int64_t{device.w / e.w} * (device.h / e.h); }

std::vector<Rect> slots(Extent device, Extent e) {
  std::vector<Rect> out;
  const int columns = device.w / e.w, rows = device.h / e.h;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++) out.push_back({(r % 2 == 0 ? c : columns - 1 - c) * e.w, r * e.h, e.w, e.h});
  return out;
}

PhasePlan single_region(Extent e, int layers) {
  return {.regions = {{.rect = {0, 0, e.w, e.h}, .first_layer = 0, .layers = layers, .head = true}}};
}

PhasePlan dealt_regions(Extent device, Extent e, int layers, int count) {
  const std::vector<Rect> places = slots(device, e);
  CHECK(count + 1 <= static_cast<int>(places.size()), "{} regions and a head in {} places", count, places.size());
  PhasePlan p;
  for (int i = 0; i < count; i++) {
    const Range r = part(layers, i, count);
    p.regions.push_back({.rect = places[static_cast<size_t>(i)],
                         .first_layer = static_cast<int>(r.begin),
                         .layers = static_cast<int>(r.size()),
                         .head = false});
  }
  p.regions.push_back({.rect = places[static_cast<size_t>(count)], .first_layer = layers, .layers = 0, .head = true});
  return p;
}

bool is_dealt(const PhasePlan& p) { return p.regions.size() > 1; }

Plan on_one_grid(Plan plan, Extent device) {
  PhasePlan &a = plan.prefill, &b = plan.decode;
  if (!is_dealt(a) || a.regions.size() != b.regions.size()) return plan;
  Extent grid{1, 1};
  for (const PhasePlan* p : {&a, &b})
    for (const PlacedRegion& r : p->regions) grid = {std::max(grid.w, r.rect.w), std::max(grid.h, r.rect.h)};
  if (slot_count(device, grid) < static_cast<int64_t>(a.regions.size())) return plan;
  const std::vector<Rect> places = slots(device, grid);
  for (PhasePlan* p : {&a, &b})
    for (size_t i = 0; i < p->regions.size(); i++) {
      p->regions[i].rect.x = places[i].x;
      p->regions[i].rect.y = places[i].y;
    }
  a.regions[static_cast<size_t>(head_region(a))].rect = b.regions[static_cast<size_t>(head_region(b))].rect;
  return plan;
}

}  // namespace wafer
