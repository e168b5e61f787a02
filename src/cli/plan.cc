// waferllm plan: where everything lies, and why it does or does not fit. Needs no weights.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "lower/lower.h"
#include "mesh/verify.h"
#include "report/placement.h"

namespace wafer::cli {
namespace {

constexpr int64_t kDefaultContext = 4096;  // documented in --help

}  // namespace

void plan_command(const PlanCommandArguments& a) {
  PlanRequest request = plan_request(a.plan);
  const Device device = device_of(a.plan);
  const Shape shape = load_shape_or_model(a.plan.model);
  request.context =
      a.context ? integer_of("--context", *a.context, 1, shape.config.context) : std::min(shape.config.context, kDefaultContext);

  const PlanResult result = make_plan(shape.config, shape.types, device, request);
  const bool placed = !result.plan.prefill.regions.empty() && !result.plan.decode.regions.empty();
  const std::optional<Lowered> lowered =
      placed ? std::optional(lower(shape.config, shape.types, result.plan, limits_of(device).mesh)) : std::nullopt;
  PlacementReport report = placement_report(shape.config, device, result, lowered ? &lowered->program() : nullptr);
  if (lowered) add_faults(report, mesh::verify(lowered->program(), limits_of(device)));
  write_out(a.plan.json ? plan_json(report) + "\n" : plan_text(report));
}

}  // namespace wafer::cli
