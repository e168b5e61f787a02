// The walk of time() through an entry: one set of clocks for each region, one line of the report for each named step.
#include "time/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <set>

#include "base/check.h"
#include "base/parallel.h"
#include "mesh/builder.h"
#include "mesh/schedule.h"
#include "time/clocks.h"
#include "time/product_memo.h"
#include "time/step_sizes.h"

namespace wafer::time {

using namespace mesh;

namespace {

struct Timer {
  struct Start {
    ClockStats known;
    TimeReport report;
    uint64_t latest = 0;
  };

  // What the turns of a loop did until the rest of them was known, from clocks that were all equal.
  struct Turns {
    int64_t count = 0;
    std::vector<uint32_t> t;
    uint64_t base = 0;                        // after the start
    ClockStats all, latest_turn;              // by how much they moved the clocks; of latest_turn: latest alone
    TimeReport report, report_before_latest;  // lines after the turns, and before the latest of them, less those at the start
    PhaseId routes{};
  };

  const Program& program;
  const Device& device;
  const TimeOptions& options;
  StepSizes sizes{program};
  TimeReport report{};
  std::map<std::string, size_t> line_of;  // name -> report.steps
  uint64_t latest = 0;                    // of all regions
  IdVector<RegionId, Clocks> clocks;      // [regions]
  std::map<std::string, Turns> known_turns;
  size_t region_lists = 1;                          // region lists of the entry
  IdVector<RegionId, ClockStats> known_stats;       // [regions] of clocks with their floor
  std::map<MoveId, int64_t> sent;                   // [moves]
  IdVector<RegionId, PhaseId> routes_of;            // [regions] the phase whose routes are set; none: not known yet
  std::map<RegionId, uint64_t> receiver_free;       // [regions] when the links of a region have carried the relayouts sent to it so far
  std::map<MoveId, std::deque<uint64_t>> arrivals;  // [moves] times at which a sent value is at its place

  // ---- steps -----------------------------------------------------------------------------------------------------------------------

  void local(Clocks& c, const Local& op, const Scope& s, Tally& tally) const {
    std::vector<int> rep_x, rep_y;
    const std::vector<int> cx = sizes.classes(op, s, Axis::x, c.w, rep_x), cy = sizes.classes(op, s, Axis::y, c.h, rep_y);
    const bool bottom_only = op.op == LocalOp::store_rows && sizes.tensor(op.in[0]).dims.size() == 1;
    std::vector<uint32_t> cost(rep_x.size());
    std::vector<uint32_t> row_cost(static_cast<size_t>(c.w));
    for (size_t k = 0; k < rep_y.size(); k++) {
      const int64_t rows_of_class = std::count(cy.begin(), cy.end(), static_cast<int>(k));
      for (size_t q = 0; q < rep_x.size(); q++) {
        cost[q] = 0;
        if (bottom_only && rep_y[k] != c.h - 1) continue;
        const LocalCost one = op.op == LocalOp::counted
                                  ? counted_cost(device, op.work)
                                  : local_cost(device, program.numerics, op.op, sizes.local_size(op, s, rep_x[q], rep_y[k]));
        cost[q] = static_cast<uint32_t>(one.cycles);
        const int64_t cores = rows_of_class * std::count(cx.begin(), cx.end(), static_cast<int>(q));
        tally.compute += static_cast<double>(one.cycles * cores);
        tally.multiply_adds += one.multiply_adds * cores;
        tally.actions = tally.actions + cores * one.actions;
      }
      for (int x = 0; x < c.w; x++) row_cost[static_cast<size_t>(x)] = cost[static_cast<size_t>(cx[static_cast<size_t>(x)])];
      for (int y = 0; y < c.h; y++) {
        if (cy[static_cast<size_t>(y)] != static_cast<int>(k)) continue;
        add_to_row(c.row(y), row_cost.data(), c.w);
      }
    }
  }

