#include "report/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/chip_print.h"
#include "report/json_line.h"
#include "report/roles_report.h"
#include "report/text.h"
#include "report/wafer_map.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMapColumns = 38;  // two maps and a gap fit a line
constexpr size_t kLimitsShown = 3;

bool same_regions(const PhasePlan& a, const PhasePlan& b) {
  return std::equal(a.regions.begin(), a.regions.end(), b.regions.begin(), b.regions.end(),
                    [](const PlacedRegion& p, const PlacedRegion& q) { return p.rect == q.rect; });
}

bool is_empty(const std::string& map_line) { return map_line.find_first_not_of('.') == std::string::npos; }

std::string maps_text(const PlacementReport& r) {
  const mesh::Extent device{static_cast<int>(r.device.mesh_width), static_cast<int>(r.device.mesh_height)};
  const auto map = [&](const PhasePlan& p) { return wafer_map(device, p, kMapColumns); };
  std::vector<Row> rows;
  const bool once = same_regions(r.plan.prefill, r.plan.decode);
  rows.push_back(once ? Row{"prefill and decode"} : Row{"prefill", "decode"});
  const std::vector<std::string> prefill = map(r.plan.prefill), decode = map(r.plan.decode);
  size_t used = prefill.size();
  while (used > 1 && is_empty(prefill[used - 1]) && is_empty(decode[used - 1])) used--;
  if (used + 2 >= prefill.size()) used = prefill.size();
  for (size_t i = 0; i < used; i++) rows.push_back(once ? Row{prefill[i]} : Row{prefill[i], decode[i]});
  if (used < prefill.size()) rows.push_back({fmt::format("and {} empty lines more", prefill.size() - used)});
  const mesh::Extent cell = map_cell(device, kMapColumns);
  return fmt::format("map of the wafer: a character is {} cores\n", mesh_text(cell)) + table(rows, "ll", "  ");
}

std::string path_text(const PlacementReport& r, const PlanTime& t) {
  const double all = t.chip.decode.cycles;
  std::vector<Row> rows = {{"critical path of a token", "map", "cores", "cycles", "share", "most of it"}};
  for (const PathPart& p : t.path) {
    std::vector<time::StepTime> steps = p.steps;
    std::stable_sort(steps.begin(), steps.end(), [](const time::StepTime& a, const time::StepTime& b) { return a.cycles > b.cycles; });
    std::string most;
    for (size_t i = 0; i < std::min(kLimitsShown, steps.size()) && steps[i].cycles > 0; i++)
      most += fmt::format("{}{} {}", i == 0 ? "" : ", ", steps[i].name, grouped(steps[i].cycles));
    const size_t region = static_cast<size_t>(p.region);
    rows.push_back({"  " + p.what, std::string(1, map_letter(region)), mesh_text(mesh::extent(r.plan.decode.regions[region].rect)),
                    grouped(p.cycles), percent(static_cast<double>(p.cycles) / all), most});
  }
  rows.push_back({"  host link, if used", "", "", grouped(std::llround(t.chip.host_round_trip_seconds * t.chip.clock_hz)), "", ""});
  return table(rows, "llrrrl");
}

std::string floor_text(const PlanTime& t) {
  const double cycles = t.chip.decode.cycles, floor = t.floor.cycles();
  const auto row = [&](const char* name, double n, const char* what) {
    return Row{name, grouped(std::llround(n)), fmt::format("{} x", significant(cycles / n)), what};
  };
  std::vector<Row> rows = {{"floor of a token", "cycles", "the plan", ""}};
  rows.push_back(row("  reductions", t.floor.reductions, "five a layer, to the middle of the region and back, hops and ramps alone"));
  rows.push_back(row("  multiply-adds", t.floor.multiply_adds, "dealt evenly, as fast as SIMD and SRAM do them"));
  rows.push_back(row("  SRAM", t.floor.sram, "weights and cache read once"));
  rows.push_back(row("  largest", floor, "no schedule on these regions takes less"));
  return table(rows, "lrrl");
}

std::vector<StepCycles> limits(const PartTime& part) {
  std::vector<StepCycles> steps = part.steps;
  std::stable_sort(steps.begin(), steps.end(), [](const StepCycles& a, const StepCycles& b) { return a.cycles > b.cycles; });
  steps.resize(std::min(steps.size(), kLimitsShown));
  return steps;
}

std::string limits_text(const PlanTime& t) {
  std::vector<Row> rows;
  for (const auto& [title, part] : {std::pair("prefill", &t.chip.prefill), std::pair("decode", &t.chip.decode)}) {
    std::string steps, kinds;
    for (const StepCycles& s : limits(*part))
      steps += fmt::format("{}{} {}", steps.empty() ? "" : ", ", s.name, percent(s.cycles / part->cycles));
    for (const StepCycles& s : by_kind(*part))
      if (s.cycles > 0.01 * part->cycles)
        kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", s.name, percent(s.cycles / part->cycles));
    rows.push_back({fmt::format("limits {}", title), fmt::format("steps: {}; kinds: {}", steps, kinds)});
  }
  return table(rows, "ll");
}

Json path_json(const PlanTime& t) {
  Json list = Json::array();
  for (const PathPart& p : t.path) {
    Json steps = Json::array();
    for (const time::StepTime& s : p.steps) steps.push_back({{"name", s.name}, {"count", s.count}, {"cycles", s.cycles}});
    list.push_back({{"region", p.region}, {"what", p.what}, {"cycles", p.cycles}, {"steps", steps}});
  }
  return list;
}

