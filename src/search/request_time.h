// Cycles of the parts of a request on a lowered program: its prompt in chunks, the transition, its tokens one by one.
//
// Chunks, parts and tokens follow one another: what several regions could do at the same time for one request is not counted. Where a part
// is made of many turns that differ only in the number of cached positions, some are timed and the others taken to lie on straight lines
// between them; between the timed ones cycles grow by steps (a core row holds a position more), so the error is below one such step a turn.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "device/device.h"
#include "lower/lower.h"
#include "time/time.h"

namespace wafer {

struct TimedStep {
  std::string name;
  int64_t count = 0;
  int64_t cycles = 0;
};

struct TimedPart {
  int64_t cycles = 0;
  std::vector<TimedStep> steps;  // in program order; they add up to `cycles`
};

// Positions to look at in place of first .. first + count - 1, with weights that make the sum over all of a function that is linear between
// them. All positions where there are at most `points`, else that many, evenly spaced, the first and the last among them.
struct WeightedPosition {
  int64_t position = 0;
  double weight = 1;
};
std::vector<WeightedPosition> sample_positions(int64_t first, int64_t count, int64_t points);

constexpr int64_t kDecodeShort = 64;      // tokens of a decode that is timed at every position, as `run` does
constexpr int64_t kDecodePositions = 33;  // of a longer one
constexpr int64_t kPrefillChunks = 3;     // attention grows by one chunk of keys from chunk to chunk: a straight line

struct RequestTimer {
  const Lowered& lowered;
  const Device& device;
  time::TimeOptions options = {};
  int64_t chunks = kPrefillChunks;  // of equal chunks of a prompt, as many are timed

  // The prompt in chunks of the plan, and its last row to the first token.
  TimedPart prefill(int64_t prompt) const;
  // Weights and the KV of `cached` positions to decode's places.
  TimedPart transition(int64_t cached) const;
  // `count` tokens fed at positions first, first + 1, ...
  TimedPart decode(int64_t first, int64_t count) const;
};

// Of one layer: the steps of the loops over layers in `entry`, divided by the number of layers, in whole cycles that add up. Cycles of a
// part that holds other entries too are counted where their steps have such names.
TimedPart layer_part(const Lowered& lowered, const std::string& entry, const TimedPart& whole);

}  // namespace wafer
