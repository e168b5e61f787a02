// Products whose tiles are multicast along whole lines of cores: SUMMA and allgather GEMM, which MeshGEMM is compared with.
//
// Every core is the source of its own tiles, so every core of a line has a multicast path over the whole line: as many colours as cores on
// each axis, which no chip has; verify() says so. All sums ascend from the first inner index.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

// From every core of a line to all others, on both axes.
struct Casts {
  std::vector<mesh::RouteId> x_routes, y_routes;
};
Casts add_casts(const Site& site, const std::string& name);

struct CastOperands {
  mesh::BufferId a{};       // [rows][k]: rows along y, k along x
  mesh::BufferId b{};       // [k][n]: k along y, n along x
  mesh::BufferId c{};       // [rows][n]
  mesh::BufferId a_here{};  // where tiles of A arrive: a block of k, or all of k
  mesh::BufferId b_here{};
};

// SUMMA: the blocks of k one after the other; the column that owns a block sends its tiles of A along x, the row that owns it its tiles of
// B along y, while all cores multiply the block before. A step starts on all cores at the same time.
mesh::Step summa(const Site& site, std::string name, const Casts& casts, const CastOperands& operands);

// Allgather: every core sends its tiles to its row and its column, then all cores multiply without any transfer.
mesh::Step allgather_gemm(const Site& site, std::string name, const Casts& casts, const CastOperands& operands);

}  // namespace wafer::kernels
