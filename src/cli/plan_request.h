// From the options that `run` and `plan` share to what the planner takes.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "cli/commands.h"
#include "plan/planner.h"
#include "search/search.h"

namespace wafer::cli {

// Throws Error for --plan published, which some commands do not take; `why` they do not.
void refuse_published(const PlanArguments& arguments, const std::string& why);

// Plan, numerics, meshes and chunk; the context is the caller's to set.
PlanRequest plan_request(const PlanArguments& arguments);

// What --goal asks a search for; none without. Throws Error beside a mesh, with which there is nothing to search.
std::optional<Goal> goal_of(const PlanArguments& arguments);

// As many of a model's positions as an option says. Throws Error past the model's context.
int64_t positions_of(std::string_view option, std::string_view text, const ModelConfig& config);

// A model as far as plans depend on it: from a shape or from a checkpoint.
struct Shape {
  ModelConfig config;
  WeightTypes types;
};
Shape load_shape_or_model(const std::string& path);

// The device with the clock and the code bytes of the command line.
Device device_of(const PlanArguments& arguments);

std::optional<double> clock_of(const PlanArguments& arguments);
std::optional<int64_t> code_bytes_of(const PlanArguments& arguments);

}  // namespace wafer::cli
