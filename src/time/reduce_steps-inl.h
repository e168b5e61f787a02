// The inner loops of reductions' clocks, for reduce_steps.cc (vectors) and steps_scalar.cc (none). A stream is known by when its first
// and its last word leave the ramp of the core that sends them, for each line.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "time/reduce_steps.h"

namespace wafer::time::inl {

template <class T>
struct Line {
  const T* words;
  T *t, *first, *last;
  T issue, way, ramp, forward;
};

// The first core of a chain sends what it has.
template <class T>
inline __attribute__((always_inline)) void chain_start(const Line<T>& line, int w) {
  const Line<T> v = line;
  T* __restrict t = v.t, * __restrict first = v.first, * __restrict last = v.last;
  for (int i = 0; i < w; i++) {
    const T begin = t[i] + v.issue;
    first[i] = begin + v.ramp;
    last[i] = begin + v.ramp + v.words[i] - 1;
    t[i] = v.words[i] == 0 ? t[i] : begin + v.words[i];
  }
}

// Receives, adds, sends on: a word leaves two ramps and one cycle after it was at the neighbour's router.
template <class T>
inline __attribute__((always_inline)) void chain_pass(const Line<T>& line, int w) {
  const Line<T> v = line;
  T* __restrict t = v.t, * __restrict first = v.first, * __restrict last = v.last;
  for (int i = 0; i < w; i++) {
    const T in = first[i] + v.way, ready = t[i] + v.issue, words = v.words[i];
    const T out = (in > ready ? in : ready) + 1 + v.ramp + v.forward;
    const T flow = last[i] + v.way + 1 + v.ramp + v.forward, own = out + words - 1;
    const T end = flow > own ? flow : own;
    last[i] = end;
    first[i] = out;
    t[i] = words == 0 ? t[i] : end + 1 - v.ramp;
  }
}

// Receives and adds to what it has.
template <class T>
inline __attribute__((always_inline)) void chain_end(const Line<T>& line, int w) {
  const Line<T> v = line;
  T* __restrict t = v.t;
  for (int i = 0; i < w; i++) {
    const T in = v.first[i] + v.way, ready = t[i] + v.issue, words = v.words[i];
    const T own = (in > ready ? in : ready) + words - 1, flow = v.last[i] + v.way;
    t[i] = words == 0 ? t[i] : (flow > own ? flow : own) + 1;
  }
}

template <class T, class Kernel>
ReduceCounts drive_reduce(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations, const Kernel& kernel) {
  ReduceCounts counts;
  std::vector<T> first(s.words.size()), last(s.words.size());
  std::vector<char> started(static_cast<size_t>(tree.size), 0);
  VectorCounts* way = &counts.up;
  const std::vector<T>* words = &s.words;
  auto line_at = [&](int p, int hops) {
    char& before = started[static_cast<size_t>(p)];
    const T issue = before != 0 ? s.later_issue : s.first_issue;
    way->operations++;
    if (before == 0) counts.cores++;
    before = 1;
    return Line<T>{.words = words->data(),
                   .t = s.t + static_cast<int64_t>(p) * s.w,
                   .first = first.data(),
                   .last = last.data(),
                   .issue = issue,
                   .way = static_cast<T>(hops) * s.hop + s.ramp,
                   .ramp = s.ramp,
                   .forward = s.forward};
  };
  for (const mesh::Level& level : tree.levels)
    for (const mesh::Chain& chain : level) {
      if (chain.size() < 2) continue;
      kernel.start(line_at(chain.front(), 0), s.w);
      for (size_t q = 1; q < chain.size(); q++) {
        const int hops = std::abs(chain[q] - chain[q - 1]);
        counts.up.transfers++;
        counts.up.hops += hops;
        if (q + 1 < chain.size())
          kernel.pass(line_at(chain[q], hops), s.w);
        else
          kernel.end(line_at(chain[q], hops), s.w);
      }
    }
  if (broadcast_operations == 0 || tree.size < 2) return counts;
  way = &counts.back;
  words = &s.cast_words;
  // One wavelet leaves the root's ramp and is copied by the routers: sent once, and once more for another side.
  for (int side = 0; side < broadcast_operations; side++) {
    const int begin = broadcast_operations == 2 && side == 1 ? tree.root + 1 : 0,
              end = broadcast_operations == 2 && side == 0 ? tree.root : tree.size;
    if (begin == end) continue;
    kernel.start(line_at(tree.root, 0), s.w);
    for (int p = begin; p < end; p++)
      if (p != tree.root) kernel.end(line_at(p, std::abs(p - tree.root)), s.w);
    counts.back.transfers++;
    counts.back.hops += end - begin - (broadcast_operations == 2 ? 0 : 1);
  }
  return counts;
}

}  // namespace wafer::time::inl
