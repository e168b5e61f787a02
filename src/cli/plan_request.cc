#include "cli/plan_request.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/printable.h"
#include "model/gguf.h"

namespace wafer::cli {

void refuse_published(const PlanArguments& a, const std::string& why) {
  if (a.plan != "published") return;
  throw Error{{.where = "--plan",
               .found = wafer::quoted(a.plan),
               .expected = "waferllm, as published is the schedule of the paper's kernels for timing alone: " + why,
               .fix = "leave the option out, or time it with `waferllm bench decode`, `prefill` or `e2e`"}};
}

PlanRequest plan_request(const PlanArguments& a) {
  if (a.plan != "waferllm")
    throw Error{{.where = "--plan",
                 .found = wafer::quoted(a.plan),
                 .expected = "waferllm, or (bench decode, prefill and e2e alone) published",
                 .fix = "choose one of them"}};
  if (a.mesh && (a.prefill_mesh || a.decode_mesh))
    throw Error{{.where = "--mesh",
                 .found = a.prefill_mesh ? "--prefill-mesh beside it" : "--decode-mesh beside it",
                 .expected = "--mesh for both phases, or one option for each",
                 .fix = "leave one of them out"}};
  PlanRequest request{.plan = a.plan, .numerics = numerics_of("--numerics", a.numerics.value_or("mixed"))};
  if (a.mesh) request.prefill_mesh = request.decode_mesh = mesh_of("--mesh", *a.mesh);
  if (a.prefill_mesh) request.prefill_mesh = mesh_of("--prefill-mesh", *a.prefill_mesh);
  if (a.decode_mesh) request.decode_mesh = mesh_of("--decode-mesh", *a.decode_mesh);
  if (a.chunk) request.chunk = integer_of("--chunk", *a.chunk, 1, int64_t{1} << 31);
  if (a.groups) request.groups = integers_of("--groups", *a.groups, 1, int64_t{1} << 20);
  return request;
}

std::optional<Goal> goal_of(const PlanArguments& a) {
  if (!a.goal) return std::nullopt;
  if (a.mesh || a.prefill_mesh || a.decode_mesh)
    throw Error{{.where = "--goal",
                 .found = "a mesh beside it",
                 .expected = "one of them: with a mesh given there is nothing to search",
                 .fix = "leave one of them out"}};
  if (*a.goal == "latency") return Goal::latency;
  if (*a.goal == "throughput") return Goal::throughput;
  throw Error{{.where = "--goal", .found = wafer::quoted(*a.goal), .expected = "latency or throughput", .fix = "correct the option"}};
}

int64_t positions_of(std::string_view option, std::string_view text, const ModelConfig& config) {
  const int64_t n = integer_of(option, text, 1, int64_t{1} << 40);
  if (n > config.context)
    throw Error{{.where = std::string(option),
                 .found = wafer::quoted(text),
                 .expected = fmt::format("1 to {}, the context of {}", config.context, config.name),
                 .fix = fmt::format("give {} or less", config.context)}};
  return n;
}

Shape load_shape_or_model(const std::string& path) {
  if (kind_of(path) == ModelKind::shape) {
    const ModelConfig config = load_shape(path);
    return {.config = config, .types = uniform_types(config.weights)};
  }
  const Model model = load_model(path);
  return {.config = model.config, .types = types_of(model)};
}

Device device_of(const PlanArguments& a) {
  Device device = load_device(a.device);
  if (const auto hz = clock_of(a)) set_device_field(device, "clock_hz", *hz, "--clock");
  if (const auto bytes = code_bytes_of(a)) set_device_field(device, "code_and_system_bytes", static_cast<double>(*bytes), "--code-bytes");
  return device;
}

std::optional<double> clock_of(const PlanArguments& a) { return a.clock ? std::optional(real_of("--clock", *a.clock)) : std::nullopt; }

std::optional<int64_t> code_bytes_of(const PlanArguments& a) {
  return a.code_bytes ? std::optional(integer_of("--code-bytes", *a.code_bytes, 0, int64_t{1} << 40)) : std::nullopt;
}

}  // namespace wafer::cli
