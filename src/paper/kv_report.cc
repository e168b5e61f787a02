#include "paper/kv_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "report/json_line.h"
#include "report/text.h"

namespace wafer {

using Json = nlohmann::ordered_json;

std::string bench_text(const KvReport& r) {
  const KvCapacity& c = r.capacity;
  const PaperCapacity& p = r.paper;
  const auto gain = [](int64_t shift, int64_t concat) {
    return concat > 0 ? significant(static_cast<double>(shift) / static_cast<double>(concat)) : "-";
  };
  std::vector<Row> head = {
      {"model",
       fmt::format("{}: {} bytes of K and V a position, numerics {}", r.model.name, grouped(c.position_bytes), name_of(r.numerics))},
      {"device", fmt::format("{}: {} bytes for data on a core", r.device.name, grouped(data_bytes_per_core(r.device)))},
      {"decode", c.regions > 0 ? fmt::format("{} of {} cores with up to {} each", counted(c.regions, "region"), mesh_text(c.mesh),
                                             counted(c.layers_per_region, "layer"))
                               : fmt::format("no position fits on regions of {}: {}", mesh_text(c.mesh), r.why_none)}};
  if (const std::string as = taken_as(r.model); !as.empty()) head.insert(head.begin() + 1, Row{"", as});
  const int64_t usable = r.device.mesh_width * r.device.mesh_height;
  const std::string arithmetic = fmt::format("{} cores{}, after a prompt of {}", grouped(p.cores),
                                             p.cores == usable ? "" : fmt::format(" of the chip ({} usable)", grouped(usable)), p.prompt);
  if (p.shift > 0) head.push_back({"wafer", "whole-wafer arithmetic: " + arithmetic});
  std::vector<Row> rows = {{"positions of KV cache", "shift", "concat", "gain"}};
  if (c.shift > 0) rows.push_back({"  this placement, byte by byte", grouped(c.shift), grouped(c.concat), gain(c.shift, c.concat)});
  if (p.shift > 0)
    rows.push_back({"  whole-wafer arithmetic", grouped(p.shift), grouped(p.concat), gain(p.shift, p.concat)});
  else
    head.push_back({"none", "whole-wafer arithmetic, " + arithmetic + ": the weights and the prompt's cache leave no room"});
  return table(head, "ll") + (rows.size() == 1 ? "" : "\n" + table(rows, "lrrr"));
}

std::string bench_json(const KvReport& r) {
  const KvCapacity& c = r.capacity;
  const PaperCapacity& p = r.paper;
  return json_line({{"bench", "kv"},
                    {"model", r.model.name},
                    {"leaves_out", left_out(r.model).empty() ? Json(nullptr) : Json(left_out(r.model))},
                    {"layers", r.model.layers},
                    {"device", r.device.name},
                    {"numerics", name_of(r.numerics)},
                    {"mesh", mesh_text(c.mesh)},
                    {"regions", c.regions},
                    {"layers_per_region", c.layers_per_region},
                    {"position_bytes", c.position_bytes},
                    {"shift", c.shift},
                    {"concat", c.concat},
                    {"memory", {{"fits", c.shift > 0}, {"reason", c.shift > 0 ? Json(nullptr) : Json(r.why_none)}}},
                    {"usable_cores", r.device.mesh_width * r.device.mesh_height},
                    {"paper", {{"cores", p.cores}, {"prompt", p.prompt}, {"shift", p.shift}, {"concat", p.concat}}},
                    {"host_seconds", r.host_seconds}});
}

}  // namespace wafer
