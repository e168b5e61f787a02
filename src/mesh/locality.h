// Proves that every value is where its reader needs it, before anything runs and on meshes of any size: the entries of a program are walked
// in the order in which a host uses them, with what every buffer holds told in a few words instead of values.
//
// Cuts lie along one axis each, so what core (x, y) holds of a buffer is a matter of x alone and of y alone: W + H positions are compared
// in place of W * H cores. Of every copy of a buffer the walk knows whether it is whole, partial along an axis (of which sum, and whose
// shares of it), at the roots or the owners of a line only, aligned by a product, of which chunk of keys, how many of its pieces are there,
// and of a cache how many rows. Operands come from operations.h.
//
// Order of use, found from the steps alone: prompts of one chunk and of three, the last one shorter, through the entries that take rows of
// tokens; then the entries between; then the entry that adds one position at a time, for several numbers of positions stored before.
//
// What is not checked:
//   - the steps inside a product: it is one step here, whose operands must lie as its tiles do; the naive executor runs its expansion
//   - whether slots of tiles, and the staging buffers of a transition, are large enough on every core
//   - routes, which are verify()'s
// and, as this form cannot say it:
//   - which of two buffers of equal shape an operation is given (gate and up exchanged), the gains of another norm, a scale that both
//     row_max and exp_sum have wrong
//   - the order of sums, about which run() and the naive executor agree bit by bit
//   - programs with opaque steps (the published kernels): those compute nothing, so there are no values to follow
//   - who the owner is where that depends on a token (look_up, Multicast)
#pragma once
#include <vector>

#include "mesh/program.h"
#include "mesh/verify.h"

namespace wafer::mesh {

// All faults, in the order in which the walk meets them; one for each rule, step and buffer.
std::vector<Diagnostic> check_locality(const Program& program);

// Those of verify(), then those of check_locality() where the regions are on the mesh.
std::vector<Diagnostic> prove(const Program& program, const Limits& limits);

}  // namespace wafer::mesh
