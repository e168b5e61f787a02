#include "paper/gemv_report.h"

#include <algorithm>

#include "base/check.h"
#include "paper/published.h"
#include "plan/planner.h"

namespace wafer {
namespace {

constexpr int64_t kWarmUp = 10, kTimed = 100;  // the authors' launch scripts

// The same product on as few columns as are different: nothing passes between columns, and by the part rule their outputs differ by at most
// one. Repetitions of columns that never settle are timed one by one, so a whole wafer of them takes seconds.
kernels::GemvShape on_different_columns(kernels::GemvShape shape) {
  const int64_t few = shape.n / shape.mesh.w;
  const bool ragged = shape.n % shape.mesh.w != 0;
  shape.n = ragged ? 2 * few + 1 : few;
  shape.mesh.w = ragged ? 2 : 1;
  return shape;
}

}  // namespace

double repeated_cycles(const mesh::Program& program, const std::string& entry, const Device& device, bool broadcast) {
  mesh::Program repeated = program;
  for (mesh::Entry& e : repeated.entries) {
    if (e.name != entry) continue;
    CHECK(e.lists.size() == 1, "entry {} of {} regions", entry, e.lists.size());
    const mesh::Steps body = std::move(e.lists.front().steps);
    CHECK(!body.empty(), "entry {} has no steps", entry);
    const auto times = [&](int64_t n) {
      return mesh::Step{
          .name = "repetitions", .phase = body.front().phase, .what = mesh::Loop{.var = mesh::LoopVar::repeat, .fixed = n, .body = body}};
    };
    // The time stamp costs nothing: all repetitions share one.
    e.lists.front().steps = {times(kWarmUp), {.name = "stamp", .phase = body.front().phase, .what = mesh::Opaque{}}, times(kTimed)};
  }
  uint64_t start = 0;
  const auto watch = [&](const time::StepClocks& s) {
    if (s.name != "stamp") return;
    const auto [earliest, latest] = std::minmax_element(s.start.begin(), s.start.end());
    start = broadcast ? *earliest : *latest;
  };
  const int64_t end = time::time_entry(repeated, device, entry, {}, {.turns = 0, .watch = watch}).cycles;
  return static_cast<double>(end - static_cast<int64_t>(start)) / kTimed;
}

KernelReport gemv_report(const kernels::GemvShape& shape, const Device& device) {
  const mesh::Extent most = limits_of(device).mesh;
  KernelReport r = kernel_report("gemv", kernels::gemv_program(shape, most), "gemv", {}, device);
  r.repeated_cycles = repeated_cycles(kernels::gemv_program(on_different_columns(shape), most), "gemv", device, shape.broadcast);
  return r;
}

KernelReport published_gemv_report(const PublishedGemvShape& shape, const Device& device) {
  const mesh::Extent most = limits_of(device).mesh;
  KernelReport r = kernel_report("gemv", published_gemv(shape, most), "gemv", {}, device);
  PublishedGemvShape one_column = shape;  // padded: all columns are alike
  one_column.n = padded(shape.n, shape.mesh.w) / shape.mesh.w;
  one_column.mesh.w = 1;
  r.repeated_cycles = repeated_cycles(published_gemv(one_column, most), "gemv", device, shape.broadcast);
  return r;
}

std::vector<GemvOnSide> published_gemv_on_sides(int64_t k, int64_t n, bool broadcast, const Device& device) {
  const mesh::Extent most = limits_of(device).mesh;
  std::vector<GemvOnSide> out;
  for (int side : kPublishedSides) {
    if (side > most.w || side > most.h) continue;
    KernelReport r = published_gemv_report({.k = k, .n = n, .mesh = {side, side}, .broadcast = broadcast}, device);
    if (r.fits) out.push_back({.side = side, .report = std::move(r)});
  }
  return out;
}

const GemvOnSide& best_side(const std::vector<GemvOnSide>& sides) {
  CHECK(!sides.empty(), "no side of {}", kPublishedSides.size());
  return *std::min_element(sides.begin(), sides.end(),
                           [](const GemvOnSide& a, const GemvOnSide& b) { return a.report.repeated_cycles < b.report.repeated_cycles; });
}

}  // namespace wafer
