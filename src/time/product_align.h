// The alignment before a MeshGEMM or Cannon: tiles that move to their place along rows (A) or columns (B), at most half a ring in the
// shorter sense; a core with nothing to move waits for nobody. Internal to time/.
#pragma once
#include <cstdint>
#include <vector>

#include "time/product_steps.h"

namespace wafer::time {

struct Alignment {
  bool rows = true;
  // [lines] moves of the line; the first `both` of them in both senses; cycles of the largest tiles of the line. None: nothing to do.
  std::vector<int64_t> moves, both, words;
  int64_t issue = 0, finish = 0;  // of a move in one sense
  Bound rise;                     // by how much it may raise the latest clock
  Tally tally;                    // what its moves send and issue
};

Alignment alignment(const ProductSteps& p, const Device& d, bool rows);

// Clocks [h][w] in ring order. All moves of a line are taken to go one way round, with its largest tiles.
template <class T>
void align(const Alignment& a, std::vector<T>& clocks, const ProductSteps& p);

}  // namespace wafer::time
