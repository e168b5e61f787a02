#include "report/placement.h"

#include <algorithm>
#include <set>

#include "mesh/verify.h"

namespace wafer {
namespace {

constexpr std::string_view kParts[] = {"prefill", "transition", "decode"};

// Phases of the mesh program are named "part" or "part.detail".
bool belongs(std::string_view phase, std::string_view part) {
  return phase.starts_with(part) && (phase.size() == part.size() || phase[part.size()] == '.');
}

int colours_of(const mesh::Program& program, std::string_view part) {
  size_t most = 0;
  for (const mesh::PhaseId phase : program.phases.ids()) {
    if (!belongs(program.phases[phase].name, part)) continue;
    mesh::IdVector<mesh::RegionId, std::set<int>> used(program.regions.size());
    for (const mesh::Route& r : program.routes)
      if (r.phase == phase) used[r.region].insert(r.colours.begin(), r.colours.end());
    for (const std::set<int>& colours : used) most = std::max(most, colours.size());
  }
  return static_cast<int>(most);
}

PartReport part_report(const mesh::Program& program, const std::vector<mesh::PhaseBytes>& all, std::string_view part) {
  PartReport report{.name = std::string(part), .colours = colours_of(program, part)};
  std::vector<mesh::PhaseBytes> rows;
  for (const mesh::PhaseBytes& row : all)
    if (belongs(program.phases[row.phase].name, part)) rows.push_back(row);
  if (rows.empty()) return report;
  report.fullest = mesh::fullest(rows);
  report.phase = program.phases[report.fullest.phase].name;
  report.region = program.regions[report.fullest.region].name;
  return report;
}

}  // namespace

PlacementReport placement_report(const ModelConfig& model, const Device& device, const PlanResult& result, const mesh::Program* program) {
  PlacementReport report{.model = model,
                         .device = device,
                         .plan = result.plan,
                         .fits = result.fits,
                         .fits_with_measured_code = result.fits_measured_code,
                         .reason = result.reason,
                         .whole = result.whole};
  if (program == nullptr) return report;
  report.routed = !program->entries.empty();
  for (const std::string_view part : kParts) report.parts.push_back(part_report(*program, result.bytes, part));
  report.excess_bytes = std::max<int64_t>(0, fullest_part(report)->fullest.fullest.total() - device.sram_bytes_per_core);
  return report;
}

void add_faults(PlacementReport& report, const std::vector<mesh::Diagnostic>& faults) {
  for (const mesh::Diagnostic& fault : faults) {
    const std::string text = fault.where + ": " + fault.text;
    if (report.reason.empty()) report.reason = text;
    if (fault.rule != mesh::Rule::bytes) report.faults.push_back(text);
    report.fits = false;
  }
}

const PartReport* fullest_part(const PlacementReport& report) {
  const auto less = [](const PartReport& a, const PartReport& b) { return a.fullest.fullest.total() < b.fullest.fullest.total(); };
  const auto at = std::max_element(report.parts.begin(), report.parts.end(), less);
  return at == report.parts.end() ? nullptr : &*at;
}

int colours_max(const PlacementReport& report) {
  int most = 0;
  for (const PartReport& part : report.parts) most = std::max(most, part.colours);
  return most;
}

}  // namespace wafer
