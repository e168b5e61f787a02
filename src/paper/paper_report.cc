#include "paper/paper_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

std::string number(double v) {
  if (v == 0 || std::abs(v) >= 1000) return grouped(std::llround(v));
  return std::abs(v) >= 100 ? fmt::format("{:.1f}", v) : significant(v);
}
std::string error_text(const PaperRow& r) {
  const auto e = error_of(r);
  return e ? fmt::format("{:+.1f} %", 100 * *e) : "";
}
const char* use_text(const PaperRow& r) {
  if (!r.use) return "";
  return *r.use == RowUse::calibration ? "calibration" : "reference";
}

const std::vector<std::string> kHeads = {"model", "method", "device", "config", "cycles", "ours", "paper", "error", "use", ""};
constexpr const char* kAlignment = "llllrrrrll";
Row cells(const PaperRow& r) {
  return {r.model,
          r.method,
          r.device,
          r.config,
          r.cycles > 0 ? grouped(r.cycles) : "",
          number(r.ours),
          r.paper ? number(*r.paper) : "",
          error_text(r),
          use_text(r),
          r.note};
}

// Rows of a table that have one metric, in the order in which metrics come.
template <class Print>
void each_block(const PaperTables& t, Print print) {
  for (size_t first = 0; first < t.rows.size();) {
    size_t last = first;
    while (last < t.rows.size() && t.rows[last].table == t.rows[first].table) last++;
    std::vector<std::string> metrics;
    for (size_t k = first; k < last; k++)
      if (std::find(metrics.begin(), metrics.end(), t.rows[k].metric) == metrics.end()) metrics.push_back(t.rows[k].metric);
    for (const std::string& metric : metrics) {
      std::vector<const PaperRow*> rows;
      for (size_t k = first; k < last; k++)
        if (t.rows[k].metric == metric) rows.push_back(&t.rows[k]);
      print(paper_table_title(t.rows[first].table) + (metric.empty() ? "" : ": " + metric), rows);
    }
    first = last;
  }
}

std::string preface(const PaperTables& t) {
  return fmt::format("device   {}, {:.2f} GHz; cycles: of a layer, of a product, or of a whole request\n", t.device.name,
                     t.device.clock_hz / 1e9);
}

}  // namespace

std::string paper_text(const PaperTables& t) {
  std::string out = preface(t) + fmt::format("host     {} s to time it\n", significant(t.host_seconds));
  each_block(t, [&](const std::string& title, const std::vector<const PaperRow*>& rows) {
    std::vector<Row> lines = {kHeads};
    for (const PaperRow* r : rows) lines.push_back(cells(*r));
    out += "\n" + title + "\n" + table(lines, kAlignment, "  ");
  });
  return out;
}

std::string paper_markdown(const PaperTables& t) {
  std::string out = fmt::format(
      "# The paper's tables\n\nMade by `waferllm bench paper{} --markdown`. Every row of ours: device {}, {:.2f} GHz. Cycles are of a "
      "layer, of a "
      "product, or of a\nwhole request. Where the paper's column is empty we have no number of the paper that may be used, or it has "
      "none.\n"
      "\"calibration\": constants of the device or of a baseline are fitted on these rows; all others are predictions.\n",
      t.device.name == "wse2" ? "" : " --device " + t.device.name, t.device.name, t.device.clock_hz / 1e9);
  each_block(t, [&](const std::string& title, const std::vector<const PaperRow*>& rows) {
    out += "\n## " + title + "\n\n| " + fmt::format("{}", fmt::join(kHeads, " | ")) + " |\n|---|---|---|---|---:|---:|---:|---:|---|---|\n";
    for (const PaperRow* r : rows) out += "| " + fmt::format("{}", fmt::join(cells(*r), " | ")) + " |\n";
  });
  return out;
}

std::string paper_json(const PaperTables& t) {
  Json json = {{"bench", "paper"}, {"device", t.device.name}, {"clock_hz", t.device.clock_hz}, {"rows", Json::array()}};
  for (const PaperRow& r : t.rows) {
    Json row = {{"table", r.table},   {"model", r.model},   {"method", r.method}, {"device", r.device},
                {"config", r.config}, {"metric", r.metric}, {"paper", nullptr},   {"ours", r.ours},
                {"error", nullptr},   {"cycles", nullptr},  {"use", use_text(r)}, {"note", r.note}};
    if (r.paper) row["paper"] = *r.paper;
    if (const auto e = error_of(r)) row["error"] = *e;
    if (r.cycles > 0) row["cycles"] = r.cycles;
    json["rows"].push_back(std::move(row));
  }
  json["host_seconds"] = t.host_seconds;
  return json.dump();
}

}  // namespace wafer