Json limits_json(const PartTime& part) {
  Json list = Json::array();
  for (const StepCycles& s : limits(part))
    list.push_back({{"name", s.name}, {"kind", name(s.kind)}, {"cycles", std::llround(s.cycles)}, {"share", s.cycles / part.cycles}});
  return list;
}

Json floor_json(const PlanTime& t) {
  return {{"cycles", t.floor.cycles()},
          {"reductions", t.floor.reductions},
          {"multiply_adds", t.floor.multiply_adds},
          {"sram", t.floor.sram},
          {"distance", t.chip.decode.cycles / t.floor.cycles()}};
}

Json remedies_json(const std::vector<Remedy>& list) {
  Json json = Json::array();
  for (const Remedy& r : list) json.push_back({{"change", r.change}, {"value", r.value}, {"text", r.text}});
  return json;
}

}  // namespace

PlanTime plan_time(const ModelConfig& config, const WeightTypes& types, const Lowered& lowered, const Device& device) {
  const Plan& plan = lowered.placement.plan;
  const int64_t last = plan.context - 1;  // of the token
  PlanTime out{.chip = time_inference(lowered.program(), plan, device, {.prompt = plan.max_prompt, .decode_steps = 1, .first = last}),
               .path = critical_path(lowered, device, {.cached = last, .rows = 1, .chunk = plan.chunk}),
               .floor = decode_floor(config, types, plan, device, last)};
  return out;
}

std::string plan_text(const PlanReport& r) {
  const PlacementReport& p = r.placement;
  std::string text = placement_text(p);
  if (!r.why_no_time.empty()) text += "\n" + table({{"no times", r.why_no_time}}, "ll");
  if (!r.remedies.empty()) {
    std::vector<Row> rows;
    for (const Remedy& remedy : r.remedies) rows.push_back({rows.empty() ? "what would fit" : "", remedy.text});
    text += "\n" + table(rows, "ll");
  }
  if (p.parts.empty()) return text;
  if (r.roles) text += "\n" + code_text(roles::code_estimate(*r.roles, p.device.code_and_system_bytes));
  if (r.roles && r.all_roles) text += "\n" + roles_text(*r.roles);
  text += "\n" + maps_text(p) + "\n" + regions_text(p);
  if (!r.time) return text;
  const ChipTime& chip = r.time->chip;
  text += fmt::format("\na prompt of {}, and the token after {} cached positions\n", counted(chip.request.prompt, "token"),
                      grouped(first_position(chip.request)));
  text += chip_text(chip) + "\n" + steps_text(chip.prefill, "prefill, all tokens") + "\n" + steps_text(chip.decode, "decode, one token");
  return text + "\n" + path_text(p, *r.time) + "\n" + floor_text(*r.time) + "\n" + limits_text(*r.time);
}

std::string plan_json(const PlanReport& report) {
  const PlacementReport& r = report.placement;
  const ModelConfig& c = r.model;
  Json prefill = prefill_json(r), transition = transition_json(r), decode = decode_json(r);
  Json chip = nullptr, energy_joules = nullptr, energy = nullptr;
  if (report.time) {
    const PlanTime& t = *report.time;
    add_prefill_time(prefill, t.chip);
    prefill["kinds"] = kinds_json(t.chip.prefill);
    prefill["limits"] = limits_json(t.chip.prefill);
    add_transition_time(transition, t.chip);
    add_decode_time(decode, t.chip);
    decode["kinds"] = kinds_json(t.chip.decode);
    decode["limits"] = limits_json(t.chip.decode);
    decode["path"] = path_json(t);
    decode["host_link_cycles"] = std::llround(t.chip.host_round_trip_seconds * t.chip.clock_hz);
    decode["floor"] = floor_json(t);
    chip = chip_json(t.chip);
    energy_joules = joules_by_power(t.chip);
    energy = energy_json(t.chip);
  }
  Json json = {{"fits", r.fits},
               {"reason", r.fits ? Json(nullptr) : Json(r.reason)},
               {"would_fit", remedies_json(report.remedies)},
               {"faults", r.faults},
               {"model", c.name},
               {"leaves_out", left_out(c).empty() ? Json(nullptr) : Json(left_out(c))},
               {"layers", c.layers},
               {"experts", c.experts},
               {"experts_used", c.experts_used},
               {"device", r.device.name},
               {"plan", r.plan.name},
               {"numerics", name_of(r.plan.numerics)},
               {"context", r.plan.context},
               {"chunk", r.plan.chunk},
               {"prefill", prefill},
               {"transition", transition},
               {"decode", decode},
               {"chip", chip},
               {"why_no_time", report.why_no_time.empty() ? Json(nullptr) : Json(report.why_no_time)},
               {"energy_joules", energy_joules},
               {"energy", energy},
               {"regions", regions_json(r)},
               {"roles", report.roles ? roles_json(*report.roles, roles::code_estimate(*report.roles, r.device.code_and_system_bytes),
                                                   report.all_roles)
                                      : Json(nullptr)},
               {"memory", memory_json(r)},
               {"colours_max", r.parts.empty() || !r.routed ? Json(nullptr) : Json(colours_max(r))},
               {"colours_limit", r.device.free_colours.size()},
               {"sram_limit", r.device.sram_bytes_per_core}};
  add_advice(json, r.advice);
  return json_line(json);
}

}  // namespace wafer
