// The report of `waferllm plan`: where everything lies, what it costs, what bounds it, and what would make it fit.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "report/chip_time.h"
#include "report/critical_path.h"
#include "report/floor.h"
#include "report/placement.h"
#include "report/remedy.h"
#include "roles/roles.h"

namespace wafer {

struct PlanTime {
  ChipTime chip;               // a prompt of the whole context, and one token at its last position
  std::vector<PathPart> path;  // of that token
  Floor floor;                 // for that token
};

struct PlanReport {
  PlacementReport placement;
  std::optional<PlanTime> time;             // none where there is no placement, nobody asked, or why_no_time says why
  std::string why_no_time{};                // of a model that can be placed and not timed
  std::vector<Remedy> remedies{};           // where it does not fit
  std::optional<roles::RoleTable> roles{};  // none where there is no placement
  bool all_roles = false;                   // print them one by one
};

PlanTime plan_time(const ModelConfig& config, const WeightTypes& types, const Lowered& lowered, const Device& device);

std::string plan_text(const PlanReport& report);
std::string plan_json(const PlanReport& report);  // one line

}  // namespace wafer
