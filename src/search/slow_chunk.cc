// Whether the chunks of a prefill are what makes it slow.
#include <algorithm>

#include "search/estimate.h"
#include "search/search.h"

namespace wafer {

using namespace mesh;

std::optional<SlowChunk> slow_chunk(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request,
                                    const Plan& plan) {
  const Extent mesh = extent(plan.prefill.regions.front().rect);
  const int64_t prompt = plan.max_prompt;
  const auto cycles = [&](int64_t chunk) {
    const StageEstimate s = prefill_estimate(config, device, plan, mesh, prompt, chunk);
    return s.layer * static_cast<double>(config.layers) + s.head;
  };
  PlanRequest of = request;
  of.max_prompt = prompt;
  SlowChunk out{.chunk = plan.chunk, .longer = prompt};
  for (int64_t chunk = prompt; chunk > plan.chunk && !out.longer_fits; chunk = (chunk + 1) / 2) {
    of.chunk = chunk;
    Plan longer = empty_plan(of);
    out.longer_fits = place_part(config, types, device, of, Part::prefill, mesh, longer);
    if (out.longer_fits) out.longer = chunk;
    if (chunk == 1) break;
  }
  out.times = cycles(plan.chunk) / cycles(out.longer);
  return out.longer > out.chunk && out.times >= kMuchSlower ? std::optional(out) : std::nullopt;
}

}  // namespace wafer
