#include "report/wafer_map.h"

#include <algorithm>
#include <string_view>

namespace wafer {

char map_letter(size_t region) {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return kLetters[region % kLetters.size()];
}

mesh::Extent map_cell(mesh::Extent device, int columns) {
  const int w = (device.w + columns - 1) / columns;
  return {w, 2 * w};
}

std::vector<std::string> wafer_map(mesh::Extent device, const PhasePlan& plan, int columns) {
  const auto [w, h] = map_cell(device, columns);
  std::vector<std::string> lines;
  for (int top = 0; top < device.h; top += h) {
    std::string line;
    for (int left = 0; left < device.w; left += w) {
      int64_t most = 0;
      char letter = '.';
      for (size_t i = 0; i < plan.regions.size(); i++) {
        const mesh::Rect r = plan.regions[i].rect;
        const int64_t wide = std::min(left + w, r.x + r.w) - std::max(left, r.x), high = std::min(top + h, r.y + r.h) - std::max(top, r.y);
        if (wide <= 0 || high <= 0 || wide * high <= most) continue;
        most = wide * high;
        letter = map_letter(i);
      }
      line += letter;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace wafer
