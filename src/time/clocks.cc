#include "time/clocks.h"

#include <algorithm>
#include <atomic>

#include "time/reduce_steps.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

using namespace mesh;

namespace {

// uint32_t clocks are rebased when one is as high as this, so that a step has as much again.
constexpr uint64_t kHigh = uint64_t{1} << 31;

// The sum of all clocks is low + 2^32 high.
template <class T>
struct Span {
  T least, most;
  uint64_t low, high;
};

template <class T>
inline __attribute__((always_inline)) Span<T> span_body(const T* t, size_t n) {
  T least = std::numeric_limits<T>::max(), most = 0;
  uint64_t low = 0, high = 0;
  for (size_t i = 0; i < n; i++) {
    least = t[i] < least ? t[i] : least;
    most = t[i] > most ? t[i] : most;
    low += static_cast<uint32_t>(t[i]);
    if constexpr (sizeof(T) > 4) high += t[i] >> 32;
  }
  return {least, most, low, high};
}
WAFER_CLONES Span<uint32_t> span_of(const uint32_t* t, size_t n) { return span_body(t, n); }
WAFER_CLONES Span<uint64_t> span_of(const uint64_t* t, size_t n) { return span_body(t, n); }

template <class T>
inline __attribute__((always_inline)) void raise_body(T* t, size_t n, T least) {
  for (size_t i = 0; i < n; i++) t[i] = t[i] < least ? least : t[i];
}
WAFER_CLONES void raise_to(uint32_t* t, size_t n, uint32_t least) { raise_body(t, n, least); }
WAFER_CLONES void raise_to(uint64_t* t, size_t n, uint64_t least) { raise_body(t, n, least); }

template <class T>
inline __attribute__((always_inline)) void add_body(T* __restrict row, const T* __restrict cycles, int w) {
  for (int x = 0; x < w; x++) row[x] += cycles[x];
}

}  // namespace

uint64_t time_after(uint64_t from, Bound more) {
  const Bound end = Bound(from) + more;
  if (end <= kLatest) return end.n;
  throw Error({.where = "time",
               .found = "work that may take more than 2^62 cycles",
               .expected = "work that ends before",
               .fix = "give smaller sizes or more cores"});
}

template <class T>
bool fits(Clocks<T>& c, T most, Bound rise) {
  if constexpr (sizeof(T) > 4) {
    time_after(c.base + most, rise);
  } else if (Bound(most) + rise < Bound(uint64_t{Clocks<T>::kUnknown})) {
    return true;
  } else {
    std::atomic_ref<bool>(c.too_wide).store(true, std::memory_order_relaxed);
    return false;
  }
  return true;
}

template <class T>
bool fits(Clocks<T>& c, Bound rise) {
  return fits(c, latest_of(c), rise);
}

template <class T>
Bound room(const Clocks<T>& c) {
  const uint64_t most = latest_of(c);
  if (sizeof(T) == 4) return uint64_t{UINT32_MAX} - 1 - most;
  return c.base + most < kLatest ? kLatest - c.base - most : 0;
}

template <class T>
T latest_of(const Clocks<T>& c) {
  return c.most != Clocks<T>::kUnknown ? c.most : span_of(c.t.data(), c.t.size()).most;
}

template <class T>
void settle(Clocks<T>& c, const ClockStats& known) {
  if (c.floor > c.base && known.earliest == known.latest) {  // all wait
    std::fill(c.t.begin(), c.t.end(), T{0});
    c.base = known.latest;
    c.floor = 0;
  }
  if (sizeof(T) == 4 && known.latest - c.base >= kHigh) {
    const Span<T> s = span_of(c.t.data(), c.t.size());
    if (known.latest - c.base - s.least >= kHigh) {
      c.too_wide = true;
      return;
    }
    for (T& v : c.t) v -= s.least;
    c.base += s.least;
  }
  if (c.floor > c.base) {
    raise_to(c.t.data(), c.t.size(), static_cast<T>(c.floor - c.base));
    c.floor = 0;
  }
  c.most = static_cast<T>(known.latest - c.base);
}

WAFER_CLONES void add_to_row(uint32_t* __restrict row, const uint32_t* __restrict cycles, int w) { add_body(row, cycles, w); }
WAFER_CLONES void add_to_row(uint64_t* __restrict row, const uint64_t* __restrict cycles, int w) { add_body(row, cycles, w); }

template <class T>
ClockStats stats(const Clocks<T>& c) {
  const Span<T> s = span_of(c.t.data(), c.t.size());
  return {.earliest = c.base + s.least,
          .latest = c.base + s.most,
          .sum = static_cast<double>(s.high) * 4294967296.0 + static_cast<double>(s.low) +
                 static_cast<double>(c.base) * static_cast<double>(c.t.size())};
}

