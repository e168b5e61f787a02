// waferllm bench decode, prefill, e2e, kv: what parts of an inference of a model cost on a device. Needs no weights.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/printable.h"
#include "cli/bench_model.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "paper/kv_report.h"
#include "plan/placement.h"
#include "report/bench_report.h"

namespace wafer::cli {
namespace {

using Clock = std::chrono::steady_clock;

int64_t positions_or_default(const char* option, const Given& given, const ModelConfig& config) {
  return given ? positions_of(option, *given, config) : std::min(config.context, kDefaultContext);
}

// A request may be no longer than the model's context, as in `run`.
void refuse_long(int64_t input, int64_t output, const ModelConfig& config) {
  if (input + output <= config.context) return;
  throw Error{{.where = "--input, --output",
               .found = fmt::format("a prompt of {} and {} tokens to generate, {} in all", input, output, input + output),
               .expected = fmt::format("at most {}, the context of {}", config.context, config.name),
               .fix = config.context > input ? fmt::format("give --output {} or less, or a shorter prompt", config.context - input)
                                             : fmt::format("give an --input of less than {}", config.context)}};
}

// Only one of --mesh, --decode-mesh (or --prefill-mesh) makes sense where one phase is timed: the other phase lies on the same mesh.
PlanRequest request_of_part(const BenchArguments& a, Part part) {
  check_engine(a);
  const bool decode = part == Part::decode;
  const Given& own = decode ? a.plan.decode_mesh : a.plan.prefill_mesh;
  const Given& other = decode ? a.plan.prefill_mesh : a.plan.decode_mesh;
  if (other)
    throw Error{{.where = decode ? "--prefill-mesh" : "--decode-mesh",
                 .found = wafer::quoted(*other),
                 .expected = decode ? "the mesh of decode" : "the mesh of prefill",
                 .fix = "use --mesh"}};
  if (decode && a.plan.chunk)
    throw Error{{.where = "--chunk",
                 .found = wafer::quoted(*a.plan.chunk),
                 .expected = "no --chunk, which cuts a prompt: here one token is timed",
                 .fix = "leave it out, or use `waferllm bench prefill` or `e2e`"}};
  PlanRequest request = plan_request(a.plan);
  if (own) request.prefill_mesh = request.decode_mesh = decode ? request.decode_mesh : request.prefill_mesh;
  return request;
}

// Of a model that leaves no room for one position on regions of `mesh`: the fullest core of decode with a cache of one.
std::string why_no_position(const Shape& shape, const Device& device, PlanRequest request, mesh::Extent mesh) {
  request.context = request.max_prompt = request.chunk = 1;
  request.prefill_mesh = request.decode_mesh = mesh;
  PlanResult plan = make_plan(shape.config, shape.types, device, request);
  if (plan.plan.decode.regions.empty()) return plan.reason;
  judge_bytes(plan, place(shape.config, shape.types, plan.plan, limits_of(device).mesh).program, device, "decode");
  return plan.reason;
}

void warn_unless_it_fits(const PlanResult& plan) {
  if (!plan.fits)
    write_err(fmt::format("waferllm: warning: does not fit: {}; goes on, because the mesh was given\n", escaped(plan.reason)));
}

}  // namespace

void check_engine(const BenchArguments& a) {
  if (a.engine != "time")
    throw Error{{.where = "--engine",
                 .found = wafer::quoted(a.engine),
                 .expected = "time, the only engine for whole models so far",
                 .fix = "leave the option out"}};
}

void bench_decode_command(const BenchArguments& a) {
  if (a.plan.plan == "published") return bench_published_decode_command(a);
  const Clock::time_point start = Clock::now();
  PlanRequest request = request_of_part(a, Part::decode);
  const Device device = device_of(a.plan);
  const Shape shape = load_shape_or_model(a.plan.model);
  request.context = positions_or_default("--context", a.context, shape.config);
  const BenchSetup setup = bench_setup(shape.config, shape.types, device, request, "decode", goal_of(a.plan));
  warn_unless_it_fits(setup.plan);
  BenchReport report = bench_decode(setup);
  report.placement.advice =
      advise(shape.config, shape.types, device, request, setup.plan.plan,
             {.steps = 1, .first = request.context - 1, .cycles = static_cast<double>(report.whole.cycles)}, goal_of(a.plan));
  print(a, report, start);
}

void bench_prefill_command(const BenchArguments& a) {
  if (a.plan.plan == "published") return bench_published_prefill_command(a);
  const Clock::time_point start = Clock::now();
  PlanRequest request = request_of_part(a, Part::prefill);
  const Device device = device_of(a.plan);
  const Shape shape = load_shape_or_model(a.plan.model);
  request.context = request.max_prompt = positions_or_default("--tokens", a.tokens, shape.config);
  const BenchSetup setup = bench_setup(shape.config, shape.types, device, request, "prefill", goal_of(a.plan));
  warn_unless_it_fits(setup.plan);
  BenchReport report = bench_prefill(setup, request.max_prompt);
  report.placement.advice = advise(shape.config, shape.types, device, request, setup.plan.plan,
                                   {.prompt = request.max_prompt, .cycles = static_cast<double>(report.whole.cycles)}, goal_of(a.plan));
  print(a, report, start);
}

void bench_e2e_command(const BenchArguments& a) {
  if (a.plan.plan == "published") return bench_published_e2e_command(a);
  const Clock::time_point start = Clock::now();
  check_engine(a);
  PlanRequest request = plan_request(a.plan);
  const Device device = device_of(a.plan);
  const Shape shape = load_shape_or_model(a.plan.model);
  const int64_t input = integer_of("--input", a.input.value_or(""), 1, int64_t{1} << 31);
  const int64_t output = integer_of("--output", a.output.value_or(""), 1, int64_t{1} << 31);
  refuse_long(input, output, shape.config);
  request.context = input + output;
  request.max_prompt = input;
  const BenchSetup setup = bench_setup(shape.config, shape.types, device, request, "", goal_of(a.plan));
  warn_unless_it_fits(setup.plan);
  RequestReport report = bench_request(setup, input, output);
  const Comparison by{.prompt = input, .steps = output - 1, .first = input, .cycles = static_cast<double>(cycles(report))};
  report.placement.advice = advise(shape.config, shape.types, device, request, setup.plan.plan, by, goal_of(a.plan));
  print(a, report, start);
}

void bench_kv_command(const BenchArguments& a) {
  refuse_published(a.plan, "it places no cache");
  const Clock::time_point start = Clock::now();
  PlanRequest request = request_of_part(a, Part::decode);
  const Device device = device_of(a.plan);
  const Shape shape = load_shape_or_model(a.plan.model);
  request.context = std::min(shape.config.context, kDefaultContext);
  const PlanResult plan = make_plan(shape.config, shape.types, device, request);  // checks the request
  if (plan.plan.decode.regions.empty())
    throw Error{{.where = shape.config.name + " on " + device.name,
                 .found = plan.reason,
                 .expected = "a model that fits",
                 .fix = "use a smaller model or a larger device, or give --mesh"}};
  const KvCapacity capacity = kv_capacity(shape.config, shape.types, device, request, mesh::extent(plan.plan.decode.regions.front().rect));
  KvReport report{.model = shape.config,
                  .device = device,
                  .numerics = request.numerics,
                  .capacity = capacity,
                  .paper = paper_capacity(shape.config, device, capacity.position_bytes, capacity.mesh.h)};
  if (report.capacity.shift == 0) report.why_none = why_no_position(shape, device, request, report.capacity.mesh);
  print(a, report, start);
}

}  // namespace wafer::cli
