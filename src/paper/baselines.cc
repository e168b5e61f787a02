#include "paper/baselines.h"

#include <algorithm>
#include <array>
#include <vector>

#include "paper/published.h"
#include "time/cost.h"

namespace wafer {

const char* name(BaselineSystem system) { return system == BaselineSystem::t10 ? "T10" : "Ladder"; }

namespace {

double words(const Device& device, int64_t elements) { return static_cast<double>(time::wavelets(device, mesh::Dtype::f16, elements)); }

// A layer without its communication: the cycles of the steps that send nothing.
double local_cycles(const time::TimeReport& layer) {
  double sum = 0;
  for (const time::StepTime& s : layer.steps) sum += s.wavelets == 0 ? static_cast<double>(s.cycles) : 0;
  return sum;
}

}  // namespace

BaselineTime baseline_prefill_layer(const ModelConfig& model, int side, int64_t tokens, PublishedLayers& layers) {
  const Device& device = layers.device;
  const auto [d, s, f] = published_tiles(model, side, tokens);
  // Tiles that a product needs anew in each step: {left, right}. The left one of q k^T stays where it is.
  const std::vector<std::array<int64_t, 2>> products = {{s * d, d * d}, {s * d, d * d}, {s * d, d * d}, {0, s * d},    {s * s, s * d},
                                                        {s * d, d * d}, {s * d, d * f}, {s * d, d * f}, {s * f, f * d}};
  double tile_words = 0;
  for (const auto& [a, b] : products) tile_words += words(device, a) + words(device, b);
  const double relays = static_cast<double>(side) * side;  // steps, and cores that a tile passes in each
  return {.base = static_cast<double>(layers.prefill(model, side, tokens).cycles) + relays * kRelayWordCycles * tile_words,
          .relays = relays * 2 * static_cast<double>(products.size())};
}

BaselineTime baseline_decode_layer(BaselineSystem system, const ModelConfig& model, int side, int64_t context, PublishedLayers& layers) {
  const Device& device = layers.device;
  const auto [d, s, f] = published_tiles(model, side, context);
  const time::TimeReport& layer = layers.decode(model, side, context);
  if (system == BaselineSystem::ladder) {
    const std::vector<int64_t> fetched = {d * d, d * d, d * d, d * s, s * d, d * d, d * f, d * f, f * d};
    double tile_words = 0;
    for (int64_t n : fetched) tile_words += words(device, n);
    return {.base = static_cast<double>(layer.cycles) + side * kRelayWordCycles * tile_words,
            .relays = static_cast<double>(side) * static_cast<double>(fetched.size())};
  }
  BaselineTime t{.base = local_cycles(layer)};
  for (int64_t n : {int64_t{1}, 3 * d, s, int64_t{2}, int64_t{1}, d, d, int64_t{1}, 2 * f, d}) {
    t.base += 2 * words(device, n) + static_cast<double>(side * device.hop_cycles);  // into the last core, and back
    t.stages += side - 1;
  }
  return t;
}

double cycles(BaselineSystem system, const BaselineTime& t, const BaselineConstants& c) {
  return t.base + t.relays * (system == BaselineSystem::t10 ? c.t10_relay_cycles : c.ladder_fetch_cycles) + t.stages * c.t10_stage_cycles;
}

// ---- A100 ------------------------------------------------------------------------------------------------------------------------

namespace {

// NVIDIA A100 80 GB SXM data sheet (2021).
constexpr double kFlops = 312e12;  // fp16 tensor cores, dense
constexpr double kBytesPerSecond = 2.039e12;
constexpr double kMemoryBytes = 80e9;
constexpr double kWatts = 400;
constexpr double kNvlinkBytesPerSecond = 300e9;     // each way
constexpr double kInfinibandBytesPerSecond = 25e9;  // one HDR port (200 Gb/s) a GPU, each way: NVIDIA ConnectX-6 data sheet
// Of one allreduce, whatever its size. Assumed: launch and synchronisation of a collective; the data sheets say nothing of it.
constexpr double kNvlinkSeconds = 10e-6, kInfinibandSeconds = 30e-6;
constexpr int kGpusPerNode = 8;

double link_bytes_per_second(const GpuCluster& c) { return c.gpus > kGpusPerNode ? kInfinibandBytesPerSecond : kNvlinkBytesPerSecond; }

// A ring allreduce of so many bytes: each GPU sends and receives 2 (n - 1) / n of them.
double allreduce_seconds(double bytes, const GpuCluster& c) {
  if (c.gpus == 1) return 0;
  return (c.gpus > kGpusPerNode ? kInfinibandSeconds : kNvlinkSeconds) + 2.0 * (c.gpus - 1) / c.gpus * bytes / link_bytes_per_second(c);
}

double layer_parameters(const ModelConfig& m) {
  refuse_experts(m);
  return static_cast<double>(2 * m.dim * q_width(m) + 2 * m.dim * kv_width(m) + 3 * m.dim * m.ffn);
}

double roof(double flops, double bytes, const GpuCluster& c) { return std::max(flops / kFlops, bytes / kBytesPerSecond) / c.gpus; }

}  // namespace

double gpu_watts() { return kWatts; }

bool gpu_holds(const ModelConfig& m, const GpuCluster& c) {
  const double weights = static_cast<double>(m.layers) * layer_parameters(m) + 2.0 * static_cast<double>(m.vocab * m.dim);
  return 2 * weights <= c.gpus * kMemoryBytes;
}

double gpu_prefill_seconds(const ModelConfig& m, int64_t tokens, const GpuCluster& c) {
  const double t = static_cast<double>(tokens), weights = layer_parameters(m);
  const double attention = 2 * t * t * static_cast<double>(q_width(m));  // scores and values, half of them masked, 2 operations each
  const double layer = roof(2 * t * weights + attention, 2 * weights, c) + 2 * allreduce_seconds(2 * t * static_cast<double>(m.dim), c);
  const double head = static_cast<double>(m.vocab * m.dim);
  return static_cast<double>(m.layers) * layer + roof(2 * head, 2 * head, c);
}

double gpu_decode_seconds(const ModelConfig& m, int64_t context, const GpuCluster& c) {
  const double weights = layer_parameters(m), cache = 2.0 * static_cast<double>(context * kv_width(m));
  const double layer = roof(2 * weights, 2 * (weights + cache), c) + 2 * allreduce_seconds(2 * static_cast<double>(m.dim), c);
  const double head = static_cast<double>(m.vocab * m.dim);
  return static_cast<double>(m.layers) * layer + roof(2 * head, 2 * head, c);
}

double gpu_gemv_seconds(int64_t n, const GpuCluster& c) {
  const double elements = static_cast<double>(n) * static_cast<double>(n);
  return roof(2 * elements, 2 * elements, c) + allreduce_seconds(2 * static_cast<double>(n), c);
}

}  // namespace wafer
