#include "mesh/coord.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace wafer::mesh {
namespace {

TEST(Ring, NeighboursAreAtMostTwoApart) {
  for (int n = 1; n <= 200; n++)
    for (int c = 0; c < n; c++) {
      const int here = ring_to_position(c, n), next = ring_to_position((c + 1) % n, n);
      EXPECT_LE(std::abs(here - next), 2) << "ring position " << c << " of " << n;
    }
}

TEST(Ring, TheMapsAreInverse) {
  for (int n = 1; n <= 200; n++)
    for (int c = 0; c < n; c++) {
      const int p = ring_to_position(c, n);
      ASSERT_TRUE(0 <= p && p < n);
      EXPECT_EQ(position_to_ring(p, n), c);
      EXPECT_EQ(ring_to_position(position_to_ring(c, n), n), c);
    }
}

// The example of algorithm 1: five cores; position 2 has the neighbours 0 and 4.
TEST(Ring, OfFive) {
  const int order[] = {0, 2, 4, 3, 1};
  for (int c = 0; c < 5; c++) EXPECT_EQ(ring_to_position(c, 5), order[c]);
}

}  // namespace
}  // namespace wafer::mesh