  void reduce(Clocks& c, const Reduce& r, const Scope& s, Tally& tally) const {
    // Wavelets of the payload on each line, for each run: the same on all cores of a run.
    const int lines = r.axis == Axis::y ? c.w : c.h;
    std::vector<std::vector<int64_t>> words;
    for (const Range& run : r.forest.runs) {
      std::vector<int64_t> n(static_cast<size_t>(lines), 0);
      for (int l = 0; l < lines; l++)
        for (const BufferId id : r.payload) {
          const int p = static_cast<int>(run.begin);
          n[static_cast<size_t>(l)] +=
              wavelets(device, sizes.tensor(id).dtype, r.axis == Axis::y ? sizes.held(id, s, l, p) : sizes.held(id, s, p, l));
        }
      words.push_back(std::move(n));
    }
    const bool fp16 = std::any_of(r.payload.begin(), r.payload.end(), [&](BufferId id) { return sizes.tensor(id).dtype == Dtype::f16; });
    if (r.axis == Axis::y) return time_reduce(c, device, r, words, fp16, tally);
    Clocks turned = transposed(c);
    time_reduce(turned, device, r, words, fp16, tally);
    c = transposed(turned);
  }

  void ring_reduce(Clocks& c, const RingReduce& r, const Scope& s, Tally& tally) const {
    std::vector<Dtype> types;
    for (const BufferId id : r.payload) types.push_back(sizes.tensor(id).dtype);
    std::vector<std::vector<std::vector<int64_t>>> held(r.runs.size());
    for (size_t i = 0; i < r.runs.size(); i++)
      for (int l = 0; l < (r.axis == Axis::y ? c.w : c.h); l++) {
        const int p = static_cast<int>(r.runs[i].begin);
        std::vector<int64_t> n;
        for (const BufferId id : r.payload) n.push_back(r.axis == Axis::y ? sizes.held(id, s, l, p) : sizes.held(id, s, p, l));
        held[i].push_back(std::move(n));
      }
    if (r.axis == Axis::y) return time_ring_reduce(c, device, r, types, held, tally);
    Clocks turned = transposed(c);
    time_ring_reduce(turned, device, r, types, held, tally);
    c = transposed(turned);
  }

  // The owner is known at run time only: the farthest one is assumed (too long by at most the line). Relayed from core to core.
  void multicast(Clocks& c, const Multicast& m, const Scope& s, Tally& tally) const {
    CHECK(m.axis == Axis::x, "multicast along x");
    std::vector<std::vector<int64_t>> words(1);
    for (int y = 0; y < c.h; y++) words[0].push_back(wavelets(device, sizes.tensor(m.buffer).dtype, sizes.held(m.buffer, s, 0, y)));
    Clocks turned = transposed(c);
    Tree chain{.size = c.w, .root = c.w - 1, .levels = {}};
    if (c.w > 1) {
      Chain all;
      for (int p = 0; p < c.w; p++) all.push_back(p);
      chain.levels = {{all}};
    }
    time_reduce(turned, device, {.forest = {.runs = {{0, c.w}}, .trees = {chain}}, .broadcast = false}, words,
                sizes.tensor(m.buffer).dtype == Dtype::f16, tally);
    c = transposed(turned);
  }

  void row_shift(Clocks& c, const RowShift& shift, const Scope& s, Tally& tally) const {
    const uint32_t issue = static_cast<uint32_t>(stream_issue_cycles(device)),
                   way = static_cast<uint32_t>(2 * device.ramp_cycles + device.hop_cycles);
    const int64_t n = s.params.cached, first = c.h - n % c.h;  // rows from `first` on pass an entry up
    std::vector<uint32_t> words(static_cast<size_t>(c.w), 0), cycles(words);
    for (int x = 0; x < c.w; x++) {
      const size_t at = static_cast<size_t>(x);
      for (const BufferId id : shift.buffers)
        words[at] += static_cast<uint32_t>(wavelets(device, sizes.tensor(id).dtype, sizes.held(id, 1, s, x, 0)));
      cycles[at] = static_cast<uint32_t>(stream_cycles(device, words[at]));
    }
    for (int64_t y = std::max<int64_t>(1, first); y < c.h; y++) {
      // Row y sends to y - 1; the rows go on at the same time, so row y's own receive (from y + 1) comes later in this loop.
      uint32_t *from = c.row(static_cast<int>(y)), *to = c.row(static_cast<int>(y) - 1);
      for (int x = 0; x < c.w; x++) {
        const uint32_t w = cycles[static_cast<size_t>(x)];
        const uint32_t done = from[x] + issue + w;
        to[x] = w == 0 ? to[x] : std::max(to[x] + (y == first ? issue : 0), done + way);
        from[x] = w == 0 ? from[x] : done;
      }
    }
    const int64_t rows = c.h - std::max<int64_t>(1, first), all = std::accumulate(words.begin(), words.end(), int64_t{0}),
                  busy = std::accumulate(cycles.begin(), cycles.end(), int64_t{0}),
                  lines = c.w - std::count(words.begin(), words.end(), 0u);
    tally.wavelets += rows * all;
    tally.received += rows * all;
    tally.hops += rows * all;
    tally.communicate += 2.0 * static_cast<double>(rows * (busy + lines * issue));
  }

