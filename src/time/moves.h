// What a move between two buffers asks of the mesh: how much each core gets, and how much the busiest link of each axis carries. Internal
// to time/. Formulas: docs/cost-model.md.
#pragma once
#include <cstdint>

#include "device/device.h"
#include "mesh/program.h"
#include "time/step_sizes.h"

namespace wafer::time {

// Elements go along one axis on the lines of the source, then along the other on the lines of the destination.
struct MoveWay {
  int64_t link_x = 0;  // wavelets over the busiest link along x, in its busier direction
  int64_t link_y = 0;
  int64_t hops = 0;      // links that all wavelets cross together
  int64_t distance = 0;  // links on the longest way
};
struct MoveLoad {
  int64_t words = 0;      // wavelets that a core of the destination takes, at most
  int64_t all_words = 0;  // of all cores of the destination
  int64_t words_out = 0;  // that a core of the source sends, at most
  MoveWay x_first, y_first;
};

// A dimension that lies along the same axis in both buffers is followed index by index; where two dimensions change places on an axis, what
// comes from each position is taken to be spread over the destination as the destination's parts are. What lies on its core
// already does not move, where the tensor is the same and its dimensions lie along the same axes. Scales of quantised tensors count as the
// destination holds them.
MoveLoad move_load(const StepSizes& sizes, const Device& device, const mesh::Move& move, const Scope& scope);

}  // namespace wafer::time
