// Which step of an entry: its place in the walk through all lists of the entry, a step before the steps of its body. What readers keep
// about steps (cycles, shares, a token's way) is kept by these ids: names are for people, and need not differ.
#pragma once
#include <compare>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "mesh/program.h"

namespace wafer::mesh {

struct StepId {
  int32_t place = -1;  // -1: none
  auto operator<=>(const StepId&) const = default;
};

struct StepIds {
  struct Place {
    const Step* step = nullptr;
    size_t list = 0;  // of Entry::lists
    StepId end;       // one past the last step of its body
  };
  std::vector<Place> places;  // by StepId
  std::unordered_map<const Step*, StepId> of;

  const Place& at(StepId id) const { return places[static_cast<size_t>(id.place)]; }
  bool within(StepId id, StepId whole) const { return whole <= id && id < at(whole).end; }
};

// Of an entry that outlives the result.
StepIds number_steps(const Entry& entry);

}  // namespace wafer::mesh