  static bool any_overlap(const Steps& steps) {
    return std::any_of(steps.begin(), steps.end(), [](const Step& st) {
      if (const auto* l = std::get_if<Loop>(&st.what)) return any_overlap(l->body);
      const auto* g = std::get_if<Group>(&st.what);
      return g != nullptr && g->kind == GroupKind::overlap;
    });
  }

  void product(Clocks& c, const Group& g, const Scope& s, RegionId region, Tally& tally) const {
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
      z.align_a = g.kind == GroupKind::gemm && !g.aligned;
      z.overlap = any_overlap(g.body);
      z.together = options.step_start == StepStart::as_written ? steps_together(g.body) : options.step_start == StepStart::together;
      all.push_back(std::move(z));
    }
    const auto one = [&](const ProductSizes& z, Tally& into) {
      if (g.kind == GroupKind::gemm)
        time_gemm(c, device, program.numerics, z, options.ring_steps, into);
      else if (g.kind == GroupKind::gemm_t)
        time_gemm_t(c, device, program.numerics, z, options.ring_steps, into);
      else if (g.kind == GroupKind::gemm_cast)
        time_gemm_cast(c, device, program.numerics, z, into);
      else
        time_gemm_gather(c, device, program.numerics, z, into);
    };
    // The runs have different columns, so that they do not touch each other's clocks.
    const auto time = [&](Tally& into) {
      std::vector<Tally> tallies(all.size());
      parallel_for(0, static_cast<int64_t>(all.size()), 1, [&](int64_t begin, int64_t end) {
        for (size_t r = static_cast<size_t>(begin); r < static_cast<size_t>(end); r++) one(all[r], tallies[r]);
      });
      for (const Tally& t : tallies) time::add(into, t);
    };
    if (options.products == nullptr || int64_t{c.w} * c.h * std::max(c.w, c.h) < options.products->core_steps) return time(tally);
    std::vector<int64_t> key = {c.w, c.h, static_cast<int64_t>(g.kind), options.ring_steps};
    for (const ProductSizes& z : all) append_key(key, z);
    remembered(*options.products, c, std::move(key), tally, time);
  }

  static bool steps_together(const Steps& body) {
    return std::any_of(body.begin(), body.end(), [](const Step& st) {
      const auto* l = std::get_if<Loop>(&st.what);
      return l != nullptr && l->together;
    });
  }

  // ---- moves -----------------------------------------------------------------------------------------------------------------------

  struct MoveCycles {
    int64_t sending = 0;  // until the sender's links are free for its next move
    int64_t latency = 0;  // of the last wavelet, from when its way is free
    int64_t filling = 0;  // during which the receiver's links carry this move alone
  };

  // A value of one region for another: issued by all cores at once, over the distance between the two regions, then spread over the lines
  // of the destination. A relayout is within reach of the bisections: a line of S cores with n wavelets a core needs S n / 4 cycles a
  // direction, on the sender's side and on the receiver's, each of which its other moves wait for.
  MoveCycles move_cycles(const Move& m, const Scope& s, Tally& tally) const {
    const Rect from = program.regions[sizes.buffer(m.source).region].rect, to = program.regions[sizes.buffer(m.destination).region].rect;
    int64_t most = 0;
    const bool row = m.kind != MoveKind::relay;
    const BufferId carrier = m.kind == MoveKind::row_in ? m.source : m.destination;
    for (int x : {0, to.w / 2, to.w - 1})
      for (int y : {0, to.h / 2, to.h - 1})
        most = std::max(most, sizes.held(carrier, s, std::min(x, (carrier == m.source ? from : to).w - 1),
                                         std::min(y, (carrier == m.source ? from : to).h - 1)));
    const int64_t n = std::max<int64_t>(1, wavelets(device, sizes.tensor(m.source).dtype, most));
    const int64_t distance = std::abs(from.x - to.x) + std::abs(from.y - to.y);
    const bool same_place = from == to && !row && sizes.buffer(m.source).cuts.size() == sizes.buffer(m.destination).cuts.size() &&
                            sizes.tensor(m.source).dims.size() == sizes.tensor(m.destination).dims.size();
    const int64_t cores = int64_t{to.w} * to.h;
    tally.wavelets += n * cores;
    tally.received += n * cores;
    tally.hops += n * cores * std::max<int64_t>(1, distance);
    const int64_t issue = stream_issue_cycles(device), latency = 2 * (issue + 2 * device.ramp_cycles) + n;
    if (same_place) return {.sending = issue + n, .latency = latency, .filling = 0};
    const int64_t across = latency + (distance + to.w + to.h) * device.hop_cycles;
    if (row) return {.sending = issue + n, .latency = across, .filling = 0};
    const int64_t senders = int64_t{from.w} * from.h, sent_by_each = (n * cores + senders - 1) / senders;
    return {.sending = issue + sent_by_each * (from.w + from.h) / 4, .latency = across, .filling = n * (to.w + to.h) / 4};
  }

