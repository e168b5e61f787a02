// A mesh program as text: what lies on each core, which routes there are, and the steps of every entry in order.
//
// The same program always gives the same text. Sizes that depend on parameters are shown at their limits; `3-4` is the least and the most
// that a core of the region has; what a step's transfers use (axis, words, trees, colours) stands on the step's line.
#pragma once
#include <string>

#include "mesh/program.h"

namespace wafer::mesh {

std::string print(const Program& program);

}  // namespace wafer::mesh
