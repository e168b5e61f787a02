// What the expansion of a product (mesh/expand.h) asks of its cores: the stream operations and tasks of each leaf, and which steps stand
// beside which. time()'s closed forms take both from here and have no counts of their own; a test walks expansions core by core with the
// same rules. Internal to time/.
//
// Every core of a step issues its operations, whatever its tiles hold; each comes with one load and one edit of a descriptor. What moves
// tiles runs in the background, and its end is a task. A row sum is done by the main thread. A turn that computes has two tasks more: all
// of it is finished, and the next one begins. Nothing is issued along an axis of one core.
#pragma once
#include <cstdint>

#include "device/device.h"
#include "mesh/program.h"
#include "time/clocks.h"

namespace wafer::time {

// Of one core, or of many.
struct StreamActions {
  int64_t operations = 0, tasks = 0;
};
StreamActions operator+(const StreamActions& a, const StreamActions& b);
StreamActions operator*(int64_t times, const StreamActions& a);

// Tiles to a neighbour on the ring and from the other one. In an alignment a core that holds several logical positions may do so in both
// senses at once.
StreamActions shift_actions(int64_t senses = 1);
// Tiles that a core sends to its line, or takes from it, each by an operation of its own.
StreamActions cast_actions(int64_t tiles = 1);
// One logical row's sum, on the core at `position` of a row of `width`: from both ends to the root, which takes each side by an operation.
StreamActions row_sum_actions(int position, int root, int width);
// At the end of a turn of the loop over a product's steps.
StreamActions turn_actions();

// Cycles of the main thread; a turn that computes also has exchange_step_cycles.
int64_t issue_cycles(const Device& d, const StreamActions& a);
int64_t task_cycles(const Device& d, const StreamActions& a);
int64_t turn_cycles(const Device& d);

// Books the actions of all cores, `turns` core-turns that compute, and `k_turns` turns over k of their tile products.
void book_product_actions(const Device& d, const StreamActions& all, int64_t turns, int64_t k_turns, Tally& tally);

// Which steps an expansion has, and how they stand.
struct ProductSchedule {
  bool align_a = false, align_b = false;  // turns of an alignment come first
  bool together = false;                  // Loop::together of the loop over the product's steps
  bool overlap = false;                   // the tile product stands in an overlap group with transfers; else before them
};
ProductSchedule schedule_of(const mesh::Steps& expansion);

}  // namespace wafer::time
