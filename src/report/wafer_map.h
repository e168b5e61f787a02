// The regions of a phase as a small picture of the wafer.
#pragma once
#include <string>
#include <vector>

#include "mesh/coord.h"
#include "plan/plan.h"

namespace wafer {

// What stands for region i: 0-9, A-Z, a-z, then again.
char map_letter(size_t region);

// The cores that a character stands for: twice as high as wide, as characters are.
mesh::Extent map_cell(mesh::Extent device, int columns);

// Lines of equal length, at most `columns` characters: each shows the region that has most of its cell, '.' for none.
std::vector<std::string> wafer_map(mesh::Extent device, const PhasePlan& plan, int columns);

}  // namespace wafer
