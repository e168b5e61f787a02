// Clocks of a reduction on rings: 2 (P - 1) steps, in each of which every core sends one part of its vector on and takes another in.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "time/clocks.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

using namespace mesh;

namespace {

// The ring of one column; arrays by ring position.
template <class T>
struct Ring {
  int size = 1;
  const T* parts = nullptr;  // [2 size] wavelets of part j, and of j - size
  const T* way = nullptr;    // [size] from the ramp of position c + 1 to that of c
  T issue = 0, ramp = 0;
};

// A core issues its send, which goes on in the background, then its receive, and ends with the later of both. What has no words costs
// nothing.
template <class T>
inline __attribute__((always_inline)) void step_body(const Ring<T>& ring, int step, const T* __restrict before, T* __restrict after) {
  const T* __restrict sent = ring.parts + (step + 1) % ring.size;
  const T* __restrict taken = ring.parts + (step + 2) % ring.size;
  const T* __restrict way = ring.way;
  const T issue = ring.issue, ramp = ring.ramp;
  for (int c = 0; c < ring.size; c++) {  // before[size] = before[0]
    const T issued = before[c] + (sent[c] > 0 ? issue : 0), done = issued + sent[c];
    const T in = before[c + 1] + issue + ramp + way[c], ready = issued + issue;
    const T end = taken[c] > 0 ? (in > ready ? in : ready) + taken[c] : 0;
    after[c] = end > done ? end : done;
  }
}
WAFER_CLONES void ring_step(const Ring<uint32_t>& ring, int step, const uint32_t* __restrict before, uint32_t* __restrict after) {
  step_body(ring, step, before, after);
}
WAFER_CLONES void ring_step(const Ring<uint64_t>& ring, int step, const uint64_t* __restrict before, uint64_t* __restrict after) {
  step_body(ring, step, before, after);
}

// What goes round a ring in one of its two rounds.
template <class T>
struct RingRound {
  std::vector<T> parts;                          // [2 size] wavelets of part j, and of j - size
  int64_t words = 0, messages = 0, longest = 0;  // of all parts; parts that are not empty; of the longest
};

template <class T>
RingRound<T> ring_round(const Device& d, const RingReduce& reduce, const std::vector<Dtype>& types, const std::vector<int64_t>& elements,
                        int size, bool back) {
  const size_t n = static_cast<size_t>(size);
  RingRound<T> round;
  round.parts.resize(2 * n);
  for (size_t j = 0; j < n; j++) {
    int64_t sum = 0;
    for (size_t b = 0; b < types.size(); b++)
      if (!back || reduce.parts[b].broadcast)
        sum = checked_add(sum, wavelets(d, types[b], part(elements[b], static_cast<int64_t>(j), size).size()));
    round.parts[j] = round.parts[j + n] = static_cast<T>(sum);
    round.words = checked_add(round.words, sum);
    round.longest = std::max(round.longest, sum);
    round.messages += sum > 0 ? 1 : 0;
  }
  return round;
}

}  // namespace

template <class T>
void time_ring_reduce(Clocks<T>& c, const Device& d, const RingReduce& reduce, const std::vector<Dtype>& types,
                      const std::vector<std::vector<std::vector<int64_t>>>& held, Tally& tally) {
  const T issue = static_cast<T>(stream_issue_cycles(d)), latest = latest_of(c);
  for (size_t r = 0; r < reduce.runs.size(); r++) {
    const int size = static_cast<int>(reduce.runs[r].size());
    if (size < 2) continue;
    const size_t n = static_cast<size_t>(size);
    std::vector<T> way(n), before(n + 1), after(n + 1);
    std::vector<size_t> row(n);  // of the clocks
    std::vector<int64_t> hops(n);
    for (int p = 0; p < size; p++) {
      const int at = ring_to_position(p, size), from = ring_to_position((p + 1) % size, size);
      row[static_cast<size_t>(p)] = static_cast<size_t>(reduce.runs[r].begin) + static_cast<size_t>(at);
      way[static_cast<size_t>(p)] = static_cast<T>(std::abs(at - from) * d.hop_cycles + d.ramp_cycles);
      hops[static_cast<size_t>(p)] = std::abs(at - from);
    }
    // Columns that hold the same numbers of elements and start alike are timed once.
    std::map<std::pair<std::vector<int64_t>, std::vector<T>>, std::vector<T>> known;
    for (int x = 0; x < c.w; x++) {
      const std::vector<int64_t>& elements = held[r][static_cast<size_t>(x)];
      const RingRound<T> sums = ring_round<T>(d, reduce, types, elements, size, false);
      const RingRound<T> back = ring_round<T>(d, reduce, types, elements, size, true);
      if (sums.words == 0) continue;
      const int64_t steps = size - 1, rounds = back.words > 0 ? 2 : 1;
      const Bound each = Bound(sums.longest) + Bound(uint64_t{issue}) * 2 + Bound(d.ramp_cycles) * 2 + Bound(d.hop_cycles) * size;
      if (!fits(c, latest, Bound(rounds * steps) * each)) return;
      // Position p takes every part in but the one that starts at it (p + 1), and in the second round but its own.
      int64_t crossed = 0;
      for (size_t p = 0; p < n; p++) {
        const int64_t taken =
            checked_add(sums.words - static_cast<int64_t>(sums.parts[p + 1]), back.words - static_cast<int64_t>(back.parts[p]));
        crossed = checked_add(crossed, checked_mul(hops[p], taken));
      }
      const int64_t sent = checked_mul(steps, checked_add(sums.words, back.words)), messages = sums.messages + back.messages;
      add(tally, {.communicate = 2.0 * (static_cast<double>(steps * messages * stream_issue_cycles(d)) + static_cast<double>(sent)),
                  .wavelets = sent,
                  .hops = crossed,
                  .received = sent,
                  .actions = 2 * steps * messages * actions_of(BeforeOperation{})});
      for (size_t p = 0; p < n; p++) before[p] = c.t[row[p] * static_cast<size_t>(c.w) + static_cast<size_t>(x)];
      const auto [at, fresh] = known.try_emplace({elements, std::vector<T>(before.begin(), before.end() - 1)});
      if (fresh) {
        Ring<T> ring{.size = size, .way = way.data(), .issue = issue, .ramp = static_cast<T>(d.ramp_cycles)};
        for (int step = 0; step < rounds * steps; step++) {
          ring.parts = (step < steps ? sums : back).parts.data();
          before[n] = before[0];
          ring_step(ring, step, before.data(), after.data());
          std::swap(before, after);
        }
        at->second.assign(before.begin(), before.end() - 1);
      }
      for (size_t p = 0; p < n; p++) c.t[row[p] * static_cast<size_t>(c.w) + static_cast<size_t>(x)] = at->second[p];
    }
  }
  c.most = Clocks<T>::kUnknown;
}
template void time_ring_reduce(Clocks<uint32_t>&, const Device&, const RingReduce&, const std::vector<Dtype>&,
                               const std::vector<std::vector<std::vector<int64_t>>>&, Tally&);
template void time_ring_reduce(Clocks<uint64_t>&, const Device&, const RingReduce&, const std::vector<Dtype>&,
                               const std::vector<std::vector<std::vector<int64_t>>>&, Tally&);

}  // namespace wafer::time
