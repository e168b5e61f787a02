#include "paper/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "paper/capacity.h"
#include "paper/paper_models.h"
#include "paper/table_writer.h"
#include "plan/capacity.h"
#include "plan/planner.h"
#include "report/text.h"

namespace wafer {
namespace {

constexpr std::array kPrefillSides = {480, 600, 720};
constexpr std::array kDecodeSides = {420, 540, 660};

// ---- tables 3, 4, 7, 8: prefill and decode -----------------------------------------------------------------------------------------

void prefill_rows(TableWriter& w, const ModelConfig& m) {
  for (int side : kPrefillSides) {
    if (!w.has_square(side)) continue;
    auto row = [&](const char* method, double layer) {
      w.add({.table = "3",
             .model = m.name,
             .method = method,
             .config = square_text(side),
             .metric = "prefill tok/s at 4096",
             .ours = kPaperTokens / (static_cast<double>(m.layers) * w.seconds(layer)),
             .cycles = std::llround(layer)});
    };
    row("WaferLLM", static_cast<double>(w.layers.prefill(m, side, kPaperTokens).cycles));
    for (BaselineSystem s : {BaselineSystem::t10, BaselineSystem::ladder})
      row(name(s), cycles(s, baseline_prefill_layer(m, side, kPaperTokens, w.layers)));
  }
}

void decode_rows(TableWriter& w, const ModelConfig& m) {
  for (int side : kDecodeSides) {
    if (!w.has_square(side)) continue;
    auto row = [&](const char* method, double layer) {
      w.add({.table = "4",
             .model = m.name,
             .method = method,
             .config = square_text(side),
             .metric = "decode tok/s",
             .ours = 1 / (static_cast<double>(m.layers) * w.seconds(layer)),
             .cycles = std::llround(layer)});
    };
    row("WaferLLM", static_cast<double>(w.layers.decode(m, side, kPaperTokens).cycles));
    for (BaselineSystem s : {BaselineSystem::t10, BaselineSystem::ladder})
      row(name(s), cycles(s, baseline_decode_layer(s, m, side, kPaperTokens, w.layers)));
  }
}

std::string roofline(const ModelConfig& m, int gpus) {
  return gpu_holds(m, {.gpus = gpus}) ? "roofline" : "roofline, were its memory large enough for the weights";
}

// The best of the published sides for a model: tables 7 and 8 and the energy ratios take WaferLLM at its best.
struct BestSide {
  int side = 0;
  int64_t layer = 0;
};
template <class Sides, class Layer>
BestSide best_side(const TableWriter& w, const Sides& sides, Layer layer) {
  BestSide best;
  for (int side : sides) {
    if (!w.has_square(side)) continue;
    const int64_t cycles = layer(side);
    if (best.side == 0 || cycles < best.layer) best = {.side = side, .layer = cycles};
  }
  return best;
}

void gpu_prefill_rows(TableWriter& w, const ModelConfig& m) {
  const BestSide best = best_side(w, kPrefillSides, [&](int side) { return w.layers.prefill(m, side, kPaperTokens).cycles; });
  if (best.side == 0) return;
  const double wafer = static_cast<double>(m.layers) * w.seconds(static_cast<double>(best.layer));
  w.add({.table = "7",
         .model = m.name,
         .method = "WaferLLM",
         .config = square_text(best.side),
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
           .note = roofline(m, gpus)});
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

void gpu_decode_rows(TableWriter& w, const ModelConfig& m) {
  const BestSide best = best_side(w, kDecodeSides, [&](int side) { return w.layers.decode(m, side, kPaperTokens).cycles; });
  if (best.side == 0) return;
  const double wafer = static_cast<double>(m.layers) * w.seconds(static_cast<double>(best.layer));
  w.add({.table = "8",
         .model = m.name,
         .method = "WaferLLM",
         .config = square_text(best.side),
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
           .note = roofline(m, gpus)});
    // A long generation is nearly all decode: its rate is the one that the paper's ratio is made of.
    const std::optional<double> rate = measured_on_gpus("2", m.name, gpus, "in4096/out4096");
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

void request_rows(TableWriter& w, const ModelConfig& m) {
  for (const std::string& config : paper_requests()) {
    const PublishedRequest r = paper_request(m.name, config);
    if (!w.has_square(std::max(r.prefill_side, r.decode_side))) continue;
    const PublishedRequestTime t = published_request(m, r, w.layers);
    auto row = [&](const char* method, double all_cycles) {
      w.add({.table = "2",
             .model = m.name,
             .method = method,
             .config = config,
             .metric = "TPR tok/s e2e",
             .ours = static_cast<double>(r.output) / w.seconds(all_cycles),
             .cycles = std::llround(all_cycles),
             .note = fmt::format("prefill on {}, decode on {}{}", square_text(r.prefill_side), square_text(r.decode_side),
                                 m.name == "LLaMA3-8B" ? "" : " (assumed)")});
    };
    row("WaferLLM", static_cast<double>(whole(t)));
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
             .note = roofline(m, gpus)});
    }
  }
}

// ---- table 5: KV capacity ------------------------------------------------------------------------------------------------------------

void capacity_rows(TableWriter& w, const ModelConfig& m) {
  const int side = paper_request(m.name, paper_requests().front()).decode_side;
  if (!w.has_square(side)) return;
  auto row = [&](const char* method, int64_t positions, std::string config, std::string note) {
    w.add({.table = "5",
           .model = m.name,
           .method = method,
           .config = std::move(config),
           .metric = "max decode output tokens",
           .ours = static_cast<double>(positions),
           .note = std::move(note)});
  };
  auto capacity = [&](mesh::Extent mesh) {
    return kv_capacity(m, uniform_types(TensorType::f16), w.device, {.numerics = Numerics::fp16, .context = kPaperTokens}, mesh);
  };
  auto own_placement = [&](const KvCapacity& c) {
    const std::string note = c.shift == 0
                                 ? "does not fit, even without a cache"
                                 : fmt::format("byte by byte, {} of up to {} layers", counted(c.regions, "region"), c.layers_per_region);
    row("concat, our placement", c.concat, mesh_text(c.mesh), note);
    row("shift, our placement", c.shift, mesh_text(c.mesh), note);
  };
  const KvCapacity published = capacity({side, side});
  const PaperCapacity paper = paper_capacity(m, w.device, published.position_bytes, side);
  const std::string arithmetic = fmt::format("the paper's arithmetic on {} cores", grouped(paper.cores));
  row("concat (PagedAttention)", paper.concat, "decode config of 7.1", arithmetic);
  row("shift (WaferLLM)", paper.shift, "decode config of 7.1", arithmetic);
  own_placement(published);
  own_placement(capacity(limits_of(w.device).mesh));  // one region: most room
}

// ---- which tables there are -------------------------------------------------------------------------------------------------------

void each_model(TableWriter& w, void (*rows)(TableWriter&, const ModelConfig&)) {
  for (const ModelConfig& m : paper_models()) rows(w, m);
}

struct Table {
  const char* name;
  const char* title;
  void (*rows)(TableWriter&);
};
constexpr std::array kTables = {
    Table{"2", "Table 2: requests, generated tokens over the whole time", [](TableWriter& w) { each_model(w, request_rows); }},
    Table{"3", "Table 3: prefill", [](TableWriter& w) { each_model(w, prefill_rows); }},
    Table{"4", "Table 4: decode", [](TableWriter& w) { each_model(w, decode_rows); }},
    Table{"5", "Table 5: tokens that the KV cache holds", [](TableWriter& w) { each_model(w, capacity_rows); }},
    Table{"6", "Table 6: GEMV beside GPUs", gemv_table_rows},
    Table{"7", "Table 7: prefill beside GPUs", [](TableWriter& w) { each_model(w, gpu_prefill_rows); }},
    Table{"8", "Table 8: decode beside GPUs", [](TableWriter& w) { each_model(w, gpu_decode_rows); }},
    Table{"figure 9", "Figure 9: GEMM", gemm_figure_rows},
    Table{"figure 10", "Figure 10: GEMV", gemv_figure_rows},
    Table{"WSE-3 layer", "A decode layer measured on a WSE-3", wse3_layer_rows},
};

}  // namespace

