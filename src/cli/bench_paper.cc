// waferllm bench paper, calibrate: the paper's evaluation beside ours, and the constants fitted on it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "paper/calibrate.h"
#include "paper/gnuplot.h"
#include "paper/paper_report.h"
#include "paper/plots.h"

namespace wafer::cli {
namespace {

Device device_of(const PaperArguments& a) {
  PlanArguments plan;
  plan.device = a.device;
  plan.clock = a.clock;
  return device_of(plan);
}

// "2,figure 9" as names of tables.
std::vector<std::string> tables_of(const PaperArguments& a) {
  std::vector<std::string> names;
  if (!a.tables) return names;
  const std::vector<std::string> known = paper_table_names();
  for (size_t begin = 0; begin <= a.tables->size();) {
    const size_t end = std::min(a.tables->find(',', begin), a.tables->size());
    names.push_back(a.tables->substr(begin, end - begin));
    if (std::find(known.begin(), known.end(), names.back()) == known.end())
      throw Error{{.where = "--tables",
                   .found = wafer::quoted(names.back()),
                   .expected = fmt::format("some of {}, with commas between them", fmt::join(known, ", ")),
                   .fix = "correct the option"}};
    begin = end + 1;
  }
  return names;
}

Error nothing_to_plot(const std::string& found) {
  return Error{{.where = "--tables",
                .found = found,
                .expected = fmt::format("one of {} for --plots", fmt::join(plotted_tables(), ", ")),
                .fix = "add one, or leave --plots out"}};
}

}  // namespace

void bench_paper_command(const PaperArguments& a) {
  if (a.json && a.markdown)
    throw Error{{.where = "--markdown", .found = "--json beside it", .expected = "one of them", .fix = "leave one of them out"}};
  const Device device = device_of(a);
  const std::vector<std::string> only = tables_of(a);
  if (a.plots) {
    const std::vector<std::string> plotted = plotted_tables();
    if (!only.empty() && std::find_first_of(only.begin(), only.end(), plotted.begin(), plotted.end()) == only.end())
      throw nothing_to_plot(wafer::quoted(*a.tables));
    check_plotting(*a.plots);
  }
  const auto start = std::chrono::steady_clock::now();
  Progress progress;
  PaperTables tables = paper_tables(device, only, [&](const std::string& what, double share) { progress.show(what, share); });
  progress.clear();
  tables.host_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<std::string> pictures;
  if (a.plots) {  // before the text, whose reader may hang up
    const std::vector<Plot> plots = paper_plots(tables);
    if (plots.empty()) throw nothing_to_plot("no rows of the tables that are drawn");
    for (const std::string& path : draw_plots(plots, *a.plots)) {
      write_err(fmt::format("wrote {}\n", escaped(path)));
      pictures.push_back(path);
    }
  }
  const std::string options = a.device == kDefaultDevice ? "" : " --device " + a.device;
  write_out(a.json ? paper_json(tables) + "\n" : a.markdown ? paper_markdown(tables, options, pictures) : paper_text(tables));
}

void bench_calibrate_command(const PaperArguments& a) {
  const Device device = device_of(a);
  if (device.measured_rows != kPaperChip || device.mesh_width < kCalibrationSide || device.mesh_height < kCalibrationSide)
    throw Error{{.where = "--device",
                 .found = fmt::format("{} of {}x{} cores, measured_rows = \"{}\"", device.name, device.mesh_width, device.mesh_height,
                                      device.measured_rows),
                 .expected = fmt::format("a device of {0}x{0} cores at least with measured_rows = \"{1}\": the paper's rows are of a {1}",
                                         kCalibrationSide, kPaperChip),
                 .fix = "leave the option out"}};
  const std::vector<CalibrationGroup> groups = calibrate(device);
  write_out(a.json ? calibration_json(groups, device) + "\n" : calibration_text(groups, device));
}

}  // namespace wafer::cli
