#include "report/kernel_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "mesh/bytes.h"
#include "mesh/locality.h"
#include "plan/planner.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {
namespace {

int longest_hops(const mesh::Program& program) {
  int most = 0;
  for (const mesh::Route& r : program.routes)
    for (const mesh::Path& p : r.paths)
      if (!p.multicast) most = std::max(most, std::abs(p.to - p.from));
  return most;
}

int64_t all_cycles(const KernelReport& r) { return r.time.cycles + r.harness_cycles; }
double seconds(const KernelReport& r) { return static_cast<double>(all_cycles(r)) / r.device.clock_hz; }

void add_compliance(const KernelReport& r, std::vector<Row>& rows) {
  const mesh::Compliance& c = *r.compliance;
  auto is = [](bool broken) { return broken ? " (broken)" : ""; };
  rows.push_back({"steps", fmt::format("{} cycles if each core goes on when it can, {} if all cores start a step together",
                                       grouped(r.cycles_apart), grouped(r.cycles_together))});
  rows.push_back(
      {"breaks", c.breaks.empty() ? "no limit" : fmt::format("{}: timed as if the device allowed it", fmt::join(c.breaks, ", "))});
  rows.push_back(
      {"  P cores", fmt::format("{}, {} of them without a part of C{}", grouped(c.cores), grouped(c.idle_cores), is(c.breaks_p))});
  rows.push_back({"  L longest hop", fmt::format("{} in a step, {} where it does not grow with the side{}", grouped(c.longest_hops),
                                                 mesh::kNearHops, is(c.breaks_l))});
  rows.push_back({"  M bytes", fmt::format("{} on the fullest core, {} free beside code and system{}", grouped(c.bytes),
                                           grouped(c.bytes_limit), is(c.breaks_m))});
  rows.push_back(
      {"  R paths", fmt::format("{} colours of the busiest core, {} free{}", grouped(c.colours), c.colours_limit, is(c.breaks_r))});
}

nlohmann::ordered_json compliance_json(const mesh::Compliance& c) {
  return {{"breaks", c.breaks},
          {"cores", c.cores},
          {"idle_cores", c.idle_cores},
          {"longest_hops", c.longest_hops},
          {"near_hops", mesh::kNearHops},
          {"bytes_per_core", c.bytes},
          {"bytes_limit", c.bytes_limit},
          {"paths_per_core", c.colours},
          {"paths_limit", c.colours_limit}};
}

// "512" is the number that it says.
nlohmann::ordered_json setting_json(const std::string& value) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc() && end == value.data() + value.size()) return number;
  return value;
}

}  // namespace

CoreShares core_shares(const time::TimeReport& time) {
  double compute = 0, communicate = 0, wait = 0;
  for (const time::StepTime& s : time.steps) {
    compute += s.compute;
    communicate += s.communicate;
    wait += s.wait;
  }
  const double all = std::max(1.0, compute + communicate + wait);
  return {.compute = compute / all, .communicate = communicate / all, .wait = wait / all};
}

CoreShares core_shares(const KernelReport& r) { return core_shares(r.time); }

KernelReport kernel_report(const std::string& kernel, const mesh::Program& program, const std::string& entry, const mesh::Params& params,
                           const Device& device) {
  KernelReport r{.kernel = kernel, .device = device};
  const mesh::PhaseBytes fullest = mesh::fullest(mesh::phase_bytes(program, device.code_and_system_bytes));
  r.bytes_max = fullest.fullest.total() - device.code_and_system_bytes;
  r.fits = fullest.fullest.total() <= device.sram_bytes_per_core;
  for (const mesh::Diagnostic& d : mesh::prove(program, limits_of(device)))
    if (d.rule != mesh::Rule::bytes) r.faults.push_back(d.where + ": " + d.text);
  r.colours = mesh::colours_max(program);
  r.longest_step_hops = longest_hops(program);
  r.time = time::time_entry(program, device, entry, params);
  for (const time::StepTime& s : r.time.steps) r.operations += s.multiply_adds;
  return r;
}

