#include "paper/published_time.h"

#include "lower/request_timer.h"
#include "paper/published.h"
#include "plan/planner.h"

namespace wafer {

time::TimeReport published_decode_layer(const ModelConfig& model, int side, int64_t context, const Device& device,
                                        std::optional<int> groups) {
  const mesh::Program p =
      published_decode(model, side, groups.value_or(published_groups(side)), context, limits_of(device).mesh, published_kernels(device));
  return time::time_entry(p, device, "layer", {});
}

time::TimeReport published_prefill_layer(const ModelConfig& model, int side, int64_t tokens, const Device& device, int64_t ring_steps) {
  const int64_t rows = padded(tokens, side);
  return time::time_entry(published_prefill(model, side, tokens, limits_of(device).mesh), device, "layer", {.rows = rows, .chunk = rows},
                          {.ring_steps = ring_steps});
}

const time::TimeReport& PublishedLayers::decode(const ModelConfig& model, int side, int64_t context) {
  refuse_experts(model);  // the key would take it for a dense model of the same widths
  const auto [it, fresh] = decodes.try_emplace({model.dim, model.ffn, side, padded(context, side)});
  if (fresh) it->second = published_decode_layer(model, side, context, device);
  return it->second;
}

const time::TimeReport& PublishedLayers::prefill(const ModelConfig& model, int side, int64_t tokens) {
  refuse_experts(model);
  const auto [it, fresh] = prefills.try_emplace({model.dim, model.ffn, side, padded(tokens, side)});
  if (fresh) it->second = published_prefill_layer(model, side, tokens, device);
  return it->second;
}

namespace {

int64_t transition_cycles(const ModelConfig& model, const PublishedRequest& r, const Device& device) {
  const PlanRequest request{.numerics = Numerics::fp16,
                            .context = r.input + r.output,
                            .max_prompt = r.input,
                            .prefill_mesh = mesh::Extent{r.prefill_side, r.prefill_side},
                            .decode_mesh = mesh::Extent{r.decode_side, r.decode_side}};
  ModelConfig roomy = model;  // the paper's requests may be longer than a model's context
  roomy.context = std::max(model.context, request.context);
  const WeightTypes types = uniform_types(TensorType::f16);
  const Lowered lowered = lower(roomy, types, make_plan(roomy, types, device, request).plan, limits_of(device).mesh);
  return cycles_of(request_timer(lowered, device).transition(r.input));
}

}  // namespace

int64_t published_decode_cycles(const ModelConfig& model, const PublishedRequest& r, PublishedLayers& layers) {
  int64_t cycles = 0;
  // Positions are padded to the side, so a token's cycles change once in `side` tokens only.
  for (int64_t context = r.input + 1; context <= r.input + r.output;) {
    const int64_t last = std::min(padded(context, r.decode_side), r.input + r.output);
    cycles += (last - context + 1) * model.layers * layers.decode(model, r.decode_side, context).cycles;
    context = last + 1;
  }
  return cycles;
}

PublishedRequestTime published_request(const ModelConfig& model, const PublishedRequest& r, PublishedLayers& layers) {
  return {.prefill = model.layers * layers.prefill(model, r.prefill_side, r.input).cycles,
          .transition = transition_cycles(model, r, layers.device),
          .decode = published_decode_cycles(model, r, layers)};
}

double tokens_per_second(const PublishedRequest& r, const PublishedRequestTime& t, const Device& device) {
  return static_cast<double>(r.output) * device.clock_hz / static_cast<double>(whole(t));
}

}  // namespace wafer
