#include "paper/paper_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

std::string number(double v) {
  if (v == std::round(v) || std::abs(v) >= 1000) return grouped(std::llround(v));
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
  return fmt::format("device   {}, {:.2f} GHz; cycles: of a layer, of a product, or of a whole request\n", escaped(t.device.name),
                     t.device.clock_hz / 1e9);
}

// One line for each table that has none; empty: they all have rows.
std::string without_rows(const PaperTables& t) {
  std::string out;
  for (const std::string& name : t.without_rows)
    out += fmt::format("{}: no rows: none of its meshes fits the {}x{} cores of {}\n", paper_table_title(name), t.device.mesh_width,
                       t.device.mesh_height, escaped(t.device.name));
  return out.empty() ? out : "\n" + out;
}

}  // namespace

std::string paper_text(const PaperTables& t) {
  std::string out = folded(preface(t)) + fmt::format("host     {} s to time it\n", significant(t.host_seconds));
  each_block(t, [&](const std::string& title, const std::vector<const PaperRow*>& rows) {
    std::vector<Row> lines = {kHeads};
    for (const PaperRow* r : rows) lines.push_back(cells(*r));
    out += "\n" + title + "\n" + table(lines, kAlignment, "  ", Wide::yes);
  });
  return out + folded(without_rows(t), 2);
}

constexpr const char* kReading =
    "- *calibration*: constants of the device or of a baseline are fitted on the row. *reference*: a measurement of another system. All "
    "other\n"
    "  rows are predictions; where the paper's column is empty there is no number of it that may be used.\n"
    "- *WaferLLM*: the plan `published`, that is the schedule of the authors' measured kernels ([design.md](design.md)), timed by "
    "`time()`. A\n"
    "  layer is timed and multiplied. Its weakest rows are short prompts of table 2: with two thirds of the fitted prompts' rows on a core "
    "the\n"
    "  fixed cost of a compute-shift step, fitted on longer ones, weighs more than on the machine.\n"
    "- *T10*, *Ladder*: explained models of how these systems use the mesh, two constants and one ([cost-model.md](cost-model.md)).\n"
    "- *A100*: a roofline of data-sheet numbers, which no software reaches: SGLang is measured at a sixth to four fifths of it.\n"
    "- *Table 6*: the paper's number is met without the final broadcast. The published code does broadcast; both are printed.\n"
    "- *Figure 9*: cores of Cannon and SUMMA start each step together. Let go on one by one, they pay the long way once and not in every\n"
    "  step, and the order that the paper reports is gone: the notes say by how much.\n"
    "- *Figure 10*: the pipeline sums in fp32, as the vendor's demo does; in fp16 each of its stages would pay `forward_f16_cycles` "
    "more.\n";

std::string paper_markdown(const PaperTables& t, const std::string& options, const std::vector<std::string>& pictures) {
  std::string out = fmt::format(
      "# The paper's tables\n\nMade by `waferllm bench paper{} --markdown --plots docs/paper`. Ours: device {}, {:.2f} GHz. Cycles are "
      "those of a layer, of a "
      "product,"
      "\nor of a whole request. An error is ours over the paper's, less one.\n\n{}",
      escaped(options), escaped(t.device.name), t.device.clock_hz / 1e9, kReading);
  for (const std::string& picture : pictures) {
    const std::filesystem::path path = std::filesystem::path(picture).lexically_normal();
    out +=
        fmt::format("\n![{}](<{}>)\n", escaped(path.stem().string()), escaped((path.parent_path().filename() / path.filename()).string()));
  }
  each_block(t, [&](const std::string& title, const std::vector<const PaperRow*>& rows) {
    out += "\n## " + title + "\n\n| " + fmt::format("{}", fmt::join(kHeads, " | ")) + " |\n|---|---|---|---|---:|---:|---:|---:|---|---|\n";
    for (const PaperRow* r : rows) out += escaped("| " + fmt::format("{}", fmt::join(cells(*r), " | ")) + " |") + "\n";
  });
  return out + without_rows(t);
}

std::string paper_json(const PaperTables& t) {
  Json json = {{"bench", "paper"}, {"device", t.device.name}, {"clock_hz", t.device.clock_hz}, {"rows", Json::array()}};
  json["without_rows"] = t.without_rows;
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
  return json_line(json);
}

}  // namespace wafer
