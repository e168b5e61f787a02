// Puts a program together: short ways to add its parts, and the colouring of routes.
#pragma once
#include <string>
#include <vector>

#include "mesh/program.h"

namespace wafer::mesh {

// A fixed size, and a size that grows with parameters up to `limit`.
Dim dim(std::string name, int64_t n);
Dim dim(std::string name, SizeKind kind, int64_t limit);

TensorId add_tensor(Program& program, Tensor tensor);
RegionId add_region(Program& program, Region region);
PhaseId add_phase(Program& program, std::string name);
BufferId add_buffer(Program& program, Buffer buffer);
MoveId add_move(Program& program, Move move);
IssueId add_issue(Program& program, Issue issue);  // an equal one is found again

// Adds a route and gives each path a colour: the lowest that no other route of the region and phase has and no overlapping path of
// this route. Two paths overlap where they share a router. Colours past the device's are given all the same; verify() reports them.
RouteId add_route(Program& program, std::string name, PhaseId phase, RegionId region, Axis axis, std::vector<Path> paths);

// The paths of a forest: level by level one route (its chains share colours), and one multicast from each root.
std::vector<std::vector<Path>> forest_paths(const Forest& forest);
std::vector<Path> broadcast_paths(const Forest& forest);
// The ring of each run: every core to the next lower ring position.
std::vector<Path> ring_paths(const std::vector<Range>& runs, bool down, LineOrder order = LineOrder::interleaved);
// From every position of a line to all others.
std::vector<Path> cast_paths(int positions);
// Neighbour to neighbour: towards lower positions, or higher.
std::vector<Path> neighbour_paths(const std::vector<Range>& runs, bool to_lower);

}  // namespace wafer::mesh
