// The remaining transfers: KV cache by shift, the multicast of an embedding row, moves from region to region.
#pragma once
#include <string>
#include <vector>

#include "kernels/site.h"

namespace wafer::kernels {

// One colour pair along y, upwards: every row that holds more than its share passes its oldest entry to the row above, all at once.
mesh::Step kv_shift(const Site& site, std::string name, std::vector<mesh::BufferId> caches, const std::vector<mesh::RouteId>& routes);
std::vector<mesh::RouteId> add_kv_shift_routes(const Site& site);

// From the cores that own a row (known at run time only) to all cores of their line, relayed from neighbour to neighbour.
mesh::Step multicast(const Site& site, std::string name, mesh::Axis axis, mesh::BufferId buffer, const std::vector<mesh::RouteId>& routes);
// Neighbour to neighbour in both senses along an axis.
std::vector<mesh::RouteId> add_relay_routes(const Site& site, const std::string& name, mesh::Axis axis);

// The two halves of a move, relayed from neighbour to neighbour along both axes of each region.
mesh::Step send(const Site& site, mesh::MoveId move, const std::vector<mesh::RouteId>& routes);
mesh::Step receive(const Site& site, mesh::MoveId move, const std::vector<mesh::RouteId>& routes);
// The routes of all moves of a site: added once for a region and phase, found again afterwards.
std::vector<mesh::RouteId> move_routes(const Site& site);

}  // namespace wafer::kernels
