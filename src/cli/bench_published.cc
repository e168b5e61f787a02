// waferllm bench decode, prefill, e2e --plan published: cycles of the authors' measured kernels.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "cli/bench_model.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "model/gguf.h"
#include "paper/published_report.h"
#include "report/text.h"

namespace wafer::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Option {
  const char* name;
  const Given& value;
};

// What would change nothing is refused, not ignored.
void refuse_with_published(std::initializer_list<Option> options) {
  for (const auto& [option, value] : options)
    if (value)
      throw Error{{.where = option,
                   .found = wafer::quoted(*value),
                   .expected = fmt::format("no {} with --plan published, which does not depend on it", option),
                   .fix = "leave the option out, or --plan"}};
}

void check_common(const BenchArguments& a) {
  check_engine(a);
  refuse_with_published({{"--goal", a.plan.goal}, {"--chunk", a.plan.chunk}, {"--code-bytes", a.plan.code_bytes}});
  if (a.plan.numerics && numerics_of("--numerics", *a.plan.numerics) != Numerics::fp16)
    throw Error{{.where = "--numerics",
                 .found = wafer::quoted(*a.plan.numerics),
                 .expected = "fp16, in which the published kernels compute everything",
                 .fix = "leave the option out"}};
}

// The side of a phase's mesh: `own`, or --mesh for both phases.
int side_of(const char* option, const Given& own, const Given& both) {
  const char* given = own ? option : "--mesh";
  if (own && both)
    throw Error{{.where = "--mesh",
                 .found = fmt::format("{} beside it", option),
                 .expected = "--mesh for both phases, or one option for each",
                 .fix = "leave one of them out"}};
  if (!own && !both)
    throw Error{{.where = given,
                 .found = "none",
                 .expected = "the cores of a layer, such as 660x660 for prefill or 360x360 for decode: --plan published chooses none",
                 .fix = fmt::format("give --mesh or {}", option)}};
  const mesh::Extent e = mesh_of(given, own ? *own : *both);
  if (e.w != e.h)
    throw Error{{.where = given,
                 .found = mesh_text(e),
                 .expected = "a square, as the published kernels have no other meshes",
                 .fix = fmt::format("give {0}x{0}", std::min(e.w, e.h))}};
  return e.w;
}

// The paper times its kernels at lengths that its models do not take: the report tells, and nothing is refused.
int64_t published_positions_of(const char* option, const Given& given, const ModelConfig& config) {
  return given ? integer_of(option, *given, 1, kPublishedPositions) : std::min(config.context, kDefaultContext);
}

}  // namespace

void bench_published_decode_command(const BenchArguments& a) {
  const Clock::time_point start = Clock::now();
  check_common(a);
  refuse_with_published({{"--prefill-mesh", a.plan.prefill_mesh}});
  const int side = side_of("--decode-mesh", a.plan.decode_mesh, a.plan.mesh);
  const std::vector<int> groups = a.plan.groups ? integers_of("--groups", *a.plan.groups, 1, side) : std::vector<int>{0};
  if (groups.size() != 1)
    throw Error{{.where = "--groups",
                 .found = wafer::quoted(*a.plan.groups),
                 .expected = fmt::format("one number of groups, 1 to {}, with --plan published", side),
                 .fix = "leave the option out for the published groups"}};
  const Device device = device_of(a.plan);
  const ModelConfig model = load_shape_or_model(a.plan.model).config;
  PublishedLayerReport report =
      bench_published_decode(model, device, side, groups[0], published_positions_of("--context", a.context, model));
  print(a, report, start);
}

void bench_published_prefill_command(const BenchArguments& a) {
  const Clock::time_point start = Clock::now();
  check_common(a);
  refuse_with_published({{"--decode-mesh", a.plan.decode_mesh}, {"--groups", a.plan.groups}});
  const int side = side_of("--prefill-mesh", a.plan.prefill_mesh, a.plan.mesh);
  const Device device = device_of(a.plan);
  const ModelConfig model = load_shape_or_model(a.plan.model).config;
  std::optional<Working> working(std::in_place, "timing a layer");
  PublishedLayerReport report = bench_published_prefill(model, device, side, published_positions_of("--tokens", a.tokens, model));
  working.reset();
  print(a, report, start);
}

void bench_published_e2e_command(const BenchArguments& a) {
  const Clock::time_point start = Clock::now();
  check_common(a);
  if (a.plan.groups)
    throw Error{{.where = "--groups",
                 .found = wafer::quoted(*a.plan.groups),
                 .expected = "no --groups with e2e --plan published, which takes the published ones",
                 .fix = "leave the option out"}};
  PublishedRequest request{.prefill_side = side_of("--prefill-mesh", a.plan.prefill_mesh, a.plan.mesh),
                           .decode_side = side_of("--decode-mesh", a.plan.decode_mesh, a.plan.mesh)};
  request.input = integer_of("--input", a.input.value_or(""), 1, kPublishedPositions - 1);
  request.output = integer_of("--output", a.output.value_or(""), 1, kPublishedPositions - request.input);
  const Device device = device_of(a.plan);
  const ModelConfig model = load_shape_or_model(a.plan.model).config;
  std::optional<Working> working(std::in_place, "timing the request");
  PublishedRequestReport report = bench_published_request(model, device, request);
  working.reset();
  print(a, report, start);
}

}  // namespace wafer::cli