// ---- writing -----------------------------------------------------------------------------------------------------------------------

std::string TableWriter::chip() const { return has_rows() ? device.measured_rows : device.name; }

PaperRow& TableWriter::add(PaperRow row) {
  const bool of_wafer = row.device.empty() || row.device.ends_with("/" + chip());
  if (row.device.empty()) row.device = chip();
  for (const ModelConfig& m : paper_models())
    if (m.name == row.model && !left_out(m).empty()) row.note = joined(row.note, taken_as(m));
  // The paper's chip stands for itself only: other devices, whatever their names, are predictions without a number to hold against.
  for (const PublishedRow& p : published_rows()) {
    if (p.table != row.table || p.model != row.model || p.method != row.method || p.config != row.config || p.metric != row.metric)
      continue;
    if (p.device != row.device || (of_wafer && !has_rows())) continue;
    row.paper = p.value;
    row.use = p.use;
  }
  rows.push_back(std::move(row));
  return rows.back();
}

std::string joined(const std::string& a, const std::string& b) { return a.empty() || b.empty() ? a + b : a + "; " + b; }
std::string square_text(int side) { return mesh_text({side, side}); }
std::string gpus_name(int n) { return fmt::format("A100x{}", n); }

std::optional<double> measured_on_gpus(const char* table, const std::string& model, int gpus, const std::string& config) {
  for (const PublishedRow& p : published_rows())
    if (p.table == table && p.model == model && p.device == gpus_name(gpus) && p.config == config) return p.value;
  return std::nullopt;
}

double energy_ratio(const Device& d, int gpus, double gpu_seconds, double wafer_seconds) {
  return gpus * gpu_watts() * gpu_seconds / (d.power_watts * wafer_seconds);
}

// ---- the whole ---------------------------------------------------------------------------------------------------------------------

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
  TableWriter w{.device = out.device, .rows = out.rows};
  for (size_t k = 0; k < kTables.size(); k++) {
    const Table& t = kTables[k];
    if (!only.empty() && std::find(only.begin(), only.end(), t.name) == only.end()) continue;
    progress(t.title, static_cast<double>(k) / static_cast<double>(kTables.size()));
    const size_t before = out.rows.size();
    t.rows(w);
    if (out.rows.size() == before) out.without_rows.push_back(t.name);
  }
  return out;
}

}  // namespace wafer
