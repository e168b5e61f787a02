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

  const mesh::Buffer& buffer(int id) const { return program.buffers[static_cast<size_t>(id)]; }
  const mesh::Tensor& tensor(int id) const { return program.tensors[static_cast<size_t>(buffer(id).tensor)]; }
  mesh::Extent extent_of(int region) const { return extent(program.regions[static_cast<size_t>(region)].rect); }
  int64_t size_of(int id, size_t d, const Scope& s) const;
  // Elements of a dimension that the core at (x, y) holds.
  int64_t held(int id, size_t d, const Scope& s, int x, int y) const;
  int64_t held(int id, const Scope& s, int x, int y) const;
  const mesh::Cut* cut_of(int id, int d, mesh::Axis axis) const;
  LocalSize local_size(const mesh::Local& op, const Scope& s, int x, int y) const;
  // Positions along an axis at which every operand holds the same counts.
  std::vector<int> classes(const mesh::Local& op, const Scope& s, mesh::Axis axis, int positions, std::vector<int>& representatives) const;
  // Equal for steps that cost the same from the same clocks: names, shapes and cuts of all operands, but not which buffers they are.
  std::string signature(const mesh::Steps& steps) const;
  // A product's sizes on one rectangle.
  ProductSizes product_sizes(const mesh::Group& g, const Scope& s, mesh::Range columns, int64_t head, int region) const;
};

}  // namespace wafer::time
