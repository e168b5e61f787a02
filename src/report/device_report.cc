#include "report/device_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/text.h"
#include "text/utf8.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

Json summary_json(const Device& d) {
  return {{"name", to_valid_utf8(d.name)},
          {"description", to_valid_utf8(d.description)},
          {"file", to_valid_utf8(d.file)},
          {"mesh", mesh_text({static_cast<int>(d.mesh_width), static_cast<int>(d.mesh_height)})},
          {"sram_bytes_per_core", d.sram_bytes_per_core},
          {"data_bytes_per_core", data_bytes_per_core(d)},
          {"colours", d.free_colours.size()},
          {"clock_hz", d.clock_hz},
          {"power_watts", d.power_watts}};
}

}  // namespace

std::string devices_text(const std::vector<Device>& devices) {
  std::vector<Row> rows = {{"device", "mesh", "cores", "bytes a core", "of them free", "colours", "clock GHz", "watts", "what it is"}};
  for (const Device& d : devices)
    rows.push_back({d.name, mesh_text({static_cast<int>(d.mesh_width), static_cast<int>(d.mesh_height)}),
                    grouped(d.mesh_width * d.mesh_height), grouped(d.sram_bytes_per_core), grouped(data_bytes_per_core(d)),
                    fmt::format("{}", d.free_colours.size()), significant(d.clock_hz / 1e9), significant(d.power_watts), d.description});
  return table(rows, "lrrrrrrrl");
}

std::string devices_json(const std::vector<Device>& devices) {
  Json list = Json::array();
  for (const Device& d : devices) list.push_back(summary_json(d));
  return Json{{"devices", list}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string device_text(const Device& d) {
  std::vector<Row> rows = {{"number", "value", "unit", "source"}};
  for (const DeviceRow& r : device_rows(d)) rows.push_back({r.name, r.value, r.unit, r.source});
  return fmt::format("{}: {}\n{}\n\n", d.name, d.description, d.file) + table(rows, "lrll");
}

std::string device_json(const Device& d) {
  Json json = summary_json(d);
  Json rows = Json::array();
  for (const DeviceRow& r : device_rows(d))
    rows.push_back({{"name", r.name}, {"value", r.value}, {"unit", r.unit}, {"source", to_valid_utf8(r.source)}, {"assumed", r.assumed}});
  json["rows"] = rows;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wafer
