// The paper's evaluation (section 7) on a simulated device, row by row beside what the paper printed. `waferllm bench paper`.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "device/device.h"
#include "paper/published_rows.h"

namespace wafer {

struct PaperRow {
  std::string table;   // "4"; "figure 9"; "WSE-3 layer"
  std::string model;   // or the problem: "GEMV 16K"
  std::string method;  // "WaferLLM", "T10", "SGLang", ...
  std::string device;  // "WSE-2", "A100x8"
  std::string config;  // "420x420", "in2048/out128"
  std::string metric;  // the unit of the next two
  std::optional<double> paper;
  double ours = 0;
  int64_t cycles = 0;  // of what was timed on the wafer (a layer; a whole request); 0: nothing was
  std::optional<RowUse> use;
  std::string note;  // what a reader has to know: assumed meshes, what is missing
};
// ours / paper - 1; none without a paper's number.
std::optional<double> error_of(const PaperRow& row);

struct PaperTables {
  Device device;
  std::vector<PaperRow> rows;
  std::vector<std::string> without_rows;  // tables that were asked for, none of whose meshes fits the device
  double host_seconds = 0;
};

// Called before a table is begun, with its name and the share that is done.
using PaperProgress = std::function<void(const std::string& what, double share)>;

// All tables and figures, or those whose names are listed ("2", "figure 9"). Numbers of the paper stand only beside WSE-2's.
PaperTables paper_tables(const Device& device, const std::vector<std::string>& only, const PaperProgress& progress);
std::vector<std::string> paper_table_names();
std::string paper_table_title(const std::string& name);

}  // namespace wafer
