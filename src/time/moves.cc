#include "time/moves.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "mesh/bytes.h"

namespace wafer::time {

using namespace mesh;

namespace {

// Positions of the device along one axis.
struct Span {
  int begin = 0, end = 0;
};
Span span_of(const Rect& r, Axis axis) { return axis == Axis::x ? Span{r.x, r.x + r.w} : Span{r.y, r.y + r.h}; }

struct Place {
  const StepSizes& sizes;
  BufferId buffer;
  const Scope& scope;

  const Tensor& tensor() const { return sizes.tensor(buffer); }
  Rect rect() const { return sizes.program.regions[sizes.buffer(buffer).region].rect; }

  std::vector<const DimCut*> cuts(Axis axis) const {
    std::vector<const DimCut*> out;
    for (const DimCut& c : sizes.buffer(buffer).cuts)
      if (c.axis == axis && c.cut.kind != CutKind::whole) out.push_back(&c);
    return out;
  }
  int64_t size(int dim) const { return sizes.size_of(buffer, static_cast<size_t>(dim), scope); }

  // What each position along an axis puts into the element count, or into the byte count, of a core.
  std::vector<int64_t> factors(Axis axis, bool in_bytes) const {
    const Span span = span_of(rect(), axis);
    std::vector<int64_t> f(static_cast<size_t>(span.end - span.begin), 1);
    for (const DimCut* c : cuts(axis)) {
      const bool packed = in_bytes && quantised(tensor().dtype) && c->dim == tensor().quantised_dim;
      for (size_t p = 0; p < f.size(); p++) {
        const std::vector<Range> held = ranges_at(c->cut, size(c->dim), static_cast<int>(p));
        f[p] *= packed ? quantised_bytes(tensor().dtype, held) : count(held);
      }
    }
    return f;
  }
  // What all positions share: dimensions that no axis cuts, and the bytes of an element.
  int64_t common(bool in_bytes) const {
    int64_t n = in_bytes && !quantised(tensor().dtype) ? bytes(tensor().dtype, 1) : 1;
    for (size_t d = 0; d < tensor().dims.size(); d++) {
      const auto is_cut = [&](Axis axis) {
        const auto list = cuts(axis);
        return std::any_of(list.begin(), list.end(), [&](const DimCut* c) { return c->dim == static_cast<int>(d); });
      };
      if (is_cut(Axis::x) || is_cut(Axis::y)) continue;
      const bool packed = in_bytes && quantised(tensor().dtype) && static_cast<int>(d) == tensor().quantised_dim;
      n *= packed ? quantised_bytes(tensor().dtype, {{0, size(static_cast<int>(d))}}) : size(static_cast<int>(d));
    }
    return n;
  }
};

// What both ranges of a list hold.
std::vector<Range> in_both(const std::vector<Range>& a, const std::vector<Range>& b) {
  std::vector<Range> out;
  for (const Range& p : a)
    for (const Range& q : b)
      if (std::max(p.begin, q.begin) < std::min(p.end, q.end)) out.push_back({std::max(p.begin, q.begin), std::min(p.end, q.end)});
  return out;
}

// Bytes that lie on their core already, as a factor for each position of `at` along each axis and one for all of them. Zero where the two
// are different tensors, and where a dimension lies along another axis than before: what happens to be in its place there is not counted.
struct Kept {
  std::vector<int64_t> x, y;
  int64_t common = 0;
};
Kept kept(const Place& from, const Place& to, const Place& at) {
  const Rect r = at.rect();
  Kept out{.x = std::vector<int64_t>(static_cast<size_t>(r.w), 1), .y = std::vector<int64_t>(static_cast<size_t>(r.h), 1)};
  if (from.sizes.buffer(from.buffer).tensor != to.sizes.buffer(to.buffer).tensor) return out;
  const Tensor& tensor = to.tensor();
  int64_t common = quantised(tensor.dtype) ? 1 : bytes(tensor.dtype, 1);
  for (const Axis axis : {Axis::x, Axis::y})
    for (int p = span_of(r, axis).begin; p < span_of(r, axis).end; p++)
      for (const Place* place : {&from, &to}) {
        const Span held = span_of(place->rect(), axis);
        if (p < held.begin || p >= held.end) (axis == Axis::x ? out.x : out.y)[static_cast<size_t>(p - span_of(r, axis).begin)] = 0;
      }
  for (int dim = 0; dim < static_cast<int>(tensor.dims.size()); dim++) {
    const DimCut *source = nullptr, *destination = nullptr;
    for (const Axis axis : {Axis::x, Axis::y})
      for (const Place* place : {&from, &to})
        for (const DimCut* c : place->cuts(axis)) {
          if (c->dim != dim) continue;
          const DimCut*& own = place == &from ? source : destination;
          if (own != nullptr) return out;  // cut along both axes
          own = c;
        }
    const auto amount = [&](const std::vector<Range>& held) {
      return quantised(tensor.dtype) && dim == tensor.quantised_dim ? quantised_bytes(tensor.dtype, held) : count(held);
    };
    if (source == nullptr && destination == nullptr) {
      common *= amount({{0, std::min(from.size(dim), to.size(dim))}});
      continue;
    }
    if (source != nullptr && destination != nullptr && source->axis != destination->axis) return out;
    const Axis axis = (source != nullptr ? source : destination)->axis;
    const Span span = span_of(r, axis);
    for (int p = span.begin; p < span.end; p++) {
      int64_t& factor = (axis == Axis::x ? out.x : out.y)[static_cast<size_t>(p - span.begin)];
      if (factor == 0) continue;
      const auto held = [&](const Place& place, const DimCut* c) -> std::vector<Range> {
        if (c == nullptr) return {{0, place.size(dim)}};
        return ranges_at(c->cut, place.size(dim), p - span_of(place.rect(), axis).begin);
      };
      factor *= amount(in_both(held(from, source), held(to, destination)));
    }
  }
  out.common = common;
  return out;
}

// The most that a core holds beyond what it keeps.
int64_t most_beyond(int64_t common, const std::vector<int64_t>& x, const std::vector<int64_t>& y, const Kept& k) {
  const auto distinct = [](const std::vector<int64_t>& held, const std::vector<int64_t>& same) {
    std::set<std::pair<int64_t, int64_t>> out;
    for (size_t i = 0; i < held.size(); i++) out.insert({held[i], same[i]});
    return out;
  };
  int64_t most = 0;
  for (const auto& [held_x, same_x] : distinct(x, k.x))
    for (const auto& [held_y, same_y] : distinct(y, k.y)) most = std::max(most, common * held_x * held_y - k.common * same_x * same_y);
  return most;
}

// Whether no core has to send to others what it keeps: along each axis an element has one place, or the places that it had.
bool one_place_each(const Place& from, const Place& to) {
  for (const Axis axis : {Axis::x, Axis::y}) {
    const Span s = span_of(from.rect(), axis), d = span_of(to.rect(), axis);
    const bool stays = from.cuts(axis).empty() && d.begin >= s.begin && d.end <= s.end;
    if (to.cuts(axis).empty() && d.end - d.begin > 1 && !stays) return false;
  }
  return true;
}

int64_t most(const std::vector<int64_t>& v) { return *std::max_element(v.begin(), v.end()); }
int64_t sum(const std::vector<int64_t>& v) { return std::accumulate(v.begin(), v.end(), int64_t{0}); }

// The device position of each index of a dimension along an axis; -1 where nobody has it.
std::vector<int> positions_of(const Place& place, const DimCut& c, Axis axis) {
  const Span span = span_of(place.rect(), axis);
  std::vector<int> at(static_cast<size_t>(place.size(c.dim)), -1);
  for (int p = span.begin; p < span.end; p++)
    for (const Range& r : ranges_at(c.cut, place.size(c.dim), p - span.begin))
      for (int64_t i = r.begin; i < r.end; i++) at[static_cast<size_t>(i)] = p;
  return at;
}

// How much of each unit crosses each boundary between two positions, in both directions.
struct Crossing {
  int low = 0;                   // the first position
  std::vector<double> up, down;  // [boundaries] between position low + b - 1 and low + b
  int farthest = 0;

