// A sum along a line of cores as a program of its own, in the ways that measurements exist for; for `bench reduce` and tests.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

// Trees of positions 0 .. size-1.
mesh::Tree chain_tree(int size);                 // one chain from the last position to 0
mesh::Tree two_phase_tree(int size, int group);  // chains inside groups of `group` towards their first core, then one chain of those to 0
mesh::Tree binary_tree(int size);                // neighbours at distance 1, 2, 4, ...; a core sends on while it takes its last vector in

struct ReduceShape {
  int size = 1;       // cores of the line
  int64_t words = 1;  // elements of every core
  mesh::Dtype dtype = mesh::Dtype::f32;
  std::string algorithm = "ktree";  // chain, two-phase, tree: as the vendor's benchmarks do them; ktree, ring: as our kernels do
  std::vector<int> groups;          // two-phase: cores of a group; ktree: groups of each level, as k_tree() takes them; empty: about even
  bool broadcast = false;           // ring: without, part j of the vector is left at ring position j
};

// Throws Error for `groups` (--groups) that a K-tree over `size` cores has not: each level joins the cores that are left into as many
// groups, so the first is at most `size` and each other less than the one before.
void check_tree_groups(const std::vector<int>& groups, int size);
// The one number of `groups`, the cores of a group of a two-phase tree. Throws Error for any other.
int cores_of_a_group(const std::vector<int>& groups, int size);

// Entry "reduce" on one row of cores, or on one column where the device is not so wide. Throws Error for an unknown algorithm and for
// groups that it cannot have.
mesh::Program reduce_program(const ReduceShape& shape, mesh::Extent device_mesh);

// What the vendor's benchmark counts beside a reduction by chain, two-phase or tree: the task that starts it and two time stamps. Its
// constant is 61 cycles where ours is the first operation less one (rows reduce_2colors_static). The tree's program takes 6 more, the issue
// of one more operation, by its longest row (reduce_2colors_low_depth, 1,024 words). 0 for ktree and ring.
int64_t harness_cycles(const std::string& algorithm);

}  // namespace wafer::kernels
