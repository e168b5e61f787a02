#include "report/floor.h"

#include <algorithm>

#include "base/check.h"
#include "mesh/program.h"
#include "plan/placement.h"
#include "time/cost.h"

namespace wafer {

double Floor::cycles() const { return std::max({reductions, multiply_adds, sram}); }

Floor decode_floor(const ModelConfig& c, const WeightTypes& types, const Plan& plan, const Device& d, int64_t position) {
  CHECK(!has_experts(c), "{} experts", c.experts);
  const auto bytes = [&](TensorType t, int64_t n) { return static_cast<double>(mesh::bytes(weight_dtype(t, plan.numerics), n)); };
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim, keys = position + 1;
  const double operand_bytes = plan.numerics == Numerics::fp32 ? 4 : 2;
  const double layer_macs = static_cast<double>(c.dim * (2 * q + 2 * kv + 3 * c.ffn) + 2 * q * keys);
  const double layer_bytes = bytes(types.q, c.dim * q) + bytes(types.k, c.dim * kv) + bytes(types.v, c.dim * kv) +
                             bytes(types.o, c.dim * q) + bytes(types.gate, c.dim * c.ffn) + bytes(types.up, c.dim * c.ffn) +
                             bytes(types.down, c.dim * c.ffn) + operand_bytes * static_cast<double>(2 * kv * keys);
  const double rate = time::multiply_adds_per_cycle(d, plan.numerics), read = static_cast<double>(d.sram_read_bytes_per_cycle);
  Floor out;
  for (const PlacedRegion& r : plan.decode.regions) {
    const double cores = static_cast<double>(r.rect.w) * static_cast<double>(r.rect.h), layers = static_cast<double>(r.layers);
    const auto there_and_back = [&](int side) {
      return side < 2 ? 0.0 : static_cast<double>(2 * (side / 2 * d.hop_cycles + 2 * d.ramp_cycles));
    };
    out.reductions += layers * (3 * there_and_back(r.rect.h) + 2 * there_and_back(r.rect.w));
    out.multiply_adds += layers * layer_macs / cores / rate;
    out.sram += layers * layer_bytes / cores / read;
    if (!r.head) continue;
    out.multiply_adds += static_cast<double>(c.vocab * c.dim) / cores / rate;
    out.sram += bytes(types.output, c.vocab * c.dim) / cores / read;
  }
  return out;
}

}  // namespace wafer
