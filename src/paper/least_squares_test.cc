#include "paper/least_squares.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace wafer {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); k++) sum += a[k] * b[k];
  return sum;
}

TEST(LeastSquares, SolvesExactSystems) {
  Rng rng(7);
  auto draw = [&] { return 2 * next_double(rng) - 1; };
  for (size_t n = 1; n <= 5; n++)
    for (size_t m = n; m <= n + 6; m++) {
      Vector x(n);
      for (double& v : x) v = draw();
      std::vector<Vector> rows(m, Vector(n));
      Vector goal;
      for (Vector& r : rows) {
        for (double& v : r) v = draw();
        goal.push_back(dot(r, x));
      }
      const Vector found = least_squares(rows, goal);
      for (const Vector& r : rows) EXPECT_NEAR(dot(r, found), dot(r, x), 1e-6) << n << " unknowns, " << m << " rows";
    }
}

TEST(LeastSquares, LeavesAResidualThatNoColumnExplains) {
  const std::vector<Vector> rows = {{1, 0}, {1, 1}, {1, 2}, {1, 3}};
  const Vector goal = {1, 3, 2, 5}, x = least_squares(rows, goal);
  for (size_t k = 0; k < 2; k++) {
    double along = 0;
    for (size_t i = 0; i < rows.size(); i++) along += rows[i][k] * (dot(rows[i], x) - goal[i]);
    EXPECT_NEAR(along, 0, 1e-9);
  }
  EXPECT_NEAR(x[1], 1.1, 1e-9);
}

TEST(LeastSquares, UnknownsThatChangeNothingAreZero) {
  const Vector x = least_squares({{2, 0, 4}, {1, 0, 2}, {3, 0, 6}}, {4, 2, 6});
  EXPECT_EQ(x[1], 0);
  EXPECT_NEAR(2 * x[0] + 4 * x[2], 4, 1e-9);
}

}  // namespace
}  // namespace wafer
