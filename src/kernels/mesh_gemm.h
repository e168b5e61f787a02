// MeshGEMM and GEMM-T (paper, section 5): products of two cut matrices by tiles that travel on interleaved rings, two hops a step.
//
// C = A B on a rectangle of w x H cores with L = max(w, H) logical ring positions on both axes. After the alignment the core at ring
// position (i, j) multiplies block kb = (i + j + s) mod L at step s, so every element of C is one sum over k in cyclic order from the start
// of block (i + j) mod L. A non-square rectangle does each of its logical tiles with that tile's own start.
//
// C = A B^T: B's tiles travel along y unaligned; at step s the core of row i holds the key block (i + s) mod L, and its partial products
// are summed along x to the column that owns that block of C.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

// The rings of the rectangles that stand side by side in a region: one over its whole width, or one for each head run.
struct Rings {
  std::vector<mesh::Range> runs;                  // columns of each rectangle
  std::vector<mesh::RouteId> x_routes, y_routes;  // one ring position down, and up for the alignment
  std::vector<mesh::RouteId> chain_routes;        // neighbour to neighbour along x, for the row sums of GEMM-T
  mesh::LineOrder order = mesh::LineOrder::interleaved;
};

// `gemm_t`: also the routes of row sums. In natural order a ring is Cannon's: one hop a step, and from the first core to the last.
Rings add_rings(const Site& site, const std::string& name, std::vector<mesh::Range> runs, bool gemm_t,
                mesh::LineOrder order = mesh::LineOrder::interleaved);

enum class AlignB { placed, shifted };  // weights lie aligned already; K and V tiles are aligned by shifts along y

struct GemmOperands {
  mesh::BufferId a{};       // [rows][k]: rows along y, k along x
  mesh::BufferId b{};       // [k][n]: k along y, n along x
  mesh::BufferId c{};       // [rows][n]
  mesh::BufferId b_slot{};  // where tiles of B arrive; none: in B's second slot
  bool a_aligned = false;   // by an earlier product on the same A
  AlignB align_b = AlignB::placed;
  int heads = 0;        // attention: a product for each KV head, in its own run
  bool overlap = true;  // the next tiles arrive during the product of the current ones; else after it
};

// On rings in natural order: Cannon's algorithm.
mesh::Step mesh_gemm(const Site& site, std::string name, const Rings& rings, const GemmOperands& operands);

struct GemmTOperands {
  mesh::BufferId a{};        // [rows][k]: queries
  mesh::BufferId b{};        // [n][k]: keys, n along y
  mesh::BufferId partial{};  // [heads][rows][n]
  mesh::BufferId c{};        // [heads][rows][n]: n along x
  mesh::BufferId b_slot{};   // where tiles of B arrive; none: in B's second slot
  int heads = 0;
};

mesh::Step gemm_t(const Site& site, std::string name, const Rings& rings, const GemmTOperands& operands);

}  // namespace wafer::kernels
