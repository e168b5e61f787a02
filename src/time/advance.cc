#include "time/advance.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/parallel.h"
#include "mesh/cut.h"
#include "mesh/expand.h"
#include "mesh/visit.h"
#include "time/product_memo.h"
#include "time/product_schedule.h"

namespace wafer::time {

using namespace mesh;

namespace {

struct HoldsOf {
  Holds operator()(const Local&) const { return {.main = true}; }
  Holds operator()(const Opaque&) const { return {.main = true}; }
  Holds operator()(const Reduce&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
  Holds operator()(const RingReduce&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
  Holds operator()(const RootReduce&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
  Holds operator()(const Multicast&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
  // A send and a receive, each in the background.
  Holds operator()(const Shift&) const { return {.ramp_in = true, .ramp_out = true, .background = 2}; }
  Holds operator()(const RowShift&) const { return {.ramp_in = true, .ramp_out = true, .background = 2}; }
  Holds operator()(const TileCast&) const { return {.ramp_in = true, .ramp_out = true, .background = 2}; }
  Holds operator()(const Send&) const { return {.main = true, .ramp_in = false, .ramp_out = true}; }
  Holds operator()(const Receive&) const { return {.main = true, .ramp_in = true, .ramp_out = false}; }
  Holds operator()(const Host& h) const { return {.main = true, .ramp_in = !h.to_host, .ramp_out = h.to_host}; }
  Holds operator()(const Loop&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
  Holds operator()(const Product&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
  Holds operator()(const Group&) const { return {.main = true, .ramp_in = true, .ramp_out = true}; }
};

// What joins a line of cores is written along y: f() gets the clocks so that the axis is y.
template <class T, class F>
void along_y(Clocks<T>& c, Axis axis, const F& f) {
  if (axis == Axis::y) return f(c);
  Clocks<T> turned = transposed(c);
  f(turned);
  c = transposed(turned);
}

// Elements that the core at a position of a line along an axis holds.
int64_t held_on_line(const StepSizes& sizes, BufferId id, const Scope& s, Axis axis, int line, int64_t position) {
  const int p = static_cast<int>(position);
  return axis == Axis::y ? sizes.held(id, s, line, p) : sizes.held(id, s, p, line);
}

}  // namespace

Holds holds_of(const Step& step) { return std::visit(HoldsOf{}, step.what); }

template <class T>
void Advance::local(Clocks<T>& c, const Local& op, const Scope& s, Tally& tally) const {
  std::vector<int> rep_x, rep_y;
  const std::vector<int> cx = sizes.classes(op, s, Axis::x, c.w, rep_x), cy = sizes.classes(op, s, Axis::y, c.h, rep_y);
  const bool bottom_only = op.op == LocalOp::store_rows && sizes.tensor(op.in[0]).dims.size() == 1;
  std::vector<std::vector<LocalCost>> cost(rep_y.size(), std::vector<LocalCost>(rep_x.size()));
  int64_t most = 0;
  for (size_t k = 0; k < rep_y.size(); k++)
    for (size_t q = 0; q < rep_x.size(); q++) {
      if (bottom_only && rep_y[k] != c.h - 1) continue;
      cost[k][q] = local_cost(device, program.numerics, op.op, sizes.local_size(op, s, rep_x[q], rep_y[k]));
      most = std::max(most, cost[k][q].cycles);
    }
  if (!fits(c, most)) return;
  std::vector<T> row_cost(static_cast<size_t>(c.w));
  for (size_t k = 0; k < rep_y.size(); k++) {
    const int64_t rows_of_class = std::count(cy.begin(), cy.end(), static_cast<int>(k));
    for (size_t q = 0; q < rep_x.size(); q++) {
      const LocalCost& one = cost[k][q];
      const int64_t cores = rows_of_class * std::count(cx.begin(), cx.end(), static_cast<int>(q));
      tally.compute += static_cast<double>(one.cycles) * static_cast<double>(cores);
      tally.multiply_adds = checked_add(tally.multiply_adds, checked_mul(one.multiply_adds, cores));
      tally.actions = tally.actions + cores * one.actions;
    }
    for (int x = 0; x < c.w; x++)
      row_cost[static_cast<size_t>(x)] = static_cast<T>(cost[k][static_cast<size_t>(cx[static_cast<size_t>(x)])].cycles);
    for (int y = 0; y < c.h; y++)
      if (cy[static_cast<size_t>(y)] == static_cast<int>(k)) add_to_row(c.row(y), row_cost.data(), c.w);
  }
  c.most = Clocks<T>::kUnknown;
}

// The same on every core.
template <class T>
void Advance::opaque(Clocks<T>& c, const Opaque& step, Tally& tally) const {
  const LocalCost cost = work_cost(device, step.work);
  if (!fits(c, cost.cycles)) return;
  const int64_t cores = static_cast<int64_t>(c.w) * c.h;
  tally.compute += static_cast<double>(cost.cycles) * static_cast<double>(cores);
  tally.multiply_adds = checked_add(tally.multiply_adds, checked_mul(cost.multiply_adds, cores));
  tally.actions = tally.actions + cores * cost.actions;
  const std::vector<T> row(static_cast<size_t>(c.w), static_cast<T>(cost.cycles));
  for (int y = 0; y < c.h; y++) add_to_row(c.row(y), row.data(), c.w);
  c.most = Clocks<T>::kUnknown;
}

template <class T>
void Advance::reduce(Clocks<T>& c, const Reduce& r, const Scope& s, Tally& tally) const {
  // The same words on all cores of a run.
  const int lines = r.axis == Axis::y ? c.w : c.h;
  ReduceWords words;
  for (const Range& run : r.forest.runs) {
    std::vector<int64_t> all(static_cast<size_t>(lines), 0), cast = all;
    for (int l = 0; l < lines; l++)
      for (const ReducePart& part : r.parts) {
        const int64_t n = wavelets(device, sizes.tensor(part.buffer).dtype, held_on_line(sizes, part.buffer, s, r.axis, l, run.begin));
        all[static_cast<size_t>(l)] += n;
        if (part.broadcast) cast[static_cast<size_t>(l)] += n;
      }
    words.all.push_back(std::move(all));
    words.cast.push_back(std::move(cast));
  }
  const bool fp16 =
      std::any_of(r.parts.begin(), r.parts.end(), [&](const ReducePart& part) { return sizes.tensor(part.buffer).dtype == Dtype::f16; });
  const Issue issue = issue_of(program, r);
  along_y(c, r.axis, [&](Clocks<T>& lines_along_y) { time_reduce(lines_along_y, device, r.forest, issue, words, fp16, tally); });
}

template <class T>
void Advance::ring_reduce(Clocks<T>& c, const RingReduce& r, const Scope& s, Tally& tally) const {
  std::vector<Dtype> types;
  for (const ReducePart& part : r.parts) types.push_back(sizes.tensor(part.buffer).dtype);
  std::vector<std::vector<std::vector<int64_t>>> held(r.runs.size());
  for (size_t i = 0; i < r.runs.size(); i++)
    for (int l = 0; l < (r.axis == Axis::y ? c.w : c.h); l++) {
      std::vector<int64_t> n;
      for (const ReducePart& part : r.parts) n.push_back(held_on_line(sizes, part.buffer, s, r.axis, l, r.runs[i].begin));
      held[i].push_back(std::move(n));
    }
  along_y(c, r.axis, [&](Clocks<T>& lines_along_y) { time_ring_reduce(lines_along_y, device, r, types, held, tally); });
}

// The owner is known at run time only: the farthest one is assumed (too long by at most the line). Relayed from core to core.
template <class T>
void Advance::multicast(Clocks<T>& c, const Multicast& m, const Scope& s, Tally& tally) const {
  const bool along_x = m.axis == Axis::x;
  const int length = along_x ? c.w : c.h, lines = along_x ? c.h : c.w;
  ReduceWords words{.all = {{}}, .cast = {std::vector<int64_t>(static_cast<size_t>(lines), 0)}};
  for (int l = 0; l < lines; l++)
    words.all[0].push_back(wavelets(device, sizes.tensor(m.buffer).dtype, held_on_line(sizes, m.buffer, s, m.axis, l, 0)));
  Tree chain{.size = length, .root = length - 1, .levels = {}};
  if (length > 1) {
    Chain all(static_cast<size_t>(length));
    std::iota(all.begin(), all.end(), 0);
    chain.levels = {{all}};
  }
  const Forest relay{.runs = {{0, length}}, .trees = {chain}};
  const bool fp16 = sizes.tensor(m.buffer).dtype == Dtype::f16;
  along_y(c, m.axis, [&](Clocks<T>& lines_along_y) { time_reduce(lines_along_y, device, relay, Issue{}, words, fp16, tally); });
}

template <class T>
void Advance::row_shift(Clocks<T>& c, const RowShift& shift, const Scope& s, Tally& tally) const {
  const int64_t issue = stream_issue_cycles(device), way = 2 * device.ramp_cycles + device.hop_cycles;
  const int64_t n = s.params.cached, first = c.h - n % c.h;  // rows from `first` on pass an entry up
  std::vector<int64_t> words(static_cast<size_t>(c.w), 0);
  std::vector<T> cycles(words.size(), 0);
  for (int x = 0; x < c.w; x++)
    for (BufferId id : shift.buffers) words[static_cast<size_t>(x)] += wavelets(device, sizes.tensor(id).dtype, sizes.held(id, 1, s, x, 0));
  const int64_t most = stream_cycles(device, *std::max_element(words.begin(), words.end()));
  if (!fits(c, Bound(most) + issue + issue + way)) return;
  for (size_t x = 0; x < words.size(); x++) cycles[x] = static_cast<T>(stream_cycles(device, words[x]));
  for (int64_t y = std::max<int64_t>(1, first); y < c.h; y++) {
    // Row y sends to y - 1; the rows go on at the same time, so row y's own receive (from y + 1) comes later in this loop.
    T *from = c.row(static_cast<int>(y)), *to = c.row(static_cast<int>(y) - 1);
    for (int x = 0; x < c.w; x++) {
      const T w = cycles[static_cast<size_t>(x)];
      const T done = from[x] + static_cast<T>(issue) + w;
      to[x] = w == 0 ? to[x] : std::max(to[x] + static_cast<T>(y == first ? issue : 0), done + static_cast<T>(way));
      from[x] = w == 0 ? from[x] : done;
    }
  }
  c.most = Clocks<T>::kUnknown;
  const int64_t rows = c.h - std::max<int64_t>(1, first), all = std::accumulate(words.begin(), words.end(), int64_t{0}),
                busy = std::accumulate(cycles.begin(), cycles.end(), int64_t{0}), lines = c.w - std::count(words.begin(), words.end(), 0);
  tally.wavelets += rows * all;
  tally.received += rows * all;
  tally.hops += rows * all;
  tally.communicate += 2.0 * static_cast<double>(rows * (busy + lines * issue));
}

// ---- parts of products, standing alone -----------------------------------------------------------------------------------------------

namespace {

// Wavelets of the tile of one logical position: an even share of what the core holds, which owns `own` of them.
int64_t tile_words(const Device& d, const StepSizes& sizes, BufferId buffer, const Scope& s, int x, int y, int64_t own) {
  return wavelets(d, sizes.tensor(buffer).dtype, (sizes.held(buffer, s, x, y) + own - 1) / own);
}

}  // namespace

// A neighbour a step on each ring: what comes starts when its sender does; the step ends with a task (as an alignment's).
template <class T>
void Advance::shift(Clocks<T>& c, const Shift& shift, const Scope& s, Tally& tally) const {
  const bool along_x = shift.axis == Axis::x;
  const int64_t issue = issue_cycles(device, shift_actions()), task = task_cycles(device, shift_actions());
  Clocks<T> before = c;
  for (const Range& run : shift.runs) {
    const int w = static_cast<int>(run.size()), length = along_x ? w : c.h, lines = along_x ? c.h : w, L = std::max(w, c.h);
    if (length == 1) continue;
    for (int line = 0; line < lines; line++) {
      const int across = along_x ? line : static_cast<int>(run.begin) + line;
      int sense = 1;
      if (shift.kind != ShiftKind::ring_down) {
        const int64_t left = logical_positions(position_to_ring(shift.order, line, lines), lines, L).begin;
        if (s.ring_step >= std::min(left, L - left)) continue;
        sense = left <= L - left ? 1 : -1;
      }
      for (int ring = 0; ring < length; ring++) {
        const auto place = [&](int r) {
          const int p = ring_to_position(shift.order, (r + length) % length, length);
          return along_x ? std::pair{static_cast<int>(run.begin) + p, across} : std::pair{across, p};
        };
        const auto [x, y] = place(ring);
        const auto [from_x, from_y] = place(ring + sense);
        const auto owned = [&](int r) { return logical_positions((r + length) % length, length, L).size(); };
        const int64_t out = tile_words(device, sizes, shift.buffer, s, x, y, owned(ring)),
                      in = tile_words(device, sizes, shift.buffer, s, from_x, from_y, owned(ring + sense));
        const int64_t hops = std::abs(x - from_x) + std::abs(y - from_y), sends = issue + stream_cycles(device, out) + task,
                      takes = issue + 2 * device.ramp_cycles + hops * device.hop_cycles + stream_cycles(device, in) + task;
        if (!fits(before, std::max(sends, takes))) {
          c.too_wide = true;
          return;
        }
        c.row(y)[x] = std::max(before.row(y)[x] + static_cast<T>(sends), before.row(from_y)[from_x] + static_cast<T>(takes));
        tally.wavelets += out;
        tally.received += in;
        tally.hops += in * hops;
        tally.communicate += static_cast<double>(out + in);
        book_product_actions(device, shift_actions(), 0, 0, tally);
      }
    }
  }
  c.most = Clocks<T>::kUnknown;
}

// From the owner of the turn's block to all of its line; or all tiles of a line to all its cores, which take them one after the other.
template <class T>
void Advance::tile_cast(Clocks<T>& c, const TileCast& cast, const Scope& s, Tally& tally) const {
  const bool along_x = cast.axis == Axis::x;
  const int length = along_x ? c.w : c.h, lines = along_x ? c.h : c.w, L = std::max(c.w, c.h);
  const int64_t issue = issue_cycles(device, cast_actions()), task = task_cycles(device, cast_actions()), block = s.ring_step + cast.ahead;
  if (length == 1 || (!cast.all && block >= L)) return;
  const Clocks<T> before = c;
  const auto clock = [&](auto& of, int line, int p) -> auto& {
    return along_x ? of.t[static_cast<size_t>(line) * static_cast<size_t>(c.w) + static_cast<size_t>(p)]
                   : of.t[static_cast<size_t>(p) * static_cast<size_t>(c.w) + static_cast<size_t>(line)];
  };
  for (int line = 0; line < lines; line++)
    for (int owner = 0; owner < length; owner++) {
      const Range mine = logical_positions(owner, length, L);
      if (!cast.all && (block < mine.begin || block >= mine.end)) continue;
      const int64_t words =
          tile_words(device, sizes, cast.buffer, s, along_x ? owner : line, along_x ? line : owner, cast.all ? 1 : mine.size());
      const int64_t farthest = std::max(owner, length - 1 - owner), passes = stream_cycles(device, words);
      if (!fits(c, Bound(issue + issue + 2 * device.ramp_cycles + farthest * device.hop_cycles) + passes + task)) return;
      const T sent = clock(before, line, owner) + static_cast<T>(issue);
      for (int p = 0; p < length; p++) {
        T& at = clock(c, line, p);
        if (p == owner) {
          at = std::max(at, sent) + static_cast<T>(passes + task);
          continue;
        }
        const T first = sent + static_cast<T>(2 * device.ramp_cycles + std::abs(p - owner) * device.hop_cycles);
        at = std::max(at + static_cast<T>(issue), first) + static_cast<T>(passes + task);
      }
      tally.wavelets += words * (length - 1);  // each copy, as it is taken
      tally.received += words * (length - 1);
      tally.hops += words * (length - 1);
      tally.communicate += static_cast<double>(length) * static_cast<double>(passes);
      book_product_actions(device, int64_t{length} * cast_actions(), 0, 0, tally);
      c.most = Clocks<T>::kUnknown;
    }
}

// Each row, in each run, sums to the column that owns the block of its step: two chains of neighbours.
template <class T>
void Advance::root_reduce(Clocks<T>& c, const RootReduce& r, const Scope& s, Tally& tally) const {
  for (const Range& run : r.runs) {
    const int w = static_cast<int>(run.size()), L = std::max(w, c.h);
    for (int y = 0; y < c.h && w > 1; y++) {
      const int64_t block = (logical_positions(position_to_ring(y, c.h), c.h, L).begin + s.ring_step) % L;
      int root = 0;
      while (logical_positions(position_to_ring(root, w), w, L).begin > block ||
             logical_positions(position_to_ring(root, w), w, L).end <= block)
        root++;
      Clocks<T> row{.w = 1, .h = w, .t = {}, .base = c.base};
      row.t.assign(c.row(y) + run.begin, c.row(y) + run.end);
      const int64_t words = wavelets(device, sizes.tensor(r.partial).dtype, sizes.held(r.partial, s, static_cast<int>(run.begin), y));
      time_reduce(row, device, {.runs = {{0, w}}, .trees = {two_sided_chain(w, root)}}, Issue{}, {.all = {{words}}, .cast = {{0}}},
                  sizes.tensor(r.partial).dtype == Dtype::f16, tally);
      c.too_wide = c.too_wide || row.too_wide;
      std::copy(row.t.begin(), row.t.end(), c.row(y) + run.begin);
    }
  }
  c.most = Clocks<T>::kUnknown;
}

// Over the upper or the left edge, on the axis along which all cores have the values; nobody waits for them.
template <class T>
void Advance::to_host(Clocks<T>& c, const Host& link, const Scope& s, RegionId region, Tally& tally) const {
  const Rect r = program.regions[region].rect;
  const auto cut = [&](Axis axis) {
    const std::vector<DimCut>& cuts = sizes.buffer(link.buffer).cuts;
    return std::any_of(cuts.begin(), cuts.end(), [&](const DimCut& d) { return d.axis == axis && d.cut.kind != CutKind::whole; });
  };
  const bool x_cut = cut(Axis::x), y_cut = cut(Axis::y);
  for (int y = 0; y < (y_cut ? c.h : 1); y++)
    for (int x = 0; x < (x_cut ? c.w : 1); x++) {
      const int64_t words = wavelets(device, sizes.tensor(link.buffer).dtype, sizes.held(link.buffer, s, x, y));
      if (words == 0) continue;
      const int64_t cycles = stream_issue_cycles(device) + stream_cycles(device, words);
      if (!fits(c, cycles)) return;
      c.row(y)[x] += static_cast<T>(cycles);
      c.most = Clocks<T>::kUnknown;
      tally.wavelets += words;
      tally.received += words;
      tally.hops += words * (x_cut ? r.y + y + 1 : r.x + x + 1);
      tally.communicate += static_cast<double>(cycles);
    }
}

// ---- products ------------------------------------------------------------------------------------------------------------------------

template <class T>
void Advance::product(Clocks<T>& c, const Step& step, const Product& g, const Scope& s, RegionId region, Tally& tally) const {
  const ProductSchedule schedule = schedule_of(expand(program, step));
  std::vector<ProductSizes> all;
  for (size_t r = 0; r < g.runs.size(); r++) {
    int64_t first_head = static_cast<int64_t>(r), heads = 1;
    if (g.heads > c.w) {
      const Range own = heads_at(g.heads, c.w, static_cast<int>(g.runs[r].begin));
      first_head = own.begin;
      heads = own.size();
    }
    ProductSizes z = sizes.product_sizes(g, s, g.runs[r], first_head, region);
    z.heads = heads;
    z.align_a = schedule.align_a;
    z.align_b = schedule.align_b;
    z.overlap = schedule.overlap;
    z.together = options.step_start == StepStart::as_written ? schedule.together : options.step_start == StepStart::together;
    all.push_back(std::move(z));
  }
  const auto one = [&](const ProductSizes& z, Tally& into) {
    switch (g.algorithm) {
      case Algorithm::mesh_gemm:
      case Algorithm::cannon: return time_gemm(c, device, program.numerics, z, options.ring_steps, into);
      case Algorithm::gemm_t: return time_gemm_t(c, device, program.numerics, z, options.ring_steps, into);
      case Algorithm::summa: return time_gemm_cast(c, device, program.numerics, z, into);
      case Algorithm::allgather: return time_gemm_gather(c, device, program.numerics, z, into);
    }
  };
  // The runs have different columns, so that they do not touch each other's clocks.
  const auto time = [&](Tally& into) {
    std::vector<Tally> tallies(all.size());
    parallel_for(0, static_cast<int64_t>(all.size()), 1, [&](int64_t begin, int64_t end) {
      for (size_t r = static_cast<size_t>(begin); r < static_cast<size_t>(end); r++) one(all[r], tallies[r]);
    });
    for (const Tally& t : tallies) add(into, t);
  };
  if constexpr (std::is_same_v<T, uint32_t>) {
    if (options.products != nullptr && core_steps({c.w, c.h}) >= options.products->core_steps) {
      std::vector<int64_t> key = {c.w, c.h, static_cast<int64_t>(g.algorithm), options.ring_steps};
      for (const ProductSizes& z : all) append_key(key, z);
      return remembered(*options.products, c, std::move(key), tally, time);
    }
  }
  time(tally);
}

template <class T>
void Advance::step(Clocks<T>& c, const Step& step, const Scope& s, RegionId region, Tally& tally) const {
  const auto not_here = [](const char* what) { check_failed(__FILE__, __LINE__, "Advance::step", what); };
  visit(
      step, [&](const Local& op) { local(c, op, s, tally); }, [&](const Opaque& op) { opaque(c, op, tally); },
      [&](const Reduce& r) { reduce(c, r, s, tally); }, [&](const RingReduce& r) { ring_reduce(c, r, s, tally); },
      [&](const RootReduce& r) { root_reduce(c, r, s, tally); }, [&](const Multicast& m) { multicast(c, m, s, tally); },
      [&](const TileCast& t) { tile_cast(c, t, s, tally); }, [&](const Shift& t) { shift(c, t, s, tally); },
      [&](const RowShift& t) { row_shift(c, t, s, tally); }, [&](const Product& g) { product(c, step, g, s, region, tally); },
      [&](const Host& link) {
        CHECK(link.to_host, "what comes from the host holds the whole region");
        to_host(c, link, s, region, tally);
      },
      [&](const Send&) { not_here("a send"); }, [&](const Receive&) { not_here("a receive"); }, [&](const Loop&) { not_here("a loop"); },
      [&](const Group&) { not_here("a group"); });
}

template void Advance::step(Clocks<uint32_t>&, const Step&, const Scope&, RegionId, Tally&) const;
template void Advance::step(Clocks<uint64_t>&, const Step&, const Scope&, RegionId, Tally&) const;

}  // namespace wafer::time
