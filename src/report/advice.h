// What a report says beside a plan that was not searched: that a faster one is known, and that its chunks make it slow.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/text.h"
#include "search/search.h"

namespace wafer {

struct Advice {
  std::optional<FasterPlan> faster;
  std::string not_looked_for;  // why no faster plan was looked for; empty: it was
  std::optional<SlowChunk> slow;
  double clock_hz = 1;
};

// Looks for both. The request as the planner took it; `goal`: a search was asked for, so there is nothing to look for. No faster plan is
// looked for beside a given mesh either, nor is anything where by counts nothing.
Advice advise(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, const Plan& plan,
              const Comparison& by, std::optional<Goal> goal);

std::string options_of(const FasterPlan& plan);                       // of the command line that give it: "--mesh 717x717 --chunk 2048"
std::vector<Row> advice_rows(const Advice& advice);                   // none where there is nothing to say
void add_advice(nlohmann::ordered_json& json, const Advice& advice);  // faster_plan, faster_plan_note, slow_chunk

}  // namespace wafer
