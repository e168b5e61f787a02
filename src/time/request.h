// The parts of a request timed: its prompt in chunks, the transition, its tokens one by one. The one place that says which entries with
// which parameters a part is made of; reports, benches and the search all ask here.
//
// Chunks, parts and tokens follow one another: what several regions could do at the same time for one request is not counted. Where a part
// is made of many starts that differ only in the number of cached positions, some are timed and the others taken to lie on straight lines
// between them; between the timed ones cycles grow by steps (a core row holds a position more), so the error is below one such step a
// start.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "device/device.h"
#include "mesh/program.h"
#include "time/energy.h"
#include "time/time.h"

namespace wafer::time {

// Starts to look at in place of first .. first + count - 1, with weights that make the sum over all of a function that is linear between
// them. All of them where there are at most `points`, else that many, evenly spaced, the first and the last among them.
struct WeightedPosition {
  int64_t position = 0;
  double weight = 1;
};
std::vector<WeightedPosition> sample_positions(int64_t first, int64_t count, int64_t points);

constexpr int64_t kPrefillChunks = 3;     // timed of more equal chunks: attention grows by one chunk of keys from chunk to chunk
constexpr int64_t kDecodeShort = 64;      // tokens of a decode that is timed at every position
constexpr int64_t kDecodePositions = 33;  // timed of a longer one

// Equal names of all layers and regions together.
struct StepCycles {
  std::string name;
  StepKind kind = StepKind::vector;
  double count = 0;   // how often it ran
  double cycles = 0;  // by which it moved the latest clock
  // The same in loops over layers alone, changes of routes included.
  double layer_count = 0;
  double layer_cycles = 0;
};

// Cycles of cores, summed over the cores of the regions that take part.
struct CoreCycles {
  double compute = 0;
  double communicate = 0;
  double wait = 0;  // for others, for data, for the end
  double total() const { return compute + communicate + wait; }
};

// One part of a request: all starts of its entries.
struct PartTime {
  double cycles = 0;              // whole where nothing was interpolated
  std::vector<StepCycles> steps;  // in the order of the program; their cycles add up to `cycles`
  CoreCycles cores;
  Energy energy;
  int64_t starts = 0;        // of entries
  int64_t starts_timed = 0;  // the others are taken to lie between them
  // Of `cycles`, those of turns of loops that were not timed and had not repeated: taken to last as long as the turn before.
  double extrapolated_cycles = 0;
};

// Whole cycles of the steps, which still add up to the whole: rounded running sums.
std::vector<int64_t> whole_cycles(const PartTime& part);
int64_t cycles_of(const PartTime& part);  // rounded
// Of one layer: what is in loops over layers, divided by their number.
PartTime layer_part(const PartTime& whole, int64_t layers);

// One start of an entry, and how many starts it stands for.
struct Sample {
  std::string entry;
  mesh::Params params;
  double weight = 1;
  TimeReport report = {};
};

// Of a lowered model. Requires: entries "prefill", "row", "transition", "decode"; chunk: of the plan.
struct RequestTimer {
  const mesh::Program& program;
  const Device& device;
  int64_t chunk = 1;
  TimeOptions options = {};
  int64_t chunks = kPrefillChunks;  // of equal chunks of a prompt, as many are timed

  // The prompt in chunks, and `head_rows` rows of it through the LM head.
  std::vector<Sample> prefill_samples(int64_t prompt, int64_t head_rows) const;
  // Weights and the KV of `cached` positions to decode's places.
  std::vector<Sample> transition_samples(int64_t cached) const;
  // `count` tokens fed at positions first, first + 1, ...
  std::vector<Sample> decode_samples(int64_t first, int64_t count) const;

  // Fills the reports of all samples of all lists.
  void time(const std::vector<std::vector<Sample>*>& lists) const;
  // Of timed samples, in their order.
  PartTime sum(const std::vector<Sample>& samples) const;

  PartTime prefill(int64_t prompt, int64_t head_rows = 1) const { return timed(prefill_samples(prompt, head_rows)); }
  PartTime transition(int64_t cached) const { return timed(transition_samples(cached)); }
  PartTime decode(int64_t first, int64_t count) const { return timed(decode_samples(first, count)); }

 private:
  PartTime timed(std::vector<Sample> samples) const;
};

}  // namespace wafer::time
