#include "time/clocks.h"

#include <algorithm>

#include "base/check.h"
#include "time/reduce_steps.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

using namespace mesh;

namespace {

constexpr uint32_t kHigh = uint32_t{1} << 31;

struct Span {
  uint32_t least, most;
  uint64_t sum;
};

WAFER_CLONES Span span_of(const uint32_t* t, size_t n) {
  uint32_t least = UINT32_MAX, most = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    least = t[i] < least ? t[i] : least;
    most = t[i] > most ? t[i] : most;
    sum += t[i];
  }
  return {least, most, sum};
}

WAFER_CLONES void raise_to(uint32_t* t, size_t n, uint32_t least) {
  for (size_t i = 0; i < n; i++) t[i] = t[i] < least ? least : t[i];
}

}  // namespace

void settle(Clocks& c, const ClockStats& known) {
  const bool waits = c.floor > c.base;
  if (waits && known.earliest == known.latest) {  // all wait
    std::fill(c.t.begin(), c.t.end(), 0);
    c.base = known.latest;
    c.floor = 0;
  }
  if (known.latest - c.base >= kHigh) {
    const Span s = span_of(c.t.data(), c.t.size());
    CHECK(s.most - s.least < kHigh, "clocks of a region are too far apart");
    for (uint32_t& v : c.t) v -= s.least;
    c.base += s.least;
  }
  if (c.floor > c.base) {
    CHECK(c.floor - c.base < kHigh, "a region waits for {} cycles", c.floor - c.base);
    raise_to(c.t.data(), c.t.size(), static_cast<uint32_t>(c.floor - c.base));
    c.floor = 0;
  }
}

WAFER_CLONES void add_to_row(uint32_t* __restrict row, const uint32_t* __restrict cycles, int w) {
  for (int x = 0; x < w; x++) row[x] += cycles[x];
}

ClockStats stats(const Clocks& c) {
  const Span s = span_of(c.t.data(), c.t.size());
  return {.earliest = c.base + s.least,
          .latest = c.base + s.most,
          .sum = static_cast<double>(s.sum) + static_cast<double>(c.base) * static_cast<double>(c.t.size())};
}

Clocks transposed(const Clocks& c) {
  Clocks out{.w = c.h, .h = c.w, .t = std::vector<uint32_t>(c.t.size()), .base = c.base};
  constexpr int kBlock = 16;
  for (int y0 = 0; y0 < c.h; y0 += kBlock)
    for (int x0 = 0; x0 < c.w; x0 += kBlock)
      for (int y = y0; y < std::min(c.h, y0 + kBlock); y++)
        for (int x = x0; x < std::min(c.w, x0 + kBlock); x++)
          out.t[static_cast<size_t>(x) * static_cast<size_t>(c.h) + static_cast<size_t>(y)] =
              c.t[static_cast<size_t>(y) * static_cast<size_t>(c.w) + static_cast<size_t>(x)];
  return out;
}

void time_reduce(Clocks& c, const Device& d, const Reduce& reduce, const std::vector<std::vector<int64_t>>& words, bool fp16,
                 Tally& tally) {
  for (size_t r = 0; r < reduce.forest.runs.size(); r++) {
    ReduceSteps s{.w = c.w,
                  .t = c.t.data() + static_cast<size_t>(reduce.forest.runs[r].begin) * static_cast<size_t>(c.w),
                  .words = {},
                  .first_issue = static_cast<uint32_t>(issue_cycles(d, reduce.first)),
                  .later_issue = static_cast<uint32_t>(issue_cycles(d, reduce.later)),
                  .ramp = static_cast<uint32_t>(d.ramp_cycles),
                  .hop = static_cast<uint32_t>(d.hop_cycles),
                  .forward = static_cast<uint32_t>(fp16 ? d.forward_f16_cycles : 0)};
    int64_t all = 0, cycles = 0;
    for (int64_t w : words[r]) {
      const int64_t each = stream_cycles(d, w);
      s.words.push_back(static_cast<uint32_t>(each));
      all += w;
      cycles += each;
    }
    if (all == 0) continue;
    const Tree& tree = reduce.forest.trees[r];
    const ReduceCounts n = reduce_steps(s, tree, reduce.broadcast ? reduce.broadcast_operations : 0);
    tally.wavelets += n.transfers * all;
    tally.received += n.transfers * all;
    tally.hops += n.hops * all;
    // A core's operations: the first and the later ones, on every line.
    const int64_t lines = c.w, first = n.cores * lines, later = (n.operations - n.cores) * lines;
    tally.actions = tally.actions + first * actions_of(reduce.first) + later * actions_of(reduce.later);
    tally.communicate += static_cast<double>(first) * s.first_issue + static_cast<double>(later) * s.later_issue +
                         static_cast<double>(n.operations) * static_cast<double>(cycles);
  }
}

}  // namespace wafer::time
