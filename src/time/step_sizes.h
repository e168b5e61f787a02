// How much of each operand a core holds in a step, for the run-time parameters of an entry. Internal to time/.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "mesh/builder.h"
#include "mesh/program.h"
#include "time/clocks.h"
#include "time/cost.h"

namespace wafer::time {

// Where a walk through an entry is.
struct Scope {
  mesh::Params params;
  int64_t chunk = 0;      // of the loop over chunks of keys
  int64_t ring_step = 0;  // of the innermost loop over steps of a ring
};

struct StepSizes {
  const mesh::Program& program;

  const mesh::Buffer& buffer(mesh::BufferId id) const { return program.buffers[id]; }
  const mesh::Tensor& tensor(mesh::BufferId id) const { return program.tensors[buffer(id).tensor]; }
  mesh::Extent extent_of(mesh::RegionId region) const { return extent(program.regions[region].rect); }
  int64_t size_of(mesh::BufferId id, size_t d, const Scope& s) const;
  // Elements of a dimension that the core at (x, y) holds.
  int64_t held(mesh::BufferId id, size_t d, const Scope& s, int x, int y) const;
  int64_t held(mesh::BufferId id, const Scope& s, int x, int y) const;
  const mesh::Cut* cut_of(mesh::BufferId id, int d, mesh::Axis axis) const;
  LocalSize local_size(const mesh::Local& op, const Scope& s, int x, int y) const;
  // Positions along an axis at which every operand holds the same counts.
  std::vector<int> classes(const mesh::Local& op, const Scope& s, mesh::Axis axis, int positions, std::vector<int>& representatives) const;
  // Equal for steps that cost the same from the same clocks: names, shapes and cuts of all operands, but not which buffers they are.
  std::string signature(const mesh::Steps& steps) const;
  // A product's sizes on one rectangle.
  ProductSizes product_sizes(const mesh::Product& g, const Scope& s, mesh::Range columns, int64_t head, mesh::RegionId region) const;
};

}  // namespace wafer::time
