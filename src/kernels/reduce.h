// Reductions along a line of cores by K-trees (paper, section 6), and MeshGEMV: local products whose partial sums a reduction joins.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

// Trees along an axis with their routes: two colours for each level (left and right chains share them), one for the broadcast.
struct ReduceLine {
  mesh::Axis axis = mesh::Axis::x;
  mesh::Forest forest;
  std::vector<mesh::RouteId> routes;
};

ReduceLine add_reduce_line(const Site& site, const std::string& name, mesh::Axis axis, mesh::Forest forest);

// Joins the parts' partial values. Several parts travel as one vector.
mesh::Step reduce(const Site& site, std::string name, const ReduceLine& line, std::vector<mesh::ReducePart> parts);

// Local steps that leave partial values and the reduction that joins them, NAME.reduce, under one name.
mesh::Step fold(const Site& site, std::string name, mesh::Steps locals, const ReduceLine& line, std::vector<mesh::ReducePart> parts);

// The interleaved rings of an axis, one for each run, with their routes: three colours.
struct RingLine {
  mesh::Axis axis = mesh::Axis::x;
  std::vector<mesh::Range> runs;
  std::vector<mesh::RouteId> routes;
};

RingLine add_ring_line(const Site& site, const std::string& name, mesh::Axis axis, std::vector<mesh::Range> runs);

// Joins the parts' partial values on rings: reduce-scatter, and allgather of those that are broadcast.
mesh::Step ring_reduce(const Site& site, std::string name, const RingLine& line, std::vector<mesh::ReducePart> parts);

struct GemvProduct {
  mesh::BufferId weights{};  // [k][n], k cut along the line's axis
  mesh::BufferId out{};      // [n]
};

// MeshGEMV: x (cut along the line's axis) times several matrices; all results ride in one reduction, with broadcast or to its roots.
mesh::Step mesh_gemv(const Site& site, std::string name, mesh::BufferId x, const std::vector<GemvProduct>& products, const ReduceLine& line,
                     bool broadcast = true);
// The same with the results joined on a ring.
mesh::Step ring_gemv(const Site& site, std::string name, mesh::BufferId x, const std::vector<GemvProduct>& products, const RingLine& line,
                     bool broadcast = true);

}  // namespace wafer::kernels
