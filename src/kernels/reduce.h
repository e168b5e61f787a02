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
  std::vector<int> routes;
};

ReduceLine add_reduce_line(const Site& site, const std::string& name, mesh::Axis axis, mesh::Forest forest);

// Joins the payload's partial values and hands the result to all cores of each run. Several buffers travel as one vector.
mesh::Step reduce(const Site& site, std::string name, const ReduceLine& line, mesh::ReduceOp op, std::vector<int> payload);

// Local steps that leave partial values, and the reduction that joins them, as one group.
mesh::Step fold(const Site& site, std::string name, mesh::Steps locals, const ReduceLine& line, mesh::ReduceOp op,
                std::vector<int> payload);

struct Product {
  int weights = 0;  // [k][n], k cut along the line's axis
  int out = 0;      // [n]
};

// MeshGEMV: x (cut along the line's axis) times several matrices; all results ride in one reduction.
mesh::Step mesh_gemv(const Site& site, std::string name, int x, const std::vector<Product>& products, const ReduceLine& line);

}  // namespace wafer::kernels