  // ---- the walk ----------------------------------------------------------------------------------------------------------------------

  size_t line(const std::string& name) {
    const auto [it, fresh] = line_of.try_emplace(name, report.steps.size());
    if (fresh) report.steps.push_back({.name = name});
    return it->second;
  }

  // The routers of a region get the routes of another phase: every core rewrites each colour of that phase, one after the other.
  void change_routes(const Step& step, RegionId region) {
    PhaseId& set = routes_of[region];
    if (step.routes.empty() || step.phase == set) return;
    const bool first = !set.exists();  // set before the entry starts
    set = step.phase;
    if (first) return;
    std::set<int> colours;
    for (const Route& r : program.routes)
      if (r.phase == step.phase && r.region == region) colours.insert(r.colours.begin(), r.colours.end());
    Clocks& c = clocks[region];
    ClockStats& known = known_stats[region];
    const uint64_t cycles = static_cast<uint64_t>(device.route_change_cycles) * colours.size();
    settle(c, known);
    known = stats(c);
    c.base += cycles;
    const uint64_t before = std::max(latest, known.latest);
    const double all = static_cast<double>(cycles) * static_cast<double>(c.t.size());
    known = {.earliest = known.earliest + cycles, .latest = known.latest + cycles, .sum = known.sum + all};
    latest = std::max(before, known.latest);
    StepTime& out = report.steps[line("route_change")];
    out.count++;
    out.cycles += static_cast<int64_t>(latest - before);
    out.communicate += all;
    out.actions.route_changes += static_cast<int64_t>(colours.size() * c.t.size());
  }

  // Does a leaf or a product, and books what it moved the latest clock by. Sends and receives only raise the floor of a region.
  void leaf(const Step& step, RegionId region, const Scope& s) {
    change_routes(step, region);
    Clocks& c = clocks[region];
    ClockStats& known = known_stats[region];
    const uint64_t before = std::max(latest, known.latest);
    const double sum_before = known.sum;
    Tally tally;
    if (const auto* send = std::get_if<Send>(&step.what)) {
      const Move& move = program.moves[send->move];
      const MoveCycles cycles = move_cycles(move, s, tally);
      uint64_t& links_free = receiver_free[sizes.buffer(move.destination).region];
      const uint64_t begin = cycles.filling == 0 ? known.latest : std::max(known.latest, links_free);
      if (cycles.filling > 0) links_free = begin + static_cast<uint64_t>(cycles.filling);
      arrivals[send->move].push_back(
          std::max(begin + static_cast<uint64_t>(cycles.filling), known.latest + static_cast<uint64_t>(cycles.sending)) +
          static_cast<uint64_t>(cycles.latency));
      sent[send->move]++;
      hold(c, known, known.latest + static_cast<uint64_t>(cycles.sending));
    } else if (const auto* receive = std::get_if<Receive>(&step.what)) {
      std::deque<uint64_t>& queue = arrivals[receive->move];
      CHECK(!queue.empty(), "nothing has been sent for {}", step.name);
      hold(c, known, queue.front());
      queue.pop_front();
      sent[receive->move]--;
    } else {
      settle(c, known);
      const std::vector<uint64_t> start = options.watch ? absolute(c) : std::vector<uint64_t>();
      if (const auto* op = std::get_if<Local>(&step.what))
        local(c, *op, s, tally);
      else if (const auto* r = std::get_if<Reduce>(&step.what))
        reduce(c, *r, s, tally);
      else if (const auto* ring = std::get_if<RingReduce>(&step.what))
        ring_reduce(c, *ring, s, tally);
      else if (const auto* m = std::get_if<Multicast>(&step.what))
        multicast(c, *m, s, tally);
      else if (const auto* shift = std::get_if<RowShift>(&step.what))
        row_shift(c, *shift, s, tally);
      else if (const auto* g = std::get_if<Group>(&step.what))
        product(c, *g, s, region, tally);
      known = stats(c);
      if (options.watch) options.watch({.name = step.name, .region = region, .start = start, .end = absolute(c)});
    }
    StepTime& out = report.steps[line(step.name)];
    out.count++;
    latest = std::max(before, known.latest);
    out.cycles += static_cast<int64_t>(latest - before);
    const double passed = known.sum - sum_before;
    out.compute += tally.compute;
    out.communicate += std::min(tally.communicate, passed - tally.compute);
    out.wait += std::max(0.0, passed - tally.compute - tally.communicate);
    out.wavelets += tally.wavelets;
    out.wavelet_hops += tally.hops;
    out.multiply_adds += tally.multiply_adds;
    out.actions = out.actions + tally.actions;
    report.wavelets_sent += tally.wavelets;
    report.wavelets_received += tally.received;
  }

