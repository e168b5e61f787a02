// Where equal regions of a phase lie on the device, and how those of the two phases lie to each other.
#pragma once
#include <cstdint>
#include <vector>

#include "mesh/coord.h"
#include "plan/plan.h"

namespace wafer {

int64_t slot_count(mesh::Extent device, mesh::Extent e);
// Rectangles of one size, row by row on the device, every other row backwards: neighbours in the list are neighbours on the wafer.
std::vector<mesh::Rect> slots(mesh::Extent device, mesh::Extent e);

PhasePlan single_region(mesh::Extent e, int layers);
// Layers dealt evenly to `count` regions, and the head region after them. Requires: slots for them.
PhasePlan dealt_regions(mesh::Extent device, mesh::Extent e, int layers, int count);
bool is_dealt(const PhasePlan& p);

// Both phases on one grid, if each deals its layers to the same number of regions and the device has room for a grid of the larger sides:
// then every layer stays where it is but for the cut, and the head region, which has decode's layout in both phases, is one and the same.
// Otherwise each row of regions would lie a little farther from its place in the other phase than the row before. Else `plan` as it is.
Plan on_one_grid(Plan plan, mesh::Extent device);

}  // namespace wafer