  explicit Crossing(Span a, Span b) : low(std::min(a.begin, b.begin)) {
    const auto n = static_cast<size_t>(std::max(a.end, b.end) - low + 1);
    up.assign(n, 0);
    down.assign(n, 0);
  }
  // One unit from a place of [s.begin, s.end), all of which have it, to all of [d.begin, d.end): marks of a running sum.
  void add(Span s, Span d) {
    const auto at = [&](int p) { return static_cast<size_t>(p - low); };
    if (d.end > s.end) {  // to places above the source
      const int from = s.end - 1;
      up[at(from) + 1]++;
      up[at(d.end - 1) + 1]--;
      farthest = std::max(farthest, d.end - 1 - from);
    }
    if (d.begin < s.begin) {
      down[at(d.begin) + 1]++;
      down[at(s.begin) + 1]--;
      farthest = std::max(farthest, s.begin - d.begin);
    }
  }
  void finish() {
    std::partial_sum(up.begin(), up.end(), up.begin());
    std::partial_sum(down.begin(), down.end(), down.begin());
  }
  double most() const { return std::max(*std::max_element(up.begin(), up.end()), *std::max_element(down.begin(), down.end())); }
  double all() const { return std::accumulate(up.begin(), up.end(), 0.0) + std::accumulate(down.begin(), down.end(), 0.0); }
};

// What crosses the links of one axis: of a unit, and how many units lie on the busiest line and on all lines.
struct AxisLoad {
  Crossing crossing;
  double line = 0, all_lines = 0;  // elements a unit stands for
};

// first: the axis along which elements go first.
AxisLoad load_along(const Place& from, const Place& to, Axis axis, Axis first) {
  const Span s = span_of(from.rect(), axis), d = span_of(to.rect(), axis);
  const std::vector<const DimCut*> source = from.cuts(axis), destination = to.cuts(axis);
  const int64_t elements = to.common(false) * sum(to.factors(Axis::x, false)) * sum(to.factors(Axis::y, false));
  AxisLoad out{.crossing = Crossing(s, d)};
  // On the first way elements lie on the lines of the source, on the second on those of the destination.
  const Place& lines_of = axis == first ? from : to;
  const auto held_per_index = [&](int64_t indices) {
    const std::vector<int64_t> lines = lines_of.factors(other(axis), false);
    // Where the place does not cut the dimension here, what is common to its cores holds all of its indices.
    const double each = static_cast<double>(lines_of.common(false)) / static_cast<double>(lines_of.cuts(axis).empty() ? indices : 1);
    out.line = each * static_cast<double>(most(lines));
    out.all_lines = each * static_cast<double>(sum(lines));
  };
  if (source.empty() && destination.empty()) {
    held_per_index(1);
    out.crossing.add(s, d);
    out.crossing.finish();
    return out;
  }
  const bool one_each = source.size() <= 1 && destination.size() <= 1;
  if (one_each && (source.empty() || destination.empty() || source[0]->dim == destination[0]->dim)) {
    const int dim = (source.empty() ? destination : source)[0]->dim;
    const auto indices = static_cast<size_t>(to.size(dim));
    if (indices == 0) return out;
    held_per_index(static_cast<int64_t>(indices));
    const std::vector<int> at = source.empty() ? std::vector<int>() : positions_of(from, *source[0], axis),
                           goes = destination.empty() ? std::vector<int>() : positions_of(to, *destination[0], axis);
    for (size_t i = 0; i < indices; i++) {
      const Span here = at.empty() ? s : Span{at[i], at[i] + 1}, there = goes.empty() ? d : Span{goes[i], goes[i] + 1};
      if (here.begin >= 0 && there.begin >= 0) out.crossing.add(here, there);
    }
    out.crossing.finish();
    return out;
  }
  // Other dimensions than before: each position's elements go to all positions of the destination, by their shares.
  const std::vector<int64_t> leaves = from.factors(axis, false), arrives = to.factors(axis, false);
  const double all_leave = static_cast<double>(sum(leaves)), all_arrive = static_cast<double>(sum(arrives));
  if (all_leave == 0 || all_arrive == 0) return out;
  double left = 0, right = 0;  // shares below the boundary: of what leaves, of what arrives
  for (size_t b = 1; b < out.crossing.up.size(); b++) {
    const int p = out.crossing.low + static_cast<int>(b) - 1;
    if (p >= s.begin && p < s.end) left += static_cast<double>(leaves[static_cast<size_t>(p - s.begin)]) / all_leave;
    if (p >= d.begin && p < d.end) right += static_cast<double>(arrives[static_cast<size_t>(p - d.begin)]) / all_arrive;
    out.crossing.up[b] = std::max(0.0, left * (1 - right));
    out.crossing.down[b] = std::max(0.0, (1 - left) * right);
  }
  out.crossing.farthest = static_cast<int>(out.crossing.up.size()) - 2;
  const Span lines = span_of(lines_of.rect(), other(axis));
  out.line = static_cast<double>(elements) / static_cast<double>(lines.end - lines.begin);
  out.all_lines = static_cast<double>(elements);
  return out;
}

}  // namespace

MoveLoad move_load(const StepSizes& sizes, const Device& device, const Move& move, const Scope& scope) {
  const Place from{sizes, move.source, scope}, to{sizes, move.destination, scope};
  const Place& carrier = move.kind == MoveKind::row_in ? from : to;  // of one row: the side that holds no other rows
  const std::vector<int64_t> x = carrier.factors(Axis::x, true), y = carrier.factors(Axis::y, true);
  const int64_t wavelet_bytes = std::max<int64_t>(1, device.wavelet_bits / 8);
  const auto words = [&](double n) { return static_cast<int64_t>(std::ceil(n / static_cast<double>(wavelet_bytes) - 1e-9)); };
  const int64_t common = carrier.common(true), total = common * sum(x) * sum(y);
  MoveLoad out{
      .words = words(static_cast<double>(common * most(x) * most(y))), .all_words = words(static_cast<double>(total)), .words_out = 0};
  out.words_out = out.words;
  const Rect a = from.rect(), b = to.rect();
  if (move.kind != MoveKind::relay) {
    // The row's place in the other buffer is known at run time only: each core that has a part of it sends it over the distance between
    // the regions and spreads it along the lines of the destination.
    const int64_t apart = std::abs(a.x - b.x) + std::abs(a.y - b.y);
    out.x_first = out.y_first = {.hops = out.all_words * std::max<int64_t>(1, apart), .distance = apart + b.w + b.h};
    return out;
  }
  const Kept stays = kept(from, to, to);
  out.words = words(static_cast<double>(most_beyond(common, x, y, stays)));
  out.all_words = words(static_cast<double>(total - stays.common * sum(stays.x) * sum(stays.y)));
  if (out.all_words == 0) return out = {};
  const Kept own = one_place_each(from, to) ? kept(from, to, from) : Kept{};
  const std::vector<int64_t> from_x = from.factors(Axis::x, true), from_y = from.factors(Axis::y, true);
  out.words_out = words(static_cast<double>(own.common == 0 ? from.common(true) * most(from_x) * most(from_y)
                                                            : most_beyond(from.common(true), from_x, from_y, own)));
  const int64_t elements = common == 0 ? 0 : to.common(false) * sum(to.factors(Axis::x, false)) * sum(to.factors(Axis::y, false));
  if (elements == 0) return out;
  const double bytes_each = static_cast<double>(total) / static_cast<double>(elements);
  const auto way = [&](Axis first) {
    MoveWay w;
    for (const Axis axis : {Axis::x, Axis::y}) {
      const AxisLoad load = load_along(from, to, axis, first);
      (axis == Axis::x ? w.link_x : w.link_y) = words(load.crossing.most() * load.line * bytes_each);
      w.hops += words(load.crossing.all() * load.all_lines * bytes_each);
      w.distance += load.crossing.farthest;
    }
    return w;
  };
  out.x_first = way(Axis::x);
  out.y_first = way(Axis::y);
  return out;
}

}  // namespace wafer::time
