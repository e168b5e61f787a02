// The tables and figures of single kernels, and the layer measured on a WSE-3.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>

#include "base/error.h"
#include "paper/gemv_report.h"
#include "paper/published.h"
#include "paper/table_writer.h"
#include "report/kernel_report.h"

namespace wafer {
namespace {

constexpr std::array kGemmSizes = {2048, 4096, 8192};
constexpr std::array kGemmSides = {360, 480, 600, 720};
constexpr std::array kGemvSizes = {2048, 4096, 8192, 16384};
constexpr std::array kGemvSides = {240, 360, 480, 600, 660, 720};
constexpr std::array kTable6Sizes = {16384, 32768};

std::string thousands(int64_t n) { return fmt::format("{}K", n / 1024); }

// "MeshGEMM": the names that the paper's figure has.
struct Algorithm {
  kernels::GemmAlgorithm kind;
  const char* name;
};
constexpr std::array kAlgorithms = {Algorithm{kernels::GemmAlgorithm::meshgemm, "MeshGEMM"},
                                    Algorithm{kernels::GemmAlgorithm::cannon, "Cannon"}, Algorithm{kernels::GemmAlgorithm::summa, "SUMMA"},
                                    Algorithm{kernels::GemmAlgorithm::allgather, "allgather"}};

}  // namespace

void gemv_table_rows(TableWriter& w) {
  for (int64_t n : kTable6Sizes) {
    const std::string problem = "GEMV " + thousands(n), config = fmt::format("[1x{0}]x[{0}x{0}]", thousands(n));
    double wafer = 0;  // seconds of the row that the paper's number stands beside
    for (const bool broadcast : {false, true}) {
      // Without a broadcast nothing couples repetitions, so one product alone is what counts.
      const GemvOnSide* best = nullptr;
      const std::vector<GemvOnSide> sides = published_gemv_on_sides(n, n, broadcast, w.device);
      auto cycles = [&](const GemvOnSide& s) { return broadcast ? s.report.repeated_cycles : static_cast<double>(s.report.time.cycles); };
      for (const GemvOnSide& s : sides)
        if (best == nullptr || cycles(s) < cycles(*best)) best = &s;
      if (best == nullptr) continue;
      const double seconds = w.seconds(cycles(*best));
      if (!broadcast) wafer = seconds;
      w.add({.table = "6",
             .model = problem,
             .method = broadcast ? "MeshGEMV and broadcast" : "MeshGEMV",
             .config = config,
             .metric = "ms",
             .ours = 1e3 * seconds,
             .cycles = std::llround(cycles(*best)),
             .note = fmt::format("best of the published sides: {}{}", square_text(best->side),
                                 broadcast ? "; as the published code does it" : "; the result stays at the roots")});
    }
    for (int gpus : kGpus) {
      const double roof = gpu_gemv_seconds(n, {.gpus = gpus});
      w.add({.table = "6",
             .model = problem,
             .method = "SGLang TP",
             .device = gpus_name(gpus),
             .config = config,
             .metric = "ms",
             .ours = 1e3 * roof,
             .note = "roofline"});
      const auto measured = measured_on_gpus("6", problem, gpus, config);
      if (wafer > 0)
        w.add({.table = "6",
               .model = problem,
               .method = "energy",
               .device = gpus_name(gpus) + "/" + w.chip(),
               .config = "",
               .metric = "ratio",
               .ours = energy_ratio(w.device, gpus, measured ? 1e-3 * *measured : roof, wafer),
               .note = measured ? "the GPU's time is measured" : "the GPU's time is the roofline's"});
    }
  }
}

void gemm_figure_rows(TableWriter& w) {
  for (int64_t n : kGemmSizes)
    for (int side : kGemmSides) {
      if (!w.has_square(side)) continue;
      double ours = 0;
      for (const Algorithm& a : kAlgorithms) {
        const KernelReport r = gemm_report({.m = n, .k = n, .n = n, .mesh = {side, side}, .algorithm = a.kind}, w.device);
        const double cycles = static_cast<double>(r.time.cycles);
        if (a.kind == kernels::GemmAlgorithm::meshgemm) ours = cycles;
        std::string note = fmt::format("{:.2f} of MeshGEMM", cycles / ours);
        if (r.compliance && !r.compliance->breaks.empty()) note += fmt::format("; breaks {}", fmt::join(r.compliance->breaks, ", "));
        if (r.cycles_apart != r.time.cycles)
          note += fmt::format("; {:.2f} if cores go on one by one", static_cast<double>(r.cycles_apart) / ours);
        const CoreShares shares = core_shares(r);
        auto row = [&](const char* metric, double value, int64_t all, std::string text) {
          w.add({.table = "figure 9",
                 .model = "GEMM " + thousands(n),
                 .method = a.name,
                 .config = square_text(side),
                 .metric = metric,
                 .ours = value,
                 .cycles = all,
                 .note = std::move(text)});
        };
        row("cycles", cycles, r.time.cycles, std::move(note));
        row("compute share", shares.compute, 0, "");
        row("communicate share", 1 - shares.compute, 0, "");  // words on their way are waited for
      }
    }
}

void gemv_figure_rows(TableWriter& w) {
  for (int64_t n : kGemvSizes)
    for (int side : kGemvSides) {
      if (!w.has_square(side)) continue;
      const double ours = published_gemv_report({.k = n, .n = n, .mesh = {side, side}}, w.device).repeated_cycles;
      auto row = [&](const char* method, double cycles, const char* what) {
        w.add({.table = "figure 10",
               .model = "GEMV " + thousands(n),
               .method = method,
               .config = square_text(side),
               .metric = "cycles",
               .ours = cycles,
               .cycles = std::llround(cycles),
               .note = fmt::format("{:.2f} of MeshGEMV{}", cycles / ours, what)});
      };
      row("MeshGEMV", ours, ", the published kernel");
      auto other = [&](const char* allreduce, Numerics numerics) {
        return gemv_report({.k = n, .n = n, .mesh = {side, side}, .numerics = numerics, .allreduce = allreduce, .groups = {}}, w.device)
            .repeated_cycles;
      };
      row("pipeline", other("pipeline", Numerics::fp32), ", fp32 as the vendor's demo");
      row("ring", other("ring", Numerics::fp16), "");
      row("two-phase", other("two-phase", Numerics::fp16), "");
    }
}

// ---- WSE-3 -------------------------------------------------------------------------------------------------------------------------

namespace {

// Measured on the machine: MeshInfra/WaferLLM, Decode/WSE-3/weak_scaling_figures.ipynb, cell 5: dim 2160, context 2160, ffn 7200 on 240 x
// 240 in ten groups of 24; mean cycles of a core. 22 phase timers and glue take the rest of the whole; they are the measuring build's, not
// the kernel's, and are taken as measured.
constexpr int kMeasuredSide = 240, kGroup = 24;
constexpr double kMeasuredReductions = 11982.028, kMeasuredPhases = 15188.925, kMeasuredTimers = 4357.109;

// The device itself where it is that chip, else the first by name that is.
Device device_of_rows(const Device& device, const std::string& chip) {
  if (device.measured_rows == chip) return device;
  for (const std::string& name : list_devices())
    if (Device other = load_device(name); other.measured_rows == chip) return other;
  throw Error({.where = "devices",
               .found = fmt::format("none with measured_rows = \"{}\"", chip),
               .expected = "the device file of that chip, whose measured layer is a table of its own",
               .fix = "add it, or name the other tables with --tables"});
}

}  // namespace

void wse3_layer_rows(TableWriter& w) {
  const Device wse3 = device_of_rows(w.device, "WSE-3");
  const std::string timed_on = w.device.measured_rows == "WSE-3" ? "" : "on device " + wse3.name;
  for (int side : {120, 240, 360, 480, 600, 720}) {
    // Weak scaling, as the notebook's: the same tiles on every side.
    const ModelConfig model{.layers = 1, .dim = 9 * side, .ffn = 30 * side};
    const time::TimeReport layer = published_decode_layer(model, side, 9 * side, wse3, side / kGroup);
    double reductions = 0;
    for (const time::StepTime& s : layer.steps)
      if (s.wavelets > 0 || s.name.starts_with("routes_")) reductions += static_cast<double>(s.cycles);
    auto row = [&](const char* method, double ours, double measured, std::optional<RowUse> use, const char* note) {
      PaperRow& r = w.add({.table = "WSE-3 layer",
                           .model = fmt::format("dim {}, context {}, ffn {}", model.dim, 9 * side, model.ffn),
                           .method = method,
                           .device = "WSE-3",
                           .config = square_text(side),
                           .metric = "cycles",
                           .ours = ours,
                           .cycles = std::llround(ours),
                           .note = joined(note, timed_on)});
      if (side == kMeasuredSide) {
        r.paper = measured;
        r.use = use;
      }
    };
    const double whole = static_cast<double>(layer.cycles);
    row("ten allreduces", reductions, kMeasuredReductions, RowUse::calibration,
        "with 30 rewritten routes, whose cost is fitted on the measured row");
    row("all else", whole - reductions, kMeasuredPhases - kMeasuredReductions, std::nullopt, "");
    row("whole, with timers", whole + kMeasuredTimers, kMeasuredPhases + kMeasuredTimers, std::nullopt,
        "4,357 cycles of timers and glue of the measuring build, as measured");
  }
}

}  // namespace wafer
