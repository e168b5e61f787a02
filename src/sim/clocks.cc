#include "sim/clocks.h"

#include <algorithm>

#include "base/check.h"

namespace wafer::sim {

using namespace mesh;

namespace {

constexpr uint32_t kHigh = uint32_t{1} << 31;

struct Span {
  uint32_t least, most;
  uint64_t sum;
};

__attribute__((target_clones("avx512f", "avx2", "default"))) Span span_of(const uint32_t* t, size_t n) {
  uint32_t least = UINT32_MAX, most = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    least = t[i] < least ? t[i] : least;
    most = t[i] > most ? t[i] : most;
    sum += t[i];
  }
  return {least, most, sum};
}

__attribute__((target_clones("avx512f", "avx2", "default"))) void raise_to(uint32_t* t, size_t n, uint32_t least) {
  for (size_t i = 0; i < n; i++) t[i] = t[i] < least ? least : t[i];
}

}  // namespace

void settle(Clocks& c) {
  const Span s = span_of(c.t.data(), c.t.size());
  CHECK(s.most - s.least < kHigh, "clocks of a region are too far apart");
  if (c.floor >= c.base + s.most) {  // all wait
    std::fill(c.t.begin(), c.t.end(), 0);
    c.base = c.floor;
  } else if (s.most >= kHigh) {
    for (uint32_t& v : c.t) v -= s.least;
    c.base += s.least;
  }
  if (c.floor > c.base) raise_to(c.t.data(), c.t.size(), static_cast<uint32_t>(c.floor - c.base));
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

namespace {

// A stream that travels a chain: when its first and last words leave the ramp of the core that sends them, for each line.
struct Stream {
  std::vector<uint32_t> first, last;
};

struct ReduceTimer {
  Clocks& c;
  const Device& d;
  const std::vector<uint32_t> words;  // [lines]
  Tally& tally;
  uint32_t issue = static_cast<uint32_t>(stream_issue_cycles(d));
  uint32_t ramp = static_cast<uint32_t>(d.ramp_cycles);

  size_t lines() const { return static_cast<size_t>(c.w); }

  void count(int64_t transfers, int64_t distance, int64_t receives) {
    int64_t all = 0;
    for (uint32_t n : words) all += n;
    tally.wavelets += transfers * all;
    tally.received += receives * all;
    tally.hops += distance * all;
    tally.communicate += static_cast<double>((transfers + receives) * all) / 2 +
                         static_cast<double>(receives) * static_cast<double>(issue) * static_cast<double>(lines());
  }

  // The first core of a chain sends what it has.
  void start(int p, Stream& s) {
    uint32_t* t = c.row(p);
    for (size_t i = 0; i < lines(); i++) {
      const uint32_t begin = t[i] + issue;
      s.first[i] = begin + ramp;
      s.last[i] = begin + ramp + words[i] - 1;
      t[i] = words[i] == 0 ? t[i] : begin + words[i];
    }
  }

  // Receives, adds, sends on: a word leaves 2 ramps and one cycle after it was at the neighbour's router.
  void pass(int p, uint32_t distance, Stream& s) {
    uint32_t* t = c.row(p);
    const uint32_t way = distance * static_cast<uint32_t>(d.hop_cycles) + ramp;
    for (size_t i = 0; i < lines(); i++) {
      const uint32_t out = std::max(s.first[i] + way, t[i] + issue) + 1 + ramp;
      s.last[i] = std::max(s.last[i] + way + 1 + ramp, out + words[i] - 1);
      s.first[i] = out;
      t[i] = words[i] == 0 ? t[i] : s.last[i] + 1 - ramp;
    }
  }

  // Receives and adds to what it has.
  void end(int p, uint32_t distance, const Stream& s) {
    uint32_t* t = c.row(p);
    const uint32_t way = distance * static_cast<uint32_t>(d.hop_cycles) + ramp;
    for (size_t i = 0; i < lines(); i++) {
      const uint32_t begin = std::max(s.first[i] + way, t[i] + issue);
      t[i] = words[i] == 0 ? t[i] : std::max(s.last[i] + way, begin + words[i] - 1) + 1;
    }
  }

  void chain(const Chain& chain, int base, Stream& s) {
    int64_t distance = 0;
    start(base + chain.front(), s);
    for (size_t q = 1; q < chain.size(); q++) {
      const uint32_t hops = static_cast<uint32_t>(std::abs(chain[q] - chain[q - 1]));
      distance += hops;
      if (q + 1 < chain.size())
        pass(base + chain[q], hops, s);
      else
        end(base + chain[q], hops, s);
    }
    const int64_t transfers = static_cast<int64_t>(chain.size()) - 1;
    count(transfers, distance, transfers);
  }

  void broadcast(const Tree& tree, int base) {
    if (tree.size < 2) return;
    Stream s{std::vector<uint32_t>(lines()), std::vector<uint32_t>(lines())};
    start(base + tree.root, s);
    for (int p = 0; p < tree.size; p++)
      if (p != tree.root) end(base + p, static_cast<uint32_t>(std::abs(p - tree.root)), s);
    // One wavelet leaves the root's ramp and is copied by the routers: sent once, received by all others.
    count(1, tree.size - 1, 1);
  }
};

}  // namespace

void time_reduce(Clocks& c, const Device& d, const Forest& forest, bool broadcast, const std::vector<std::vector<int64_t>>& words,
                 Tally& tally) {
  for (size_t r = 0; r < forest.runs.size(); r++) {
    const Tree& tree = forest.trees[r];
    std::vector<uint32_t> n;
    for (int64_t w : words[r]) n.push_back(static_cast<uint32_t>(w));  // 0: the line has nothing to join, its cores go on
    ReduceTimer timer{.c = c, .d = d, .words = std::move(n), .tally = tally};
    Stream s{std::vector<uint32_t>(timer.lines()), std::vector<uint32_t>(timer.lines())};
    const int base = static_cast<int>(forest.runs[r].begin);
    for (const Level& level : tree.levels)
      for (const Chain& chain : level)
        if (chain.size() > 1) timer.chain(chain, base, s);
    if (broadcast) timer.broadcast(tree, base);
  }
}

}  // namespace wafer::sim
