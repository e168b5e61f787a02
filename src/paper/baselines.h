// The systems that the paper compares WaferLLM with, as models of how they use the machine. T10 and Ladder: the published schedule's tiles
// and arithmetic on the same mesh, with their own way of getting at operands. A100: a roofline of data-sheet numbers.
//
// T10 (compute-shift for cores on a crossbar) counts bytes, not hops. In a product each of its P steps takes both tiles from a core that
// may be anywhere in the line; no route leads there, so the tiles go from core to core over the whole line, each core taking a tile in and
// sending it on in software (store and forward). A sum crosses the line in one chain, core by core, and comes back by multicast.
// Ladder (one shared memory) fetches operands when they are needed, by collective communication: a tile of a product crosses the whole line
// as T10's does, each core doing what a shared memory asks of it (look up, forward, answer). Prefill fetches both tiles of every step,
// decode the weights or the cache of every GEMV.
#pragma once
#include <cstdint>
#include <string>

#include "device/device.h"
#include "model/config.h"
#include "paper/published_time.h"

namespace wafer {

// Calibrated on LLaMA3-8B at the three sides each of tables 3 and 4 (`waferllm bench calibrate` fits them again).
struct BaselineConstants {
  double t10_relay_cycles = 43;      // a core that passes a tile on, beside its words
  double t10_stage_cycles = 18;      // a core that a sum passes, hop included
  double ladder_fetch_cycles = 400;  // a core that a tile passes on its way from shared memory, beside its words
};
// A word relayed is received and sent: 1.27 cycles a wavelet each way (fit of the WSE-3 MeshGEMM rows, wse-facts 1.3).
constexpr double kRelayWordCycles = 2 * 1.27;

enum class BaselineSystem : uint8_t { t10, ladder };
const char* name(BaselineSystem system);

// Cycles of one layer: `base` without what the system's fitted constants charge, and how often each is charged, so that fits are linear.
struct BaselineTime {
  double base = 0;
  double relays = 0;  // times t10_relay_cycles, or ladder_fetch_cycles
  double stages = 0;  // times t10_stage_cycles
};
BaselineTime baseline_prefill_layer(const ModelConfig& model, int side, int64_t tokens, PublishedLayers& layers);  // of both systems
BaselineTime baseline_decode_layer(BaselineSystem system, const ModelConfig& model, int side, int64_t context, PublishedLayers& layers);
double cycles(BaselineSystem system, const BaselineTime& time, const BaselineConstants& constants = {});

// NVIDIA A100 80 GB SXM, tensor parallel over 1, 8 (NVLink) or 16 (two nodes, InfiniBand) of them.
struct GpuCluster {
  int gpus = 1;
};
double gpu_watts();                                                   // of one
bool gpu_holds(const ModelConfig& model, const GpuCluster& cluster);  // the weights in fp16, dealt evenly, fit its memory
// Seconds of a prompt, of one token at a position, and of y = x W with an n x n matrix.
double gpu_prefill_seconds(const ModelConfig& model, int64_t tokens, const GpuCluster& cluster);
double gpu_decode_seconds(const ModelConfig& model, int64_t context, const GpuCluster& cluster);
double gpu_gemv_seconds(int64_t n, const GpuCluster& cluster);

}  // namespace wafer
