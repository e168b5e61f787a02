#include "mesh/tree.h"

#include <cmath>

#include "base/check.h"

namespace wafer::mesh {
namespace {

// The two chains of `members` towards members[root], the lower side first.
void add_chains(Level& level, const std::vector<int>& members, int root) {
  const Chain low(members.begin(), members.begin() + root + 1);
  const Chain high(members.rbegin(), members.rend() - root);
  if (low.size() > 1) level.push_back(low);
  if (high.size() > 1) level.push_back(high);
}

}  // namespace

Tree k_tree(int size, const std::vector<int>& groups) {
  CHECK(size >= 1, "a tree over {} cores", size);
  Tree tree{.size = size};
  std::vector<int> members(static_cast<size_t>(size));
  for (int i = 0; i < size; i++) members[static_cast<size_t>(i)] = i;
  auto join = [&](int pieces) {
    const int n = static_cast<int>(members.size());
    pieces = std::min(pieces, n);
    Level level;
    std::vector<int> roots;
    for (int g = 0; g < pieces; g++) {
      const Range r = part(n, g, pieces);
      const std::vector<int> group(members.begin() + r.begin, members.begin() + r.end);
      const int middle = static_cast<int>(group.size()) / 2;
      add_chains(level, group, middle);
      roots.push_back(group[static_cast<size_t>(middle)]);
    }
    if (!level.empty()) tree.levels.push_back(std::move(level));
    members = std::move(roots);
  };
  for (int g : groups) {
    CHECK(g >= 1, "{} groups", g);
    join(g);
  }
  if (members.size() > 1) join(1);
  tree.root = members.front();
  return tree;
}

std::vector<int> even_groups(int size, int K) {
  CHECK(K >= 1, "K = {}", K);
  std::vector<int> groups;
  for (int level = 1; level < K; level++) {
    // After this level size^((K-level)/K) roots remain.
    const double roots = std::pow(static_cast<double>(size), static_cast<double>(K - level) / K);
    groups.push_back(std::max(1, static_cast<int>(std::lround(roots))));
  }
  return groups;
}

Tree two_sided_chain(int size, int root) {
  Tree tree{.size = size, .root = root};
  std::vector<int> members(static_cast<size_t>(size));
  for (int i = 0; i < size; i++) members[static_cast<size_t>(i)] = i;
  Level level;
  add_chains(level, members, root);
  if (!level.empty()) tree.levels.push_back(std::move(level));
  return tree;
}

Chain ring_chain(int size, int j) {
  Chain chain;
  for (int step = 1; step <= size; step++) chain.push_back(ring_to_position((j + size - step) % size, size));
  return chain;
}

Forest line_forest(int size, const std::vector<int>& groups) { return {.runs = {{0, size}}, .trees = {k_tree(size, groups)}}; }

Forest run_forest(const std::vector<Range>& runs, int K) {
  Forest f{.runs = runs, .trees = {}};
  for (const Range& r : runs) f.trees.push_back(k_tree(static_cast<int>(r.size()), even_groups(static_cast<int>(r.size()), K)));
  return f;
}

}  // namespace wafer::mesh
