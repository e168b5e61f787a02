// waferllm plan: where everything lies, what it costs, and why it does or does not fit. Needs no weights.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "lower/lower.h"
#include "mesh/verify.h"
#include "report/plan_report.h"

namespace wafer::cli {
namespace {

constexpr int64_t kDefaultContext = 4096;  // documented in --help

struct Shape {
  ModelConfig config;
  WeightTypes types;
};

Shape load(const std::string& path) {
  if (kind_of(path) == ModelKind::shape) {
    const ModelConfig config = load_shape(path);
    return {.config = config, .types = uniform_types(config.weights)};
  }
  const Model model = load_model(path);
  return {.config = model.config, .types = types_of(model)};
}

}  // namespace

void plan_command(const PlanCommandArguments& a) {
  PlanRequest request = plan_request(a.plan);
  Device device = load_device(a.plan.device);
  if (const auto hz = clock_of(a.plan)) set_device_field(device, "clock_hz", *hz, "--clock");
  if (const auto bytes = code_bytes_of(a.plan))
    set_device_field(device, "code_and_system_bytes", static_cast<double>(*bytes), "--code-bytes");
  const Shape shape = load(a.plan.model);
  request.context =
      a.context ? integer_of("--context", *a.context, 1, shape.config.context) : std::min(shape.config.context, kDefaultContext);

  const PlanResult result = make_plan(shape.config, shape.types, device, request);
  const bool placed = !result.plan.prefill.regions.empty() && !result.plan.decode.regions.empty();
  const std::optional<Lowered> lowered =
      placed ? std::optional(lower(shape.config, shape.types, result.plan, limits_of(device).mesh)) : std::nullopt;
  PlanReport report{.placement = placement_report(shape.config, device, result, lowered ? &lowered->program() : nullptr)};
  if (lowered) add_faults(report.placement, mesh::verify(lowered->program(), limits_of(device)));
  if (lowered && !a.no_time && report.placement.faults.empty()) report.time = plan_time(shape.config, shape.types, *lowered, device);
  if (!result.fits) report.remedies = remedies(shape.config, shape.types, device, request);
  write_out(a.plan.json ? plan_json(report) + "\n" : plan_text(report));
}

}  // namespace wafer::cli
