// waferllm plan: where everything lies, what it costs, and why it does or does not fit. Needs no weights.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "lower/lower.h"
#include "mesh/locality.h"
#include "report/json_line.h"
#include "report/plan_report.h"
#include "report/search_report.h"

namespace wafer::cli {
namespace {

constexpr int64_t kDefaultContext = 4096;  // documented in --help

constexpr const char* kNoTime =
    "times of mixtures of experts are not modelled yet, nor their routes and code: the bytes are of all experts and the router";

// The plan's object with one more key.
std::string with_search(const std::string& json, const SearchResult& search) {
  nlohmann::ordered_json object = nlohmann::ordered_json::parse(json);
  object["search"] = search_json(search);
  return json_line(object);
}

}  // namespace

void plan_command(const PlanCommandArguments& a) {
  refuse_published(a.plan, "it checks no memory and says nothing of where bytes lie");
  PlanRequest request = plan_request(a.plan);
  const Device device = device_of(a.plan);
  const Shape shape = load_shape_or_model(a.plan.model);
  request.context = a.context ? positions_of("--context", *a.context, shape.config) : std::min(shape.config.context, kDefaultContext);

  const std::optional<Goal> goal = goal_of(a.plan);
  std::optional<Working> working(std::in_place, goal ? "searching a plan" : "laying out the model");
  const std::optional<SearchResult> search =
      goal ? std::optional(search_plan(shape.config, shape.types, device, request, *goal)) : std::nullopt;
  const PlanResult result = search ? search->plan : make_plan(shape.config, shape.types, device, request);
  if (a.roles && has_experts(shape.config))
    throw Error{{.where = "--roles",
                 .found = fmt::format("a mixture of {} experts", shape.config.experts),
                 .expected = "a model whose steps are modelled, which those of mixtures are not yet",
                 .fix = "leave the option out"}};
  const bool placed = !result.plan.prefill.regions.empty() && !result.plan.decode.regions.empty();
  const mesh::Extent wafer = limits_of(device).mesh;
  const bool experts = has_experts(shape.config);  // placed, not lowered
  const std::optional<Lowered> lowered =
      placed && !experts ? std::optional(lower(shape.config, shape.types, result.plan, wafer)) : std::nullopt;
  const std::optional<Placement> unlowered =
      placed && experts ? std::optional(place(shape.config, shape.types, result.plan, wafer)) : std::nullopt;
  const mesh::Program* program = lowered ? &lowered->program() : unlowered ? &unlowered->program : nullptr;
  PlanReport report{.placement = placement_report(shape.config, device, result, program)};
  if (experts) report.why_no_time = kNoTime;
  if (lowered) add_faults(report.placement, mesh::prove(lowered->program(), limits_of(device)));
  if (lowered) {
    const bool timed = !a.no_time && report.placement.faults.empty();
    if (timed) working.emplace("timing the chip");
    parallel_for(0, 2, 1, [&](int64_t begin, int64_t end) {  // side by side: neither keeps all threads busy
      for (int64_t part = begin; part < end; part++) {
        if (part == 0 && timed) report.time = plan_time(shape.config, shape.types, *lowered, device);
        if (part == 1) report.roles = roles::roles(lowered->program());
      }
    });
  }
  if (report.time) {
    const ChipTime& chip = report.time->chip;
    const Comparison by{.prompt = chip.request.prompt,
                        .steps = chip.request.decode_steps,
                        .first = first_position(chip.request),
                        .cycles = cycles_of(chip)};
    report.placement.advice = advise(shape.config, shape.types, device, request, result.plan, by, goal);
  }
  report.all_roles = a.roles;
  if (!result.fits) report.remedies = remedies(shape.config, shape.types, device, request);
  working.reset();
  if (search && a.plan.json)
    write_out(with_search(plan_json(report), *search) + "\n");
  else
    write_out(a.plan.json ? plan_json(report) + "\n" : plan_text(report) + (search ? "\n" + search_text(*search, device) : ""));
}

}  // namespace wafer::cli
