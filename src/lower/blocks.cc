// What the parts of a lowered model have in common.
#include "lower/blocks.h"

#include <cmath>
#include <numbers>

namespace wafer::lower_blocks {

using namespace mesh;
using namespace kernels;

Step local(const Site& site, std::string name, Local op) { return {.name = std::move(name), .phase = site.phase, .what = std::move(op)}; }

void append(Steps& to, Steps more) {
  for (Step& s : more) to.push_back(std::move(s));
}

float score_scale(const ModelConfig& c) { return static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(c.head_dim))); }

Steps norm(const Site& site, const std::string& name, const ReduceLine& line, const ModelConfig& c, const NormBuffers& b) {
  const Step squares = local(site, name + ".square_sum", {.op = LocalOp::square_sum, .in = {b.x}, .out = {b.ss}});
  return {
      fold(site, name + ".sum", {squares}, line, {{.buffer = b.ss, .op = ReduceOp::add}}),
      local(site, name, {.op = LocalOp::normalise, .in = {b.x, b.ss, b.gain}, .out = {b.out}, .epsilon = c.norm_epsilon, .size = c.dim})};
}

}  // namespace wafer::lower_blocks