  // All cores of a region wait for a time. Where some are later already, the sum of clocks is known only after the next step that reads
  // them one by one, and their waiting is booked there.
  static void hold(Clocks& c, ClockStats& known, uint64_t time) {
    c.floor = std::max(c.floor, time);
    if (time <= known.earliest) return;
    known.earliest = time;
    if (time < known.latest) return;
    known.latest = time;
    known.sum = static_cast<double>(time) * static_cast<double>(c.t.size());
  }

  static std::vector<uint64_t> absolute(const Clocks& c) {
    std::vector<uint64_t> all;
    all.reserve(c.t.size());
    for (uint32_t v : c.t) all.push_back(c.base + v);
    return all;
  }

  int64_t turns(const Loop& loop, const Scope& s) const {
    switch (loop.count) {
      case CountKind::fixed: return loop.fixed;
      case CountKind::chunks: return s.params.cached / s.params.chunk + 1;
      case CountKind::rows: return s.params.rows;
    }
    return 0;
  }

  // Whether a turn of a loop has a product of so many core-steps that one turn has to stand for all of them.
  bool large_product(const Steps& steps, RegionId region, int64_t core_steps) const {
    const Extent e = sizes.extent_of(region);
    if (int64_t{e.w} * e.h * std::max(e.w, e.h) < core_steps) return false;
    return std::any_of(steps.begin(), steps.end(), [&](const Step& st) {
      if (const auto* l = std::get_if<Loop>(&st.what)) return large_product(l->body, region, core_steps);
      const auto* g = std::get_if<Group>(&st.what);
      return g != nullptr && is_product(g->kind);
    });
  }

  // Whether any leaf of the steps is of a kind.
  template <class Kind>
  static bool any(const Steps& steps) {
    return std::any_of(steps.begin(), steps.end(), [](const Step& st) {
      if (std::holds_alternative<Kind>(st.what)) return true;
      if (const auto* g = std::get_if<Group>(&st.what)) return any<Kind>(g->body);
      if (const auto* l = std::get_if<Loop>(&st.what)) return any<Kind>(l->body);
      return false;
    });
  }

  // Whether two sets of clocks differ by one number.
  static bool same_pattern(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
    const uint32_t shift = b[0] - a[0];
    for (size_t i = 0; i < a.size(); i++)
      if (b[i] - a[i] != shift) return false;
    return true;
  }

