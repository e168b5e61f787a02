#include "report/device_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/printable.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

Json summary_json(const Device& d) {
  return {{"name", d.name},
          {"description", d.description},
          {"file", d.file},
          {"mesh", mesh_text({static_cast<int>(d.mesh_width), static_cast<int>(d.mesh_height)})},
          {"sram_bytes_per_core", d.sram_bytes_per_core},
          {"data_bytes_per_core", data_bytes_per_core(d)},
          {"colours", d.free_colours.size()},
          {"clock_hz", d.clock_hz},
          {"power_watts", d.power_watts}};
}

// A list of numbers with its runs written short: "0 1 2 3 7" -> "0-3 7".
std::string short_list(const std::string& value) {
  std::istringstream in(value);
  std::vector<int64_t> numbers;
  for (int64_t n; in >> n;) numbers.push_back(n);
  if (!in.eof() || numbers.size() < 2) return value;
  std::string out;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) end++;
    if (!out.empty()) out += ' ';
    if (end - i >= 3) {
      out += fmt::format("{}-{}", numbers[i], numbers[end - 1]);
      i = end;
    } else {
      out += fmt::format("{}", numbers[i++]);
    }
  }
  return out;
}

}  // namespace

std::string devices_text(const std::vector<Device>& devices) {
  std::vector<Row> rows = {{"device", "mesh", "cores", "bytes a core", "free", "colours", "GHz", "watts", "what it is"}};
  for (const Device& d : devices)
    rows.push_back({d.name, mesh_text({static_cast<int>(d.mesh_width), static_cast<int>(d.mesh_height)}),
                    grouped(d.mesh_width * d.mesh_height), grouped(d.sram_bytes_per_core), grouped(data_bytes_per_core(d)),
                    fmt::format("{}", d.free_colours.size()), significant(d.clock_hz / 1e9), significant(d.power_watts), d.description});
  return table(rows, "lrrrrrrrl");
}

std::string devices_json(const std::vector<Device>& devices) {
  Json list = Json::array();
  for (const Device& d : devices) list.push_back(summary_json(d));
  return json_line({{"devices", list}});
}

std::string device_text(const Device& d) {
  std::vector<Row> rows = {{"number", "value", "unit", "source"}};
  for (const DeviceRow& r : device_rows(d))
    rows.push_back({r.name, short_list(r.value), r.unit, (r.used ? "" : "[not used by time()] ") + r.source});
  return folded(fmt::format("{}: {}\n{}\n\n", escaped(d.name), escaped(d.description), escaped(d.file)), 2) + table(rows, "lrll");
}

std::string device_json(const Device& d) {
  Json json = summary_json(d);
  Json rows = Json::array();
  for (const DeviceRow& r : device_rows(d))
    rows.push_back(
        {{"name", r.name}, {"value", r.value}, {"unit", r.unit}, {"source", r.source}, {"assumed", r.assumed}, {"used", r.used}});
  json["rows"] = rows;
  return json_line(json);
}

}  // namespace wafer
