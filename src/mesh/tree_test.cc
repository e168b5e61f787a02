#include "mesh/tree.h"

#include <gtest/gtest.h>

#include <set>

namespace wafer::mesh {
namespace {

using Members = std::multiset<int>;

// Runs a tree over sets in place of numbers, with the rule of tree.h: what the root holds at the end is who has contributed.
Members gathered(const Tree& tree) {
  std::vector<Members> value(static_cast<size_t>(tree.size));
  for (int p = 0; p < tree.size; p++) value[static_cast<size_t>(p)] = {p};
  for (const Level& level : tree.levels)
    for (const Chain& chain : level) {
      Members v = value[static_cast<size_t>(chain.front())];
      for (size_t i = 1; i < chain.size(); i++)
        v.insert(value[static_cast<size_t>(chain[i])].begin(), value[static_cast<size_t>(chain[i])].end());
      value[static_cast<size_t>(chain.back())] = v;
    }
  return value[static_cast<size_t>(tree.root)];
}

void expect_everyone_once(const Tree& tree) {
  Members all;
  for (int p = 0; p < tree.size; p++) all.insert(p);
  EXPECT_EQ(gathered(tree), all) << tree.size << " cores, " << tree.levels.size() << " levels";
}

// A value may be passed on once only: within a level a core is the start or the inside of at most one chain.
void expect_nobody_passes_twice(const Tree& tree) {
  std::set<int> passed;
  for (const Level& level : tree.levels)
    for (const Chain& chain : level)
      for (size_t i = 0; i + 1 < chain.size(); i++)
        EXPECT_TRUE(passed.insert(chain[i]).second) << "core " << chain[i] << " of " << tree.size;
  EXPECT_FALSE(passed.count(tree.root));
  EXPECT_EQ(passed.size() + 1, static_cast<size_t>(tree.size));
}

TEST(KTree, EveryoneContributesOnce) {
  for (int size = 1; size <= 70; size++)
    for (int K = 1; K <= 4; K++) {
      const Tree tree = k_tree(size, even_groups(size, K));
      expect_everyone_once(tree);
      expect_nobody_passes_twice(tree);
      EXPECT_LE(tree.levels.size(), static_cast<size_t>(K));
    }
}

TEST(KTree, AnyGroups) {
  for (int size = 1; size <= 40; size++)
    for (const std::vector<int>& groups :
         {std::vector<int>{}, {1}, {2}, {size}, {size + 1}, {1000}, {7, 3}, {3, 7}, {size, size}, {13, 5, 2}, {5, 5, 5, 5}, {1, 1}}) {
      const Tree tree = k_tree(size, groups);
      expect_everyone_once(tree);
      expect_nobody_passes_twice(tree);
      EXPECT_LE(tree.levels.size(), groups.size() + 1);
    }
}

TEST(KTree, OneLevelIsATwoSidedChainToTheMiddle) {
  const Tree tree = k_tree(5, {});
  EXPECT_EQ(tree.root, 2);
  EXPECT_EQ(tree.levels, (std::vector<Level>{{{0, 1, 2}, {4, 3, 2}}}));
  EXPECT_TRUE(k_tree(1, {}).levels.empty());
  EXPECT_EQ(k_tree(2, {}).levels, (std::vector<Level>{{{0, 1}}}));
}

// Published, K = 2 with G groups of g = P/G cores: the root of a group is core g/2 of it, the root of all (G/2)*g + g/2.
TEST(KTree, PublishedShape) {
  for (const auto& [P, G] : std::vector<std::pair<int, int>>{
           {240, 15}, {300, 15}, {360, 18}, {420, 20}, {480, 20}, {512, 32}, {540, 20}, {600, 24}, {660, 22}, {720, 24}}) {
    const Tree tree = k_tree(P, {G});
    const int g = P / G;
    EXPECT_EQ(tree.root, G / 2 * g + g / 2) << P;
    ASSERT_EQ(tree.levels.size(), 2u);
    std::set<int> roots;
    for (const Chain& chain : tree.levels[0]) {
      EXPECT_LE(chain.size(), static_cast<size_t>(g / 2 + 1));
      EXPECT_EQ(chain.back() % g, g / 2);
      roots.insert(chain.back());
    }
    EXPECT_EQ(roots.size(), static_cast<size_t>(G));
    ASSERT_EQ(tree.levels[1].size(), 2u);
    EXPECT_EQ(tree.levels[1][0].size(), static_cast<size_t>(G / 2 + 1));
    EXPECT_LT(tree.levels[1][0].front(), tree.root);  // the lower side is added first
    EXPECT_GT(tree.levels[1][1].front(), tree.root);
    expect_everyone_once(tree);
  }
}

// The longest way of additions, which is what K-trees are for: about K P^(1/K) / 2.
TEST(KTree, DepthFallsWithK) {
  const auto depth = [](const Tree& tree) {
    size_t d = 0;
    for (const Level& level : tree.levels) {
      size_t longest = 0;
      for (const Chain& chain : level) longest = std::max(longest, chain.size() - 1);
      d += longest;
    }
    return d;
  };
  EXPECT_EQ(depth(k_tree(729, even_groups(729, 1))), 364u);
  EXPECT_EQ(depth(k_tree(729, even_groups(729, 2))), 26u);  // 13 + 13
  EXPECT_EQ(depth(k_tree(729, even_groups(729, 3))), 12u);  // 4 + 4 + 4
}

TEST(EvenGroups, OfSizeToTheOneOverK) {
  EXPECT_EQ(even_groups(100, 1), std::vector<int>{});
  EXPECT_EQ(even_groups(100, 2), std::vector<int>{10});
  EXPECT_EQ(even_groups(729, 3), (std::vector<int>{81, 9}));
  for (const int g : even_groups(1, 3)) EXPECT_GE(g, 1);
}

TEST(TwoSidedChain, ToAnyRoot) {
  for (int size = 1; size <= 12; size++)
    for (int root = 0; root < size; root++) {
      const Tree tree = two_sided_chain(size, root);
      EXPECT_EQ(tree.root, root);
      expect_everyone_once(tree);
      expect_nobody_passes_twice(tree);
    }
}

TEST(RingChain, VisitsEveryCoreOnTheRingAndEndsAtItsPart) {
  for (int n = 1; n <= 30; n++)
    for (int j = 0; j < n; j++) {
      const Chain chain = ring_chain(n, j);
      EXPECT_EQ(std::set<int>(chain.begin(), chain.end()).size(), static_cast<size_t>(n));
      EXPECT_EQ(chain.back(), ring_to_position(j, n));
      for (size_t q = 1; q < chain.size(); q++) {
        EXPECT_LE(std::abs(chain[q] - chain[q - 1]), 2);
        EXPECT_EQ(position_to_ring(chain[q], n), (position_to_ring(chain[q - 1], n) + n - 1) % n);
      }
    }
}

TEST(Forest, OneTreeForEachRun) {
  const Forest f = run_forest({{0, 3}, {3, 4}, {4, 9}}, 2);
  ASSERT_EQ(f.trees.size(), 3u);
  for (size_t i = 0; i < f.trees.size(); i++) {
    EXPECT_EQ(f.trees[i].size, f.runs[i].size());
    expect_everyone_once(f.trees[i]);
  }
}

}  // namespace
}  // namespace wafer::mesh
