// Whether a program is well formed: every id names a part that is there, every list has the length that its neighbours need, every
// number is in the range that the others set. verify() asks this first; all other readers rely on it.
#pragma once
#include <vector>

#include "mesh/verify.h"

namespace wafer::mesh {

std::vector<Diagnostic> check_form(const Program& program);

}  // namespace wafer::mesh
