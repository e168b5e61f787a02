#include "plan/capacity.h"

#include <algorithm>

namespace wafer {

using namespace mesh;

namespace {

// The largest n in [0, most] for which `holds` is true, where it is true up to some n and false from there on.
template <class Holds>
int64_t largest(int64_t most, Holds holds) {
  int64_t low = 0, high = most + 1;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace

KvCapacity kv_capacity(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, Extent mesh) {
  const int64_t value_bytes = request.numerics == Numerics::fp32 ? 4 : 2;
  const int64_t cores = device.mesh_width * device.mesh_height;
  KvCapacity out{.mesh = mesh, .position_bytes = 2 * kv_width(config) * config.layers * value_bytes};
  const int64_t most = cores * data_bytes_per_core(device) / out.position_bytes + 1;

  PlanRequest of = request;
  of.chunk = of.max_prompt = 1;
  Plan full;
  out.shift = largest(most, [&](int64_t n) {
    if (n == 0) return true;
    of.context = n;
    Plan plan = empty_plan(of);
    if (!place_part(config, types, device, of, Part::decode, mesh, plan)) return false;
    full = std::move(plan);
    return true;
  });
  if (out.shift > 0) {
    out.regions = layer_regions(full.decode);
    for (const PlacedRegion& r : full.decode.regions) out.layers_per_region = std::max(out.layers_per_region, r.layers);
    out.concat = out.shift / mesh.h;
  }
  return out;
}

}  // namespace wafer
