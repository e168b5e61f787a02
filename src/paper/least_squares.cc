#include "paper/least_squares.h"

#include <algorithm>
#include <cmath>

namespace wafer {

using Vector = std::vector<double>;

Vector least_squares(const std::vector<Vector>& rows, const Vector& goal) {
  const size_t n = rows.front().size();
  std::vector<Vector> m(n, Vector(n + 1, 0));
  for (size_t i = 0; i < rows.size(); i++)
    for (size_t a = 0; a < n; a++) {
      for (size_t b = 0; b < n; b++) m[a][b] += rows[i][a] * rows[i][b];
      m[a][n] += rows[i][a] * goal[i];
    }
  Vector x(n, 0);
  std::vector<char> used(n, 0);
  for (size_t step = 0; step < n; step++) {
    size_t pivot = n;
    for (size_t a = 0; a < n; a++)
      if (used[a] == 0 && (pivot == n || std::abs(m[a][a]) > std::abs(m[pivot][pivot]))) pivot = a;
    used[pivot] = 1;
    if (std::abs(m[pivot][pivot]) < 1e-12) {
      std::fill(m[pivot].begin(), m[pivot].end(), 0.0);
      continue;
    }
    for (size_t a = 0; a < n; a++) {
      if (a == pivot) continue;
      const double f = m[a][pivot] / m[pivot][pivot];
      for (size_t b = 0; b <= n; b++) m[a][b] -= f * m[pivot][b];
    }
  }
  for (size_t a = 0; a < n; a++) x[a] = m[a][a] == 0 ? 0 : m[a][n] / m[a][a];
  return x;
}

}  // namespace wafer
