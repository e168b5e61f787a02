#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>

namespace wafer {
namespace {

TEST(Rng, SeedingIsSplitmix64) {
  // First outputs of splitmix64 from 0, as published with it.
  const Rng rng(0);
  EXPECT_EQ(rng.state[0], 0xe220a8397b1dcdafu);
  EXPECT_EQ(rng.state[1], 0x6e789e6aa1b965f4u);
}

TEST(Rng, NumbersAreXoshiro256StarStar) {
  // By hand from the state (1, 2, 3, 4): rotl(2 * 5, 7) * 9 = 11520; then s1 = 2 ^ 3 ^ 1 = 0, so 0.
  Rng rng(0);
  rng.state = {1, 2, 3, 4};
  EXPECT_EQ(next_u64(rng), 11520u);
  EXPECT_EQ(next_u64(rng), 0u);
  EXPECT_EQ(next_u64(rng), 1509978240u);
}

TEST(Rng, IsUniform) {
  Rng rng(42);
  double sum = 0;
  int bins[10] = {};
  for (int i = 0; i < 100000; i++) {
    const double x = next_double(rng);
    ASSERT_TRUE(x >= 0 && x < 1);
    sum += x;
    bins[next_below(rng, 10)]++;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 5 * std::sqrt(1.0 / 12 / 100000));
  for (int n : bins) EXPECT_NEAR(n, 10000, 5 * std::sqrt(9000.0));
}

}  // namespace
}  // namespace wafer