  // All turns of a loop. Turns with the same sizes repeat: once a turn leaves the pattern of clocks as it found it, so do all later ones,
  // exactly; after options.turns of them the rest is taken to last as long as the latest. Layers that another region has done already, from
  // clocks that were all equal too, are not timed again.
  void loop(const Loop& l, RegionId region, Scope s) {
    const int64_t n = turns(l, s);
    const bool receives = any<Receive>(l.body), sends = any<Send>(l.body);
    Clocks& c = clocks[region];
    ClockStats& known = known_stats[region];
    const bool remembers = l.var == LoopVar::layer && !receives && !sends && !options.watch && region_lists > 1;
    const int64_t most_turns =
        options.turns > 1 && large_product(l.body, region, l.var == LoopVar::layer ? int64_t{1} << 24 : int64_t{1} << 26) ? 1
                                                                                                                          : options.turns;
    settle(c, known);
    const Start start{.known = known, .report = report, .latest = latest};
    std::string key;
    if (remembers && start.known.earliest == start.known.latest) {
      key = fmt::format("{}x{} {} {}", c.w, c.h, routes_of[region].number, sizes.signature(l.body));
      const auto before = known_turns.find(key);
      if (before != known_turns.end() && before->second.count < n) return again(before->second, n, region);
    }
    for (int64_t i = 0; i < n; i++) {
      if (l.var == LoopVar::chunk) s.chunk = i;
      // The last turn over chunks of keys may be shorter than the others.
      const int64_t equal_turns = l.var == LoopVar::chunk && (s.params.cached + s.params.rows) % s.params.chunk != 0 ? n - 1 : n;
      const int64_t left = equal_turns - 1 - i;
      // What comes from elsewhere comes when it comes; a loop that only receives what it sends itself repeats.
      const bool repeats =
          !receives || (sends && std::all_of(arrivals.begin(), arrivals.end(), [](const auto& a) { return a.second.empty(); }));
      if (!repeats || left <= 0) {
        steps(l.body, region, s);
        continue;
      }
      settle(c, known);
      const std::vector<uint32_t> before = c.t;
      const ClockStats stats_before = known;
      const TimeReport report_before = report;
      const std::map<MoveId, std::deque<uint64_t>> arrivals_before = sends ? arrivals : std::map<MoveId, std::deque<uint64_t>>();
      steps(l.body, region, s);
      settle(c, known);
      const bool same = same_pattern(before, c.t);
      if (!same && (most_turns == 0 || i + 1 < most_turns)) continue;
      if (!key.empty()) remember(key, i + 1, c, start, stats_before, report_before, region);
      if (sends) repeat_sends(arrivals_before, left, known.latest - stats_before.latest);
      extrapolate(c, known, left, known.latest - stats_before.latest, report_before);
      i += left;
    }
  }

  // `left` more turns, each as long as the latest, which the lines of the report have gained since `before`.
  void extrapolate(Clocks& c, ClockStats& known, int64_t left, uint64_t turn, const TimeReport& before) {
    const uint64_t rest = static_cast<uint64_t>(left) * turn;
    c.base += rest;
    known = {.earliest = known.earliest + rest,
             .latest = known.latest + rest,
             .sum = known.sum + static_cast<double>(rest) * static_cast<double>(c.t.size())};
    const uint64_t before_repeat = latest;
    latest = std::max(latest, known.latest);
    repeat(before, left, static_cast<int64_t>(latest - before_repeat));
  }

  void remember(const std::string& key, int64_t count, const Clocks& c, const Start& start, const ClockStats& stats_before,
                const TimeReport& report_before, RegionId region) {
    const ClockStats& now = known_stats[region];
    // Only where the steps moved the latest clock of all, so that their cycles are their own.
    if (start.known.latest < start.latest) return;
    Turns turns_done{.count = count, .t = c.t, .base = c.base - start.known.latest};
    turns_done.all = {
        .earliest = now.earliest - start.known.earliest, .latest = now.latest - start.known.latest, .sum = now.sum - start.known.sum};
    turns_done.latest_turn.latest = now.latest - stats_before.latest;
    turns_done.report = less(report, start.report);
    turns_done.report_before_latest = less(report_before, start.report);
    turns_done.routes = routes_of[region];
    known_turns[key] = std::move(turns_done);
  }

  void again(const Turns& turns_done, int64_t n, RegionId region) {
    Clocks& c = clocks[region];
    ClockStats& known = known_stats[region];
    c.t = turns_done.t;
    c.base = known.latest + turns_done.base;
    c.floor = 0;
    known = {.earliest = known.earliest + turns_done.all.earliest,
             .latest = known.latest + turns_done.all.latest,
             .sum = known.sum + turns_done.all.sum};
    const TimeReport start = report;
    const uint64_t latest_before = latest;
    latest = std::max(latest, known.latest);
    int64_t cycles = static_cast<int64_t>(latest - latest_before);
    add(turns_done.report);
    for (const StepTime& s : turns_done.report.steps) cycles -= s.cycles;
    report.steps.back().cycles += cycles;
    // The lines as they were before the latest turn, for the rest.
    const TimeReport now = report;
    report = start;
    add(turns_done.report_before_latest);
    const TimeReport before_latest = report;
    report = now;
    routes_of[region] = turns_done.routes;
    extrapolate(c, known, n - turns_done.count, turns_done.latest_turn.latest, before_latest);
  }

