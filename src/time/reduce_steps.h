// The clocks of lines of cores through the chains of a reduction tree: all lines at once. Internal to time/. Formulas: docs/cost-model.md.
#pragma once
#include <cstdint>
#include <vector>

#include "mesh/tree.h"

namespace wafer::time {

struct ReduceSteps {
  int w = 1;                                  // lines
  uint32_t* t = nullptr;                      // [positions of the tree][w]
  std::vector<uint32_t> words;                // [w] wavelets of the payload; 0: that line has nothing to do
  uint32_t first_issue = 0, later_issue = 0;  // cycles before a core's first operation, and before each one after it
  uint32_t ramp = 0, hop = 0;
  uint32_t forward = 0;  // cycles that a vector takes longer through a core that passes it on
};

// Of one line.
struct ReduceCounts {
  int64_t cores = 0;       // that take part
  int64_t operations = 0;  // stream operations of all of them
  int64_t transfers = 0;   // vectors that leave a ramp
  int64_t hops = 0;        // links that they cross
};

// Advances the clocks by all levels, and by a broadcast in that many operations of the root (0: none).
ReduceCounts reduce_steps(const ReduceSteps& s, const mesh::Tree& tree, int broadcast_operations);
ReduceCounts reduce_steps_scalar(const ReduceSteps& s, const mesh::Tree& tree, int broadcast_operations);  // without vectors

}  // namespace wafer::time
