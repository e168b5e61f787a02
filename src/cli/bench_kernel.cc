// waferllm bench gemm, gemv, reduce: one kernel on a mesh of its own, in cycles.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "kernel_bench/gemm_program.h"
#include "kernel_bench/reduce_program.h"
#include "paper/gemv_report.h"
#include "plan/planner.h"
#include "report/kernel_report.h"
#include "report/text.h"

namespace wafer::cli {
namespace {

constexpr int64_t kMost = int64_t{1} << 24;  // of a dimension: sizes of tiles stay far from overflow

Device device_of(const KernelBenchArguments& a) {
  Device d = load_device(a.device);
  if (a.clock) set_device_field(d, "clock_hz", real_of("--clock", *a.clock), "--clock");
  return d;
}

mesh::Extent mesh_on(const Device& d, const std::string& text) {
  const mesh::Extent e = mesh_of("--mesh", text), most = limits_of(d).mesh;
  if (e.w > most.w || e.h > most.h)
    throw Error{{.where = "--mesh",
                 .found = mesh_text(e),
                 .expected = "at most " + mesh_text(most) + ", the cores of " + d.name,
                 .fix = "give a smaller mesh"}};
  return e;
}

std::vector<int> groups_of(const KernelBenchArguments& a) {
  return a.groups ? integers_of("--groups", *a.groups, 1, 1 << 20) : std::vector<int>{};
}

// The clocks of a region lie within 2^31 cycles of each other, and so must cores of which one has a row or a column of C more. (Such tiles
// are thousands of times what a core can hold.)
void check_size(const kernels::GemmShape& s) {
  auto most = [](int64_t n, int parts) { return (n + parts - 1) / parts; };
  if (s.k <= (int64_t{1} << 27) / std::max(most(s.m, s.mesh.h), most(s.n, s.mesh.w))) return;
  throw Error{{.where = "--m, --k, --n",
               .found = std::to_string(s.m) + ", " + std::to_string(s.k) + ", " + std::to_string(s.n) + " on " + mesh_text(s.mesh),
               .expected = "at most 2^27 elements of A in the rows of a core, and of B in its columns",
               .fix = "give more cores or a smaller product"}};
}

void print(const KernelReport& r, const KernelBenchArguments& a) { write_out(a.json ? kernel_json(r) + "\n" : kernel_text(r)); }

}  // namespace

void bench_gemm_command(const KernelBenchArguments& a) {
  const Device d = device_of(a);
  const kernels::GemmShape shape{.m = integer_of("--m", a.m, 1, kMost),
                                 .k = integer_of("--k", a.k, 1, kMost),
                                 .n = integer_of("--n", a.n, 1, kMost),
                                 .mesh = mesh_on(d, a.mesh),
                                 .numerics = numerics_of("--numerics", a.numerics.value_or("fp16")),
                                 .algorithm = kernels::gemm_algorithm("--algorithm", a.algorithm)};
  check_size(shape);
  print(gemm_report(shape, d), a);
}

void bench_gemv_command(const KernelBenchArguments& a) {
  const Device d = device_of(a);
  const int64_t k = integer_of("--k", a.k, 1, kMost), n = integer_of("--n", a.n, 1, kMost);
  const mesh::Extent mesh = mesh_on(d, a.mesh);
  const std::vector<int> groups = groups_of(a);
  // The vendor's demo, which the pipeline is, sums in fp32.
  const std::string numerics = a.numerics.value_or(a.allreduce == "pipeline" ? "fp32" : "fp16");
  KernelReport r;
  if (a.plan == "published") {
    if (a.allreduce != "ktree" || numerics != "fp16")
      throw Error{{.where = a.allreduce != "ktree" ? "--allreduce" : "--numerics",
                   .found = wafer::quoted(a.allreduce != "ktree" ? a.allreduce : numerics),
                   .expected = "fp16 and ktree with --plan published, as that kernel has them",
                   .fix = "leave the option out, or --plan"}};
    if (groups.size() > 1 || (!groups.empty() && groups[0] > mesh.h))
      throw Error{{.where = "--groups",
                   .found = *a.groups,
                   .expected = fmt::format("one number of groups, 1 to {}, with --plan published", mesh.h),
                   .fix = "leave the option out for the published groups"}};
    r = published_gemv_report({.k = k, .n = n, .mesh = mesh, .groups = groups.empty() ? 0 : groups[0], .broadcast = !a.no_broadcast}, d);
  } else if (a.plan == "waferllm") {
    r = gemv_report({.k = k,
                     .n = n,
                     .mesh = mesh,
                     .numerics = numerics_of("--numerics", numerics),
                     .allreduce = a.allreduce,
                     .groups = groups,
                     .broadcast = !a.no_broadcast},
                    d);
  } else {
    throw Error{{.where = "--plan", .found = wafer::quoted(a.plan), .expected = "waferllm or published", .fix = "choose one of them"}};
  }
  r.settings = {{"plan", a.plan},
                {"allreduce", a.allreduce},
                {"k", a.k},
                {"n", a.n},
                {"mesh", mesh_text(mesh)},
                {"numerics", numerics},
                {"broadcast", a.no_broadcast ? "no" : "yes"}};
  if (a.groups) r.settings.emplace_back("groups", *a.groups);
  print(r, a);
}

void bench_reduce_command(const KernelBenchArguments& a) {
  const Device d = device_of(a);
  if (a.dtype != "f32" && a.dtype != "f16")
    throw Error{{.where = "--dtype", .found = wafer::quoted(a.dtype), .expected = "f32 or f16", .fix = "choose one of them"}};
  const int most = std::max(limits_of(d).mesh.w, limits_of(d).mesh.h);
  const kernels::ReduceShape shape{.size = static_cast<int>(integer_of("--p", a.p, 1, most)),
                                   .words = integer_of("--words", a.words, 1, kMost),
                                   .dtype = a.dtype == "f16" ? mesh::Dtype::f16 : mesh::Dtype::f32,
                                   .algorithm = a.algorithm,
                                   .groups = groups_of(a),
                                   .broadcast = a.broadcast};
  KernelReport r = kernel_report("reduce", kernels::reduce_program(shape, limits_of(d).mesh), "reduce", {}, d);
  r.harness_cycles = kernels::harness_cycles(a.algorithm);
  r.settings = {{"algorithm", a.algorithm}, {"p", a.p}, {"words", a.words}, {"dtype", a.dtype}, {"broadcast", a.broadcast ? "yes" : "no"}};
  if (a.groups) r.settings.emplace_back("groups", *a.groups);
  print(r, a);
}

}  // namespace wafer::cli