  // Line by line; lines come in the order of the program, so equal names have equal places but for those that another region adds.
  static TimeReport less(const TimeReport& a, const TimeReport& b) {
    TimeReport out = a;
    for (size_t k = 0; k < b.steps.size(); k++) gain(out.steps[k], b.steps[k], -1);
    out.wavelets_sent -= b.wavelets_sent;
    out.wavelets_received -= b.wavelets_received;
    return out;
  }
  void add(const TimeReport& more) {
    for (const StepTime& s : more.steps) gain(report.steps[line(s.name)], s, 1);
    report.wavelets_sent += more.wavelets_sent;
    report.wavelets_received += more.wavelets_received;
  }
  static void gain(StepTime& now, const StepTime& more, int64_t times) {
    const double f = static_cast<double>(times);
    now.count += times * more.count;
    now.cycles += times * more.cycles;
    now.compute += f * more.compute;
    now.communicate += f * more.communicate;
    now.wait += f * more.wait;
    now.multiply_adds += times * more.multiply_adds;
    now.actions = now.actions + times * more.actions;
    now.wavelets += times * more.wavelets;
    now.wavelet_hops += times * more.wavelet_hops;
  }

  // What the latest turn of a loop sent is sent `times` more times, a turn's cycles later each.
  void repeat_sends(const std::map<MoveId, std::deque<uint64_t>>& before, int64_t times, uint64_t cycles) {
    for (auto& [move, queue] : arrivals) {
      const auto old = before.find(move);
      const size_t known = old == before.end() ? 0 : old->second.size(), fresh = queue.size() - known;
      for (int64_t turn = 0; turn < times; turn++)
        for (size_t q = 0; q < fresh; q++) queue.push_back(queue[queue.size() - fresh] + cycles);
      sent[move] += times * static_cast<int64_t>(fresh);
    }
  }

  // Books the difference to an earlier state of the report `times` more times. `cycles` is by how much that moves the latest clock: more
  // than the steps say where the region has caught up with another in the meantime; the last step takes what is left.
  void repeat(const TimeReport& before, int64_t times, int64_t cycles) {
    const TimeReport turn = less(report, before);
    for (size_t k = 0; k < report.steps.size(); k++) {
      gain(report.steps[k], turn.steps[k], times);
      cycles -= times * turn.steps[k].cycles;
    }
    report.steps.back().cycles += cycles;
    report.wavelets_sent += times * turn.wavelets_sent;
    report.wavelets_received += times * turn.wavelets_received;
  }

  void steps(const Steps& list, RegionId region, const Scope& s) {
    for (const Step& st : list) step(st, region, s);
  }

  void step(const Step& st, RegionId region, const Scope& s) {
    if (const auto* l = std::get_if<Loop>(&st.what)) return loop(*l, region, s);
    if (const auto* g = std::get_if<Group>(&st.what); g != nullptr && !is_product(g->kind)) return steps(g->body, region, s);
    leaf(st, region, s);
  }
};

}  // namespace

TimeReport time_entry(const Program& program, const Device& device, const std::string& entry_name, const Params& params,
                      const TimeOptions& options) {
  const Entry& e = entry(program, entry_name);
  Timer timer{.program = program, .device = device, .options = options};
  for (const Region& r : program.regions) {
    Clocks c{.w = r.rect.w, .h = r.rect.h, .t = {}};
    timer.clocks.add(std::move(c));
  }
  timer.known_stats = IdVector<RegionId, ClockStats>(timer.clocks.size());
  timer.region_lists = e.lists.size();
  timer.routes_of = IdVector<RegionId, PhaseId>(timer.clocks.size());
  for (const RegionSteps& list : e.lists) {
    Clocks& c = timer.clocks[list.region];
    c.t.assign(static_cast<size_t>(c.w) * static_cast<size_t>(c.h), 0);
  }
  // Regions wait for each other: what one of them idles is not a step's. The cycles of the steps of the list that ends last, and of those
  // it waited for, add up to the whole.
  run_lists(e, timer.sent, [&](size_t l, const Step& step) { timer.step(step, e.lists[l].region, {.params = params}); });
  timer.report.cycles = static_cast<int64_t>(timer.latest);
  return timer.report;
}

}  // namespace wafer::time
