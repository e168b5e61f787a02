// Fits the calibrated constants to the paper's rows again: the numbers of devices/wse2.toml that say "calibrated", and the baselines'.
//
// Every constant is the cost of a machine action, and cycles grow nearly linearly with each, so the fit is a weighted least squares on the
// relative errors of all rows at once, linearised around the best values so far, a few times; a row weighs as much as its bar is narrow.
// The constants are whole cycles in a device file, so they are rounded and the rows are timed with what comes out. Leave-one-out: the
// same fit without a row, and what it then says of that row.
#pragma once
#include <string>
#include <vector>

#include "device/device.h"
#include "paper/baselines.h"

namespace wafer {

struct FittedConstant {
  std::string name;
  double in_use = 0;  // what the device file, or the source of the baselines, says
  double fitted = 0;
};

struct CalibrationRow {
  std::string name;     // "table 4, 420x420"
  double paper = 0;     // as the paper prints it
  double in_use = 0;    // relative error in tokens/s (or of the time, table 6) with the constants in use
  double fitted = 0;    // with the fitted ones
  double left_out = 0;  // with constants fitted without this row
};

struct CalibrationGroup {
  std::string title;
  std::vector<FittedConstant> constants;
  std::vector<CalibrationRow> rows;
};

inline constexpr int kCalibrationSide = 720;  // cores on the largest mesh of a row

// Requires: a WSE-2, or a variant of it, of kCalibrationSide cores a side at least.
std::vector<CalibrationGroup> calibrate(const Device& device);

std::string calibration_text(const std::vector<CalibrationGroup>& groups, const Device& device);
std::string calibration_json(const std::vector<CalibrationGroup>& groups, const Device& device);

}  // namespace wafer
