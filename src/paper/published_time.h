// Cycles of the published schedule (paper/published.h) on square meshes, as the paper counts them: one layer timed, times the layers.
// No embedding, LM head or choice, no memory checked.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "device/device.h"
#include "model/config.h"
#include "time/time.h"

namespace wafer {

// One layer on side x side cores: a token at position context - 1, or a prompt. `groups` of the allreduces: the published ones without.
time::TimeReport published_decode_layer(const ModelConfig& model, int side, int64_t context, const Device& device,
                                        std::optional<int> groups = std::nullopt);
// ring_steps: as TimeOptions has it; 0 times all of them.
time::TimeReport published_prefill_layer(const ModelConfig& model, int side, int64_t tokens, const Device& device, int64_t ring_steps = 0);

// The same, each timed once: what several tables ask for.
struct PublishedLayers {
  const Device& device;
  std::map<std::array<int64_t, 4>, time::TimeReport> decodes{}, prefills{};  // by dim, ffn, side, context or tokens

  const time::TimeReport& decode(const ModelConfig& model, int side, int64_t context);
  const time::TimeReport& prefill(const ModelConfig& model, int side, int64_t tokens);
};

// A request: a prompt of `input` tokens on one mesh, then `output` tokens, each decoded with the context that it has, on another.
struct PublishedRequest {
  int prefill_side = 1, decode_side = 1;
  int64_t input = 1, output = 1;
};
// Cycles of all layers.
struct PublishedRequestTime {
  int64_t prefill = 0;
  // The published kernels have none: the plan `waferllm` moves the model's weights and the prompt's cache between regions of these sizes,
  // layer by layer.
  int64_t transition = 0;
  int64_t decode = 0;
};
inline int64_t whole(const PublishedRequestTime& time) { return time.prefill + time.transition + time.decode; }
PublishedRequestTime published_request(const ModelConfig& model, const PublishedRequest& request, PublishedLayers& layers);
int64_t published_decode_cycles(const ModelConfig& model, const PublishedRequest& request, PublishedLayers& layers);  // its decode alone
// Generated tokens over the time of the whole request, as table 2 counts.
double tokens_per_second(const PublishedRequest& request, const PublishedRequestTime& time, const Device& device);

}  // namespace wafer
