#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "paper/calibrate.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {
namespace {

std::string percent_of(double share) { return fmt::format("{:+.2f} %", 100 * share); }

}  // namespace

std::string calibration_text(const std::vector<CalibrationGroup>& groups, const Device& device) {
  std::string out = fmt::format("device   {}\n", escaped(device.name));
  for (const CalibrationGroup& g : groups) {
    std::vector<Row> constants = {{g.title, "in use", "fitted"}};
    for (const FittedConstant& c : g.constants) constants.push_back({"  " + c.name, significant(c.in_use), significant(c.fitted)});
    std::vector<Row> rows = {{"  row", "paper", "in use", "fitted", "left out"}};
    for (const CalibrationRow& r : g.rows)
      rows.push_back({"  " + r.name, significant(r.paper), percent_of(r.in_use), percent_of(r.fitted), percent_of(r.left_out)});
    out += "\n" + table(constants, "lrr") + "\n" + table(rows, "lrrrr");
  }
  return out + "\n" +
         folded(
             "Errors are signed: ours over the paper's, less one, with the constants in use, with the fitted ones, and with those of a fit "
             "that has not seen the row.\n");
}

std::string calibration_json(const std::vector<CalibrationGroup>& groups, const Device& device) {
  nlohmann::ordered_json json = {{"bench", "calibrate"}, {"device", device.name}, {"groups", nlohmann::ordered_json::array()}};
  for (const CalibrationGroup& g : groups) {
    nlohmann::ordered_json group = {
        {"title", g.title}, {"constants", nlohmann::ordered_json::array()}, {"rows", nlohmann::ordered_json::array()}};
    for (const FittedConstant& c : g.constants)
      group["constants"].push_back({{"name", c.name}, {"in_use", c.in_use}, {"fitted", c.fitted}});
    for (const CalibrationRow& r : g.rows)
      group["rows"].push_back(
          {{"name", r.name}, {"paper", r.paper}, {"error", r.in_use}, {"error_fitted", r.fitted}, {"error_left_out", r.left_out}});
    json["groups"].push_back(std::move(group));
  }
  return json_line(json);
}

}  // namespace wafer
