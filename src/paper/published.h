// The plan `published`: what the authors' measured kernels do, for timing and for the paper's tables alone. One head of width dim, K and V
// of full width, ten blocking allreduces a decode layer, dims padded up to multiples of P, and the machine actions that their code issues:
// counted steps, which have no values. It checks no memory, as the paper timed one layer and multiplied.
#pragma once
#include <cstdint>
#include <string>

#include "device/device.h"
#include "mesh/program.h"
#include "model/config.h"

namespace wafer {

// Groups of the two-level allreduce on P cores: the published table, else the divisor of P nearest to its root.
int published_groups(int P);
// Two levels of `groups` equal groups, roots off centre: g/2 in a group, G/2 of the roots; the higher side is taken in first. A length that
// the groups do not divide has a shorter last one.
mesh::Tree published_tree(int P, int groups);

// Which of the published decode kernels. Those for WSE-2 keep one set of routes; those for WSE-3 use five colours for both axes, whose
// routes they rewrite at each of six changes of axis in a layer, send a sum back by one operation and pack maxima too.
enum class PublishedKernels : uint8_t { fixed_routes, rewritten_routes };
PublishedKernels published_kernels(const Device& device);  // the device's field of that name

// Both throw Error for a mixture of experts.
// Entry "layer": one decode layer on P x P cores with `context` cached positions.
mesh::Program published_decode(const ModelConfig& config, int P, int groups, int64_t context, mesh::Extent device_mesh,
                               PublishedKernels kernels = PublishedKernels::fixed_routes);
// Entry "layer": one prefill layer of `tokens` tokens on P x P cores. Its parameters: rows and chunk = padded_tokens.
mesh::Program published_prefill(const ModelConfig& config, int P, int64_t tokens, mesh::Extent device_mesh);

inline int64_t padded(int64_t n, int P) { return (n + P - 1) / P * P; }

// What each core of P x P has of dim, of the positions and of ffn, padded. Throws Error for a mixture of experts.
struct PublishedTiles {
  int64_t d = 0, s = 0, f = 0;
};
PublishedTiles published_tiles(const ModelConfig& config, int P, int64_t positions);

}  // namespace wafer
