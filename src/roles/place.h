// Where a core stands along one axis of its region in one step: all that its task program depends on. Directions, colours, extents and
// addresses are arguments, so the two ends of a line are one place, and a chain's cores are the same whichever way it runs.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "mesh/program.h"

namespace wafer::roles {

enum class PlaceKind : uint8_t {
  all,     // the step asks nothing of the position along this axis
  none,    // takes no part
  end,     // of a line: one neighbour
  middle,  // of a line: two
  first,   // of a one-way line: receives only
  last,    // of a one-way line: sends only, or alone stores
  ring,    // a core of a ring
  tree     // see levels and cast
};

struct Links {
  uint8_t in = 0;   // chains that come in on a level
  uint8_t out = 0;  // chains that go on from here
  auto operator<=>(const Links&) const = default;
};
enum class Cast : uint8_t { none, root, leaf };

struct Place {
  PlaceKind kind = PlaceKind::all;
  std::vector<Links> levels{};  // of a tree; levels in which the core takes no part after its last one are left out
  Cast cast = Cast::none;
  auto operator<=>(const Place&) const = default;
};

// "level 1 middle", "root"; empty where the position does not matter.
std::string name(const Place& place);

// The place at every position of the axis. Requires: `step` is a leaf.
std::vector<Place> places(const mesh::Program& program, const mesh::Step& step, mesh::RegionId region, mesh::Axis axis);

}  // namespace wafer::roles
