#include "search/candidates.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace wafer {

using mesh::Extent;

std::vector<Extent> candidate_meshes(const ModelConfig& config, Extent device, double least) {
  std::set<std::pair<int, int>> seen;
  std::vector<Extent> list;
  const auto add = [&](double w, double h) {
    const Extent e{static_cast<int>(std::lround(w)), static_cast<int>(std::lround(h))};
    if (e.w < 1 || e.h < 1 || e.w > device.w || e.h > device.h) return;
    if (seen.insert({e.w, e.h}).second) list.push_back(e);
  };
  for (const int64_t n : {config.dim, config.ffn})
    for (int64_t share = 1; share <= 64; share++) {
      const double side = std::ceil(static_cast<double>(n) / static_cast<double>(share));
      add(side, side);
    }
  const double largest = std::min(device.w, device.h), from = std::min(largest, least);
  for (int i = 0; i <= 8; i++) add(from + (largest - from) * i / 8, from + (largest - from) * i / 8);
  for (double side = 4; side <= std::max(device.w, device.h); side *= 1.1)
    for (const double shape : {0.5, 0.75, 1.0, 1.33, 2.0}) add(side * std::sqrt(shape), side / std::sqrt(shape));
  for (int columns = 1; columns <= 8; columns++)
    for (int rows = 1; rows <= 8; rows++) add(device.w / columns, device.h / rows);
  return list;
}

}  // namespace wafer
