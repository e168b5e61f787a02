// The order and the paths of a sum along a line of cores.
//
// A tree is a list of levels; a level is a list of chains; a chain [p0, p1, ..., pm] passes a running value from p0 to pm, each
// core adding its own: v = value[p0]; v = value[q] + v for q = p1 .. pm; value[pm] = v. Chains of a level run at the same time; where
// two end at one core they are added in the order of the list: the lower side first. The result is value[root]. Any shape is a tree:
// a chain, two phases, a K-tree, a binary tree.
#pragma once
#include <cstdint>
#include <vector>

#include "mesh/cut.h"

namespace wafer::mesh {

using Chain = std::vector<int>;
using Level = std::vector<Chain>;

struct Tree {
  int size = 1;  // positions 0 .. size-1
  int root = 0;
  std::vector<Level> levels{};
};

// K-tree (paper, section 6): groups[l] is the number of groups that level l cuts its members into (the part rule); each group's two
// halves chain towards its middle, whose cores are the members of the next level; after the last entry one more chain joins all.
// groups = {} is one two-sided chain; {20} is the paper's K = 2 with 20 groups. More groups than members: as many as members.
Tree k_tree(int size, const std::vector<int>& groups);
// The groups of about size^(1/K) neighbours on each of K levels; K >= 1.
std::vector<int> even_groups(int size, int K);
// One chain from both ends to `root`.
Tree two_sided_chain(int size, int root);

// The order in which the ring reduction of `size` cores sums part j: positions from ring position j-1 down to j. Requires: 0 <= j < size.
Chain ring_chain(int size, int j);

// One tree for each run of positions along an axis (a whole line is one run). Positions in the trees count from the run's begin.
struct Forest {
  std::vector<Range> runs;
  std::vector<Tree> trees;
};

Forest line_forest(int size, const std::vector<int>& groups);
Forest run_forest(const std::vector<Range>& runs, int K);

}  // namespace wafer::mesh
