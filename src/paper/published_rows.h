// Rows of the paper's tables, as it printed them.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace wafer {

inline constexpr std::string_view kPaperChip = "WSE-2";  // on which the paper measured, as a device's measured_rows has it

enum class RowUse : uint8_t {
  calibration,  // of WaferLLM, or of a baseline on the same chip: constants are fitted on it
  reference     // a measurement of another system, to show beside ours
};

struct PublishedRow {
  std::string_view table, model, method, device, config, metric;
  double value = 0;
  RowUse use = RowUse::calibration;
};

std::span<const PublishedRow> published_rows();

}  // namespace wafer