KernelReport gemm_report(const kernels::GemmShape& shape, const Device& device) {
  const mesh::Limits limits = limits_of(device);
  const mesh::Program program = kernels::gemm_program(shape, limits.mesh);
  const mesh::Params params{.rows = shape.m};
  KernelReport r = kernel_report("gemm", program, "gemm", params, device);
  r.compliance = mesh::compliance(program, "gemm", params, limits);
  r.longest_step_hops = r.compliance->longest_hops;
  r.cycles_apart = time::time_entry(program, device, "gemm", params, {.step_start = time::StepStart::apart}).cycles;
  r.cycles_together = time::time_entry(program, device, "gemm", params, {.step_start = time::StepStart::together}).cycles;
  r.settings = {{"algorithm", kernels::name(shape.algorithm)},
                {"m", std::to_string(shape.m)},
                {"k", std::to_string(shape.k)},
                {"n", std::to_string(shape.n)},
                {"mesh", mesh_text(shape.mesh)},
                {"numerics", std::string(name_of(shape.numerics))}};
  return r;
}

std::string kernel_text(const KernelReport& r) {
  std::vector<Row> rows = {{"kernel", r.kernel}};
  for (const auto& [name, value] : r.settings) rows.push_back({name, value});
  rows.push_back({"device", r.device.name});
  rows.push_back(
      {"cycles",
       grouped(all_cycles(r)) +
           (r.harness_cycles == 0 ? "" : fmt::format(", {} of them the benchmark's start task and time stamps", r.harness_cycles))});
  if (r.repeated_cycles > 0) rows.push_back({"repeated", fmt::format("{:.1f} cycles each, 100 back to back", r.repeated_cycles)});
  rows.push_back({"time", fmt::format("{} us at {:.2f} GHz", significant(seconds(r) * 1e6), r.device.clock_hz / 1e9)});
  const CoreShares shares = core_shares(r);
  rows.push_back({"cores", fmt::format("compute {:.0f} %, communicate {:.0f} %, wait {:.0f} %", 100 * shares.compute,
                                       100 * shares.communicate, 100 * shares.wait)});
  if (r.compliance) {
    add_compliance(r, rows);
  } else {
    rows.push_back({"routes", fmt::format("{} colours, longest path {}", r.colours, counted(r.longest_step_hops, "hop"))});
    rows.push_back(
        {"bytes", fmt::format("{} on the fullest core, code and system apart{}", grouped(r.bytes_max), r.fits ? "" : ": does not fit")});
  }
  for (const std::string& f : r.faults) rows.push_back({r.compliance ? "verify()" : "breaks", f});
  std::vector<Row> steps = {{"step", "times", "cycles"}};
  if (r.harness_cycles > 0) steps.push_back({"harness", "1", grouped(r.harness_cycles)});
  for (const time::StepTime& s : r.time.steps) steps.push_back({s.name, grouped(s.count), grouped(s.cycles)});
  return table(rows, "ll") + "\n" + table(steps, "lrr", "");
}

std::string kernel_json(const KernelReport& r) {
  nlohmann::ordered_json json = {{"kernel", r.kernel}};
  for (const auto& [name, value] : r.settings) json[name] = setting_json(value);
  json["device"] = r.device.name;
  json["cycles"] = all_cycles(r);
  if (r.repeated_cycles > 0) json["repeated_cycles"] = r.repeated_cycles;
  json["seconds"] = seconds(r);
  json["steps"] = nlohmann::ordered_json::array();
  if (r.harness_cycles > 0) json["steps"].push_back({{"name", "harness"}, {"cycles", r.harness_cycles}, {"count", 1}});
  for (const time::StepTime& s : r.time.steps)
    json["steps"].push_back({{"name", s.name},
                             {"cycles", s.cycles},
                             {"count", s.count},
                             {"wavelets", s.wavelets},
                             {"hops", s.wavelet_hops},
                             {"compute_core_cycles", s.compute},
                             {"communicate_core_cycles", s.communicate},
                             {"wait_core_cycles", s.wait}});
  const CoreShares shares = core_shares(r);
  json["shares"] = {{"compute", shares.compute}, {"communicate", shares.communicate}, {"wait", shares.wait}};
  if (r.compliance) {
    json["cycles_apart"] = r.cycles_apart;
    json["cycles_together"] = r.cycles_together;
    json["compliance"] = compliance_json(*r.compliance);
  }
  json["colours_max"] = r.colours;
  json["longest_hops"] = r.longest_step_hops;
  json["memory"] = {{"fits", r.fits}, {"data_bytes_per_core_max", r.bytes_max}};
  json["faults"] = r.faults;
  return json_line(json);
}

}  // namespace wafer
