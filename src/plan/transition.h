// The transition's moments: which layer is in flight when, from prefill's buffers to decode's, and where it lies meanwhile.
#pragma once
#include <vector>

#include "plan/placement.h"

namespace wafer {

// The transition moves in place, in order a layer at a time, in turn a tensor of a layer: what is in flight lies in staging buffers where
// it arrives, and still where it was. Of a mixture it moves one expert at a time. A core then holds between what it holds at the first
// moment and at the last, and one expert more: no more than at the fuller of the two, which are counted. The head's tables follow in pieces
// no larger than that.
void place_transition(mesh::Program& p, const Placement& at, const Plan& plan);

// The sizes of a staging buffer: experts arrive one by one, so of one of them; other tensors arrive whole.
std::vector<int64_t> staged_limits(const mesh::Tensor& weights);

}  // namespace wafer
