// The clocks of lines of cores through the chains of a reduction tree: all lines at once. Internal to time/. Formulas: docs/cost-model.md.
#pragma once
#include <cstdint>
#include <vector>

#include "base/checked.h"
#include "mesh/tree.h"

namespace wafer::time {

template <class T>
struct ReduceSteps {
  int w = 1;                           // lines
  T* t = nullptr;                      // [positions of the tree][w]
  std::vector<T> words;                // [w] cycles in which all parts pass; 0: that line has nothing to do
  std::vector<T> cast_words;           // [w] of those that are broadcast
  T first_issue = 0, later_issue = 0;  // cycles before a core's first operation, and before each one after it
  T ramp = 0, hop = 0;
  T forward = 0;  // cycles that a vector takes longer through a core that passes it on
};

// Of one line: vectors of all parts on their way to the root, and of those that are broadcast on their way back.
struct VectorCounts {
  int64_t operations = 0;  // stream operations of all cores
  int64_t transfers = 0;   // vectors that leave a ramp
  int64_t hops = 0;        // links that they cross
};
struct ReduceCounts {
  int64_t cores = 0;  // that take part
  VectorCounts up, back;
};

// Advances the clocks by all levels, and by a broadcast in that many operations of the root (0: none).
template <class T>
ReduceCounts reduce_steps(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations);
template <class T>
ReduceCounts reduce_steps_scalar(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations);  // without vectors

// By how much that may raise the latest clock, and all that is computed on the way, where no line has more than `words`: an estimate where
// that stays within `enough`, else one line from equal clocks, which no line of earlier clocks overtakes.
template <class T>
Bound reduce_rise(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations, int64_t words, Bound enough);

}  // namespace wafer::time
