#include "paper/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "lower/published.h"
#include "paper/baselines.h"
#include "paper/paper_models.h"
#include "paper/published_time.h"
#include "plan/capacity.h"
#include "plan/planner.h"
#include "report/text.h"

namespace wafer {
namespace {

constexpr std::array kPrefillSides = {480, 600, 720};
constexpr std::array kDecodeSides = {420, 540, 660};
constexpr std::array kGpus = {1, 8, 16};

// Appends rows of one table, with the paper's number where there is one.
struct Writer {
  const Device& device;
  std::vector<PaperRow>& rows;
  PublishedLayers layers{.device = device};

  std::string chip() const {
    if (device.name == "wse2") return "WSE-2";
    return device.name == "wse3" ? "WSE-3" : device.name;
  }
  double seconds(double cycles) const { return cycles / device.clock_hz; }

  PaperRow& add(PaperRow row) {
    if (row.device.empty()) row.device = chip();
    // The paper's chip stands for itself only: other devices are predictions without a number to hold against.
    const bool of_this_chip = chip() == "WSE-2" || row.device.starts_with("A100x");
    for (const PublishedRow& p : published_rows()) {
      if (p.table != row.table || p.model != row.model || p.method != row.method || p.config != row.config || p.metric != row.metric)
        continue;
      if (p.device != row.device || !of_this_chip) continue;
      row.paper = p.value;
      row.use = p.use;
    }
    rows.push_back(std::move(row));
    return rows.back();
  }
};

std::string square(int side) { return fmt::format("{}x{}", side, side); }
std::string gpus_name(int n) { return fmt::format("A100x{}", n); }

bool fits_device(const Device& d, int side) { return side <= d.mesh_width && side <= d.mesh_height; }

// ---- tables 3, 4, 7, 8: prefill and decode -----------------------------------------------------------------------------------------

void prefill_rows(Writer& w, const ModelConfig& m) {
  for (int side : kPrefillSides) {
    if (!fits_device(w.device, side)) continue;
    auto row = [&](const char* method, double layer) {
      w.add({.table = "3",
             .model = m.name,
             .method = method,
             .config = square(side),
             .metric = "prefill tok/s at 4096",
             .ours = kPaperTokens / (static_cast<double>(m.layers) * w.seconds(layer)),
             .cycles = std::llround(layer)});
    };
    row("WaferLLM", static_cast<double>(w.layers.prefill(m, side, kPaperTokens).cycles));
    for (BaselineSystem s : {BaselineSystem::t10, BaselineSystem::ladder})
      row(name(s), cycles(s, baseline_prefill_layer(m, side, kPaperTokens, w.layers)));
  }
}

void decode_rows(Writer& w, const ModelConfig& m) {
  for (int side : kDecodeSides) {
    if (!fits_device(w.device, side)) continue;
    auto row = [&](const char* method, double layer) {
      w.add({.table = "4",
             .model = m.name,
             .method = method,
             .config = square(side),
             .metric = "decode tok/s",
             .ours = 1 / (static_cast<double>(m.layers) * w.seconds(layer)),
             .cycles = std::llround(layer)});
    };
    row("WaferLLM", static_cast<double>(w.layers.decode(m, side, kPaperTokens).cycles));
    for (BaselineSystem s : {BaselineSystem::t10, BaselineSystem::ladder})
      row(name(s), cycles(s, baseline_decode_layer(s, m, side, kPaperTokens, w.layers)));
  }
}

// Joules of so many GPUs over joules of the wafer for the same work.
double energy_ratio(const Device& d, int gpus, double gpu_seconds, double wafer_seconds) {
  return gpus * gpu_watts() * gpu_seconds / (d.power_watts * wafer_seconds);
}

// The measured seconds of a GPU row of a table where the paper's row may be used, else none.
std::optional<double> measured(const char* table, const std::string& model, int gpus, const char* config) {
  for (const PublishedRow& p : published_rows())
    if (p.table == table && p.model == model && p.device == gpus_name(gpus) && p.config == config) return p.value;
  return std::nullopt;
}

// The best of the published sides for a model: tables 7 and 8 and the energy ratios take WaferLLM at its best.
struct BestSide {
  int side = 0;
  int64_t layer = 0;
};
template <class Sides, class Layer>
BestSide best_side(const Device& d, const Sides& sides, Layer layer) {
  BestSide best;
  for (int side : sides) {
    if (!fits_device(d, side)) continue;
    const int64_t cycles = layer(side);
    if (best.side == 0 || cycles < best.layer) best = {.side = side, .layer = cycles};
  }
  return best;
}

void gpu_prefill_rows(Writer& w, const ModelConfig& m) {
  const BestSide best = best_side(w.device, kPrefillSides, [&](int side) { return w.layers.prefill(m, side, kPaperTokens).cycles; });
  if (best.side == 0) return;
  const double wafer = static_cast<double>(m.layers) * w.seconds(static_cast<double>(best.layer));
  w.add({.table = "7",
         .model = m.name,
         .method = "WaferLLM",
         .config = square(best.side),
         .metric = "prefill tok/s at 4096",
         .ours = kPaperTokens / wafer,
         .cycles = best.layer});
  for (int gpus : kGpus) {
    const double gpu = gpu_prefill_seconds(m, kPaperTokens, {.gpus = gpus});
    w.add({.table = "7",
           .model = m.name,
           .method = "SGLang",
           .device = gpus_name(gpus),
           .config = "",
           .metric = "prefill tok/s at 4096",
           .ours = kPaperTokens / gpu,
           .note = "roofline"});
    w.add({.table = "7",
           .model = m.name,
           .method = "energy prefill",
           .device = gpus_name(gpus) + "/" + w.chip(),
           .config = "",
           .metric = "ratio",
           .ours = energy_ratio(w.device, gpus, gpu, wafer),
           .note = "the GPU's time is the roofline's"});
  }
}

void gpu_decode_rows(Writer& w, const ModelConfig& m) {
  const BestSide best = best_side(w.device, kDecodeSides, [&](int side) { return w.layers.decode(m, side, kPaperTokens).cycles; });
  if (best.side == 0) return;
  const double wafer = static_cast<double>(m.layers) * w.seconds(static_cast<double>(best.layer));
  w.add({.table = "8",
         .model = m.name,
         .method = "WaferLLM",
         .config = square(best.side),
         .metric = "decode tok/s",
         .ours = 1 / wafer,
         .cycles = best.layer});
  for (int gpus : kGpus) {
    const double gpu = gpu_decode_seconds(m, kPaperTokens, {.gpus = gpus});
    w.add({.table = "8",
           .model = m.name,
           .method = "SGLang",
           .device = gpus_name(gpus),
           .config = "",
           .metric = "decode tok/s",
           .ours = 1 / gpu,
           .note = "roofline"});
    // A long generation is nearly all decode: its rate is the one that the paper's ratio is made of.
    const std::optional<double> rate = measured("2", m.name, gpus, "in4096/out4096");
    w.add({.table = "8",
           .model = m.name,
           .method = "energy decode",
           .device = gpus_name(gpus) + "/" + w.chip(),
           .config = "",
           .metric = "ratio",
           .ours = energy_ratio(w.device, gpus, rate ? 1 / *rate : gpu, wafer),
           .note = rate ? "the GPU's time is measured: table 2, in4096/out4096" : "the GPU's time is the roofline's"});
  }
}

// ---- table 2: requests -------------------------------------------------------------------------------------------------------------

void request_rows(Writer& w, const ModelConfig& m) {
  for (const std::string& config : paper_requests()) {
    const PublishedRequest r = paper_request(m.name, config);
    if (!fits_device(w.device, std::max(r.prefill_side, r.decode_side))) continue;
    const PublishedRequestTime t = published_request(m, r, w.layers);
    auto row = [&](const char* method, double all_cycles) {
      w.add({.table = "2",
             .model = m.name,
             .method = method,
             .config = config,
             .metric = "TPR tok/s e2e",
             .ours = static_cast<double>(r.output) / w.seconds(all_cycles),
             .cycles = std::llround(all_cycles),
             .note = fmt::format("prefill on {}, decode on {}{}", square(r.prefill_side), square(r.decode_side),
                                 m.name == "LLaMA3-8B" ? "" : " (assumed)")});
    };
    row("WaferLLM", static_cast<double>(t.prefill + t.transition + t.decode));
    for (BaselineSystem s : {BaselineSystem::t10, BaselineSystem::ladder}) {
      const double prefill = cycles(s, baseline_prefill_layer(m, r.prefill_side, r.input, w.layers)),
                   decode = cycles(s, baseline_decode_layer(s, m, r.decode_side, r.input + r.output / 2, w.layers));
      row(name(s), static_cast<double>(m.layers) * (prefill + static_cast<double>(r.output) * decode));
    }
    for (int gpus : kGpus) {
      const double seconds = gpu_prefill_seconds(m, r.input, {.gpus = gpus}) +
                             static_cast<double>(r.output) * gpu_decode_seconds(m, r.input + r.output / 2, {.gpus = gpus});
      w.add({.table = "2",
             .model = m.name,
             .method = "SGLang",
             .device = gpus_name(gpus),
             .config = config,
             .metric = "TPR",
             .ours = static_cast<double>(r.output) / seconds,
             .note = "roofline"});
    }
  }
}

// ---- table 5: KV capacity ------------------------------------------------------------------------------------------------------------

void capacity_rows(Writer& w, const ModelConfig& m) {
  const int side = paper_request(m.name, paper_requests().front()).decode_side;
  if (!fits_device(w.device, side)) return;
  const KvCapacity c =
      kv_capacity(m, uniform_types(TensorType::f16), w.device, {.numerics = Numerics::fp16, .context = kPaperTokens}, {side, side});
  auto row = [&](const char* method, int64_t positions, std::string config, std::string note) {
    w.add({.table = "5",
           .model = m.name,
           .method = method,
           .config = std::move(config),
           .metric = "max decode output tokens",
           .ours = static_cast<double>(positions),
           .note = std::move(note)});
  };
  row("concat (PagedAttention)", c.paper_concat, "decode config of 7.1", "the paper's arithmetic on the whole wafer");
  row("shift (WaferLLM)", c.paper_shift, "decode config of 7.1", "the paper's arithmetic on the whole wafer");
  const std::string regions = c.shift == 0 ? "does not fit, even without a cache"
                                           : fmt::format("{} of {} to {} layers, byte by byte", counted(c.regions, "region"),
                                                         m.layers / c.regions, c.layers_per_region);
  row("concat, our placement", c.concat, square(side), regions);
  row("shift, our placement", c.shift, square(side), regions);
}

// ---- the whole ---------------------------------------------------------------------------------------------------------------------

struct Table {
  const char* name;
  const char* title;
  void (*rows)(Writer&, const ModelConfig&);
};
constexpr std::array kTables = {
    Table{"2", "Table 2: requests, generated tokens over the whole time", request_rows},
    Table{"3", "Table 3: prefill", prefill_rows},
    Table{"4", "Table 4: decode", decode_rows},
    Table{"5", "Table 5: tokens that the KV cache holds", capacity_rows},
    Table{"7", "Table 7: prefill beside GPUs", gpu_prefill_rows},
    Table{"8", "Table 8: decode beside GPUs", gpu_decode_rows},
};

}  // namespace

std::optional<double> error_of(const PaperRow& r) { return r.paper ? std::optional(r.ours / *r.paper - 1) : std::nullopt; }

std::string paper_table_title(const std::string& name) {
  for (const Table& t : kTables)
    if (name == t.name) return t.title;
  CHECK(false, "no table {}", name);
}

std::vector<std::string> paper_table_names() {
  std::vector<std::string> names;
  for (const Table& t : kTables) names.emplace_back(t.name);
  return names;
}

PaperTables paper_tables(const Device& device, const std::vector<std::string>& only, const PaperProgress& progress) {
  PaperTables out{.device = device, .rows = {}};
  Writer w{.device = out.device, .rows = out.rows};
  for (size_t k = 0; k < kTables.size(); k++) {
    const Table& t = kTables[k];
    if (!only.empty() && std::find(only.begin(), only.end(), t.name) == only.end()) continue;
    for (const ModelConfig& m : paper_models()) {
      progress(t.title, static_cast<double>(k) / static_cast<double>(kTables.size()));
      t.rows(w, m);
    }
  }
  return out;
}

}  // namespace wafer
