#include "time/product_align.h"

#include <algorithm>

#include "base/parallel.h"
#include "time/product_schedule.h"

namespace wafer::time {

using namespace mesh;

namespace {

// The blocks of k that cross between the cores of a line, by move and by size: between how many ring neighbours, and over how many hops.
struct Crossings {
  std::vector<int64_t> sizes;        // of k, each once
  std::vector<int64_t> cores, hops;  // [moves][sizes]
};

Crossings crossings(const ProductSteps& p, bool rows, bool down) {
  const std::vector<Range>& own = rows ? p.own_cols : p.own_rows;  // along the line
  const std::vector<int64_t>& hops = rows ? p.x_hops : p.y_hops;
  Crossings out;
  std::vector<size_t> kind;  // [blocks]
  for (int64_t k : p.k) {
    const auto at = std::find(out.sizes.begin(), out.sizes.end(), k);
    kind.push_back(static_cast<size_t>(at - out.sizes.begin()));
    if (at == out.sizes.end()) out.sizes.push_back(k);
  }
  const size_t length = own.size(), kinds = out.sizes.size();
  out.cores.assign(static_cast<size_t>(p.L / 2) * kinds, 0);
  out.hops = out.cores;
  for (size_t q = 0; q < length; q++)
    for (int64_t t = 0; t < p.L / 2; t++) {
      // Down: q + 1 gives its lowest tile, which came from t positions above. Up: q gives its highest.
      const int64_t block = down ? own[(q + 1) % length].begin + t : own[q].end - 1 - t + p.L;
      const size_t at = static_cast<size_t>(t) * kinds + kind[static_cast<size_t>(block % p.L)];
      out.cores[at]++;
      out.hops[at] += hops[q];
    }
  return out;
}

int64_t distance(int64_t l, int64_t L) { return std::min(l, L - l); }
bool goes_down(int64_t l, int64_t L) { return l <= L - l; }

}  // namespace

Alignment alignment(const ProductSteps& p, const Device& d, bool rows) {
  Alignment a{.rows = rows,
              .moves = {},
              .both = {},
              .words = {},
              .issue = issue_cycles(d, shift_actions()),
              .finish = task_cycles(d, shift_actions()),
              .rise = {},
              .tally = {}};
  const int length = rows ? p.w : p.h;
  if (length == 1) return a;
  const std::vector<int64_t>& hops = rows ? p.x_hops : p.y_hops;
  const std::vector<int64_t>& size = rows ? p.rows : p.n;
  const int64_t k_most = *std::max_element(p.k.begin(), p.k.end()), hops_most = *std::max_element(hops.begin(), hops.end());
  const Packing packing = rows ? p.a : p.b, wavelets = by_wavelet(d, packing);
  const Crossings crossing[] = {crossings(p, rows, false), crossings(p, rows, true)};
  StreamActions actions;
  for (const Range& own : rows ? p.own_rows : p.own_cols) {
    int64_t moves[] = {0, 0}, held = 0;
    for (int64_t l = own.begin; l < own.end; l++) {
      int64_t& most = moves[goes_down(l, p.L) ? 1 : 0];
      most = std::max(most, distance(l, p.L));
      held = checked_add(held, size[static_cast<size_t>(l)]);
    }
    const int64_t elements = checked_mul(held, k_most);
    checked_mul(elements, packing.bits);
    const int64_t words = packing.wavelets(elements);
    a.moves.push_back(std::max(moves[0], moves[1]));
    a.both.push_back(std::min(moves[0], moves[1]));
    a.words.push_back(words);
    a.rise = larger(a.rise, Bound(a.moves.back()) * (Bound(2 * (a.issue + a.finish) + p.latency + hops_most) + words));
    for (const int down : {0, 1}) {
      actions = actions + checked_mul(moves[down], length) * shift_actions();
      for (int64_t t = 0; t < moves[down]; t++) {
        int64_t going = 0;
        for (int64_t l = own.begin; l < own.end; l++)
          if (goes_down(l, p.L) == (down != 0) && t < distance(l, p.L)) going += size[static_cast<size_t>(l)];
        const Crossings& c = crossing[down];
        for (size_t k = 0; k < c.sizes.size(); k++) {
          const size_t at = static_cast<size_t>(t) * c.sizes.size() + k;
          const int64_t each = wavelets.wavelets(going * c.sizes[k]);
          a.tally.wavelets = checked_add(a.tally.wavelets, checked_mul(each, c.cores[at]));
          a.tally.hops = checked_add(a.tally.hops, checked_mul(each, c.hops[at]));
        }
      }
    }
  }
  a.tally.received = a.tally.wavelets;
  book_product_actions(d, actions, 0, 0, a.tally);
  return a;
}

template <class T>
void align(const Alignment& a, std::vector<T>& clocks, const ProductSteps& p) {
  const int lines = static_cast<int>(a.moves.size()), length = a.rows ? p.w : p.h;
  const auto moves_of = [&](int64_t senses) {
    AlignLine<T> one{.hops = {},
                     .issue = static_cast<T>(senses * a.issue),
                     .finish = static_cast<T>(senses * a.finish),
                     .latency = static_cast<T>(p.latency)};
    for (int64_t v : a.rows ? p.x_hops : p.y_hops) one.hops.push_back(static_cast<T>(v));
    return one;
  };
  const AlignLine<T> one = moves_of(1), two = moves_of(2);
  parallel_for(0, lines, 16, [&](int64_t begin, int64_t end) {
    std::vector<T> t(static_cast<size_t>(length) + 1), scratch;
    for (int64_t line = begin; line < end; line++) {
      auto at = [&](int q) -> T& {
        const size_t i = static_cast<size_t>(a.rows ? line : q), j = static_cast<size_t>(a.rows ? q : line);
        return clocks[i * static_cast<size_t>(p.w) + j];
      };
      for (int q = 0; q < length; q++) t[static_cast<size_t>(q)] = at(q);
      const size_t l = static_cast<size_t>(line);
      align_line(two, t, scratch, static_cast<T>(a.words[l]), a.both[l]);
      align_line(one, t, scratch, static_cast<T>(a.words[l]), a.moves[l] - a.both[l]);
      for (int q = 0; q < length; q++) at(q) = t[static_cast<size_t>(q)];
    }
  });
}
template void align(const Alignment&, std::vector<uint32_t>&, const ProductSteps&);
template void align(const Alignment&, std::vector<uint64_t>&, const ProductSteps&);

}  // namespace wafer::time
