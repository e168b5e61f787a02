// Moves on their way between regions and layouts: when the links are free, when what was sent arrives. Internal to time/.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "time/moves.h"

namespace wafer::time {

struct MovesUnderWay {
  using Arrivals = std::map<mesh::MoveId, std::deque<uint64_t>>;
  // When the links along each axis have carried what was sent over them.
  struct LinksFree {
    uint64_t x = 0, y = 0;
  };
  struct Sent {
    uint64_t sender_free = 0;
    int64_t words = 0;
    int64_t hops = 0;  // links that all of them cross together
  };

  const mesh::Program& program;
  const Device& device;
  const StepSizes& sizes;
  std::map<mesh::MoveId, int64_t> sent{};                                   // [moves] and not received yet
  Arrivals arrivals{};                                                      // [moves] times at which a sent value is at its place
  std::map<mesh::RegionId, LinksFree> links_free{};                         // [regions] of the relayouts that have been sent to each so far
  std::map<std::pair<mesh::BufferId, mesh::BufferId>, MoveLoad> load_of{};  // [source, destination]: of all layers alike

  // A relayout keeps the busiest links of its way busy, those along x and those along y, which other moves to the same region wait for. The
  // sender is free when its words are gone and its first way is free. The way is taken for which arrival and the sender's freedom are
  // earlier in sum: by arrival alone, two ways that arrive nearly together would let a cycle decide whether the sender waits in the longer
  // queue. What is in its place already is there at once, and nobody waits.
  Sent send(mesh::MoveId id, uint64_t ready, const Scope& s);
  // When it is there. Requires: it has been sent.
  uint64_t receive(mesh::MoveId id, const std::string& step_name);
  bool none() const;
  // What was sent since `before`, the latest turn of a loop, is sent `times` more times, a turn's cycles later each.
  void repeat(const Arrivals& before, int64_t times, uint64_t cycles);
};

}  // namespace wafer::time