template <class T>
Clocks<T> transposed(const Clocks<T>& c) {
  Clocks<T> out{.w = c.h, .h = c.w, .t = std::vector<T>(c.t.size()), .base = c.base, .most = c.most, .too_wide = c.too_wide};
  constexpr int kBlock = 16;
  for (int y0 = 0; y0 < c.h; y0 += kBlock)
    for (int x0 = 0; x0 < c.w; x0 += kBlock)
      for (int y = y0; y < std::min(c.h, y0 + kBlock); y++)
        for (int x = x0; x < std::min(c.w, x0 + kBlock); x++)
          out.t[static_cast<size_t>(x) * static_cast<size_t>(c.h) + static_cast<size_t>(y)] =
              c.t[static_cast<size_t>(y) * static_cast<size_t>(c.w) + static_cast<size_t>(x)];
  return out;
}

void add(Tally& to, const Tally& more) {
  to.compute += more.compute;
  to.communicate += more.communicate;
  to.wavelets = checked_add(to.wavelets, more.wavelets);
  to.hops = checked_add(to.hops, more.hops);
  to.received = checked_add(to.received, more.received);
  to.multiply_adds = checked_add(to.multiply_adds, more.multiply_adds);
  to.actions = to.actions + more.actions;
}

template <class T>
void time_reduce(Clocks<T>& c, const Device& d, const Forest& forest, const Issue& issue, const ReduceWords& words, bool fp16,
                 Tally& tally) {
  for (size_t r = 0; r < forest.runs.size(); r++) {
    ReduceSteps<T> s{.w = c.w,
                     .t = c.t.data() + static_cast<size_t>(forest.runs[r].begin) * static_cast<size_t>(c.w),
                     .words = {},
                     .cast_words = {},
                     .first_issue = static_cast<T>(issue_cycles(d, issue.first)),
                     .later_issue = static_cast<T>(issue_cycles(d, issue.later)),
                     .ramp = static_cast<T>(d.ramp_cycles),
                     .hop = static_cast<T>(d.hop_cycles),
                     .forward = static_cast<T>(fp16 ? d.forward_f16_cycles : 0)};
    struct Sum {
      int64_t words = 0, cycles = 0, most = 0;
    };
    const auto lines_of = [&](const std::vector<int64_t>& lines, std::vector<T>& cycles) {
      Sum sum;
      for (const int64_t w : lines) {
        const int64_t each = stream_cycles(d, w);
        cycles.push_back(static_cast<T>(each));
        sum = {.words = checked_add(sum.words, w), .cycles = checked_add(sum.cycles, each), .most = std::max(sum.most, each)};
      }
      return sum;
    };
    const Sum up = lines_of(words.all[r], s.words), back = lines_of(words.cast[r], s.cast_words);
    if (up.words == 0) continue;
    const Tree& tree = forest.trees[r];
    const int operations = back.words > 0 ? issue.broadcast_operations : 0;
    if (!fits(c, reduce_rise(s, tree, operations, up.most, room(c)))) return;
    const ReduceCounts n = reduce_steps(s, tree, operations);
    // A core's operations: the first and the later ones, on every line.
    const int64_t lines = c.w, first = n.cores * lines, later = (n.up.operations + n.back.operations - n.cores) * lines;
    const int64_t sent = checked_add(checked_mul(n.up.transfers, up.words), checked_mul(n.back.transfers, back.words));
    add(tally, {.communicate = static_cast<double>(first) * static_cast<double>(s.first_issue) +
                               static_cast<double>(later) * static_cast<double>(s.later_issue) +
                               static_cast<double>(n.up.operations) * static_cast<double>(up.cycles) +
                               static_cast<double>(n.back.operations) * static_cast<double>(back.cycles),
                .wavelets = sent,
                .hops = checked_add(checked_mul(n.up.hops, up.words), checked_mul(n.back.hops, back.words)),
                .received = sent,
                .actions = first * actions_of(issue.first) + later * actions_of(issue.later)});
  }
  c.most = Clocks<T>::kUnknown;
}

#define WAFER_CLOCKS(T)                                \
  template bool fits(Clocks<T>&, T, Bound);            \
  template bool fits(Clocks<T>&, Bound);               \
  template Bound room(const Clocks<T>&);               \
  template T latest_of(const Clocks<T>&);              \
  template void settle(Clocks<T>&, const ClockStats&); \
  template ClockStats stats(const Clocks<T>&);         \
  template Clocks<T> transposed(const Clocks<T>&);     \
  template void time_reduce(Clocks<T>&, const Device&, const Forest&, const Issue&, const ReduceWords&, bool, Tally&);
WAFER_CLOCKS(uint32_t)
WAFER_CLOCKS(uint64_t)
#undef WAFER_CLOCKS

}  // namespace wafer::time
