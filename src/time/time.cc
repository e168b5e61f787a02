// The walk of time() through an entry: one set of clocks for each region, one line of the report for each step.
#include "time/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/check.h"
#include "mesh/schedule.h"
#include "mesh/visit.h"
#include "time/advance.h"
#include "time/clocks.h"
#include "time/lanes.h"
#include "time/ledger.h"
#include "time/moves_under_way.h"
#include "time/product_memo.h"
#include "time/step_sizes.h"

namespace wafer::time {

using namespace mesh;

namespace {

template <class T>
struct Timer {
  struct Start {
    ClockStats known;
    TimeReport report;
    uint64_t latest = 0;
  };

  // What the turns of a loop did until the rest of them was known, from clocks that were all equal.
  struct Turns {
    StepId loop;
    int64_t count = 0;
    bool repeats = false;  // the latest turn left the pattern of clocks as it found it
    std::vector<T> t;
    uint64_t base = 0;                    // after the start
    ClockStats all;                       // by how much they moved the clocks
    uint64_t latest_turn = 0;             // by how much the latest of them did
    TimeReport report, report_of_latest;  // what all turns gained, and the latest of them
    PhaseId routes;
  };

  const Program& program;
  const Device& device;
  const TimeOptions& options;
  const Entry& entry;
  StepIds ids = number_steps(entry);
  StepSizes sizes{program};
  Advance advance{program, device, options, sizes};
  Ledger ledger{ids};
  MovesUnderWay moves{program, device, sizes};
  uint64_t latest = 0;                     // of all regions
  bool too_wide = false;                   // the clocks of a region did not fit T: what follows is void
  IdVector<RegionId, Clocks<T>> clocks{};  // [regions]
  std::map<std::string, Turns> known_turns{};
  IdVector<RegionId, ClockStats> known_stats{};  // [regions] of clocks with their floor
  IdVector<RegionId, PhaseId> routes_of{};       // the phase whose routes are set; none: not known yet
  std::map<RegionId, uint64_t> from_host{};      // [regions] wavelets that the host has sent so far

  Clocks<T>& of(RegionId region) { return clocks[region]; }
  ClockStats& stats_of(RegionId region) { return known_stats[region]; }
  Rect rect_of(RegionId region) const { return program.regions[region].rect; }

  // ---- what moves the clocks of a region ---------------------------------------------------------------------------------------------

  void settled(RegionId region) {
    settle(of(region), stats_of(region));
    too_wide = too_wide || of(region).too_wide;
  }

  // All cores of a region go on so many cycles later.
  void delay(RegionId region, uint64_t cycles) {
    ClockStats& known = stats_of(region);
    of(region).base = time_after(of(region).base, cycles);
    if (of(region).floor > 0) of(region).floor = time_after(of(region).floor, cycles);
    known = {.earliest = time_after(known.earliest, cycles),
             .latest = time_after(known.latest, cycles),
             .sum = known.sum + static_cast<double>(cycles) * static_cast<double>(of(region).t.size())};
  }

  // All cores of a region wait for a time. Where some are later already, the sum of clocks is known only after the next step that reads
  // them one by one, and their waiting is booked there.
  void hold(RegionId region, uint64_t time) {
    Clocks<T>& c = of(region);
    ClockStats& known = stats_of(region);
    c.floor = std::max(c.floor, time);
    if (time <= known.earliest) return;
    known.earliest = time;
    if (time < known.latest) return;
    known.latest = time;
    known.sum = static_cast<double>(time) * static_cast<double>(c.t.size());
  }

  // The routers of a region get the routes of another phase: every core rewrites each colour of that phase, one after the other.
  void change_routes(const Step& step, RegionId region) { change_routes(step, ids.of.at(&step), region); }
  void change_routes(const Step& step, StepId booked_on, RegionId region) {
    PhaseId& set = routes_of[region];
    if (step.routes.empty() || step.phase == set) return;
    const bool first = !set.exists();  // set before the entry starts
    set = step.phase;
    if (first) return;
    std::set<int> colours;
    for (const Route& r : program.routes)
      if (r.phase == step.phase && r.region == region) colours.insert(r.colours.begin(), r.colours.end());
    settled(region);
    if (too_wide) return;
    stats_of(region) = stats(of(region));
    const int64_t cycles = checked_mul(device.route_change_cycles, static_cast<int64_t>(colours.size()));
    const uint64_t before = std::max(latest, stats_of(region).latest);
    delay(region, static_cast<uint64_t>(cycles));
    latest = std::max(before, stats_of(region).latest);
    const int64_t cores = static_cast<int64_t>(of(region).t.size());
    StepTime& out = ledger.line(booked_on, true);
    out.count++;
    out.cycles += static_cast<int64_t>(latest - before);
    out.communicate += static_cast<double>(cycles) * static_cast<double>(cores);
    out.actions.route_changes += static_cast<int64_t>(colours.size()) * cores;
  }

  // Books what a step moved the latest clock by; passed: by how much all clocks of the region are later, summed up.
  void book(const Step& step, uint64_t before, uint64_t after, double passed, const Tally& tally) {
    StepTime& out = ledger.line(ids.of.at(&step), false);
    out.count++;
    latest = std::max(before, after);
    out.cycles += static_cast<int64_t>(latest - before);
    out.compute += tally.compute;
    out.communicate += std::min(tally.communicate, passed - tally.compute);
    out.wait += std::max(0.0, passed - tally.compute - tally.communicate);
    out.wavelets = checked_add(out.wavelets, tally.wavelets);
    out.wavelet_hops = checked_add(out.wavelet_hops, tally.hops);
    out.multiply_adds = checked_add(out.multiply_adds, tally.multiply_adds);
    out.actions = out.actions + tally.actions;
    ledger.report.wavelets_sent = checked_add(ledger.report.wavelets_sent, tally.wavelets);
    ledger.report.wavelets_received = checked_add(ledger.report.wavelets_received, tally.received);
  }

  // ---- steps -----------------------------------------------------------------------------------------------------------------------

  template <class F>
  void booked(const Step& step, RegionId region, const F& f) {
    change_routes(step, region);
    if (too_wide) return;
    const uint64_t before = std::max(latest, stats_of(region).latest);
    const double sum_before = stats_of(region).sum;
    Tally tally;
    f(tally);
    if (!too_wide) book(step, before, stats_of(region).latest, stats_of(region).sum - sum_before, tally);
  }

  // On the clocks of every core, all of which the step may read.
  void leaf(const Step& step, RegionId region, const Scope& s) {
    booked(step, region, [&](Tally& tally) {
      settled(region);
      if (too_wide) return;
      const std::vector<uint64_t> start = options.watch ? absolute(of(region)) : std::vector<uint64_t>();
      advance.step(of(region), step, s, region, tally);
      too_wide = of(region).too_wide;
      if (too_wide) return;
      stats_of(region) = stats(of(region));
      if (options.watch) options.watch({.name = step.name, .region = region, .start = start, .end = absolute(of(region))});
    });
  }

  static std::vector<uint64_t> absolute(const Clocks<T>& c) {
    std::vector<uint64_t> all;
    all.reserve(c.t.size());
    for (T v : c.t) all.push_back(c.base + v);
    return all;
  }

  // A value leaves for another region or layout, issued by all cores at once.
  void send(const Step& step, const Send& to, RegionId region, const Scope& s) {
    booked(step, region, [&](Tally& tally) {
      const MovesUnderWay::Sent sent = moves.send(to.move, stats_of(region).latest, s);
      tally.wavelets += sent.words;
      tally.received += sent.words;
      tally.hops += sent.hops;
      hold(region, sent.sender_free);
    });
  }

  void receive(const Step& step, const Receive& from, RegionId region) {
    booked(step, region, [&](Tally&) { hold(region, moves.receive(from.move, step.name)); });
  }

  // The host's values come over the wafer's upper left corner to all cores of the region, ahead of time: one wavelet a cycle from the start
  // of the entry on. What the link beyond the edge takes is not in it.
  void from_the_host(const Step& step, const Host& link, RegionId region, const Scope& s) {
    booked(step, region, [&](Tally& tally) {
      const Rect r = rect_of(region);
      const int64_t issue = stream_issue_cycles(device);
      const int64_t words = std::max<int64_t>(1, wavelets(device, sizes.tensor(link.buffer).dtype, sizes.held(link.buffer, s, 0, 0)));
      uint64_t& before = from_host[region];
      before += static_cast<uint64_t>(words);
      const int64_t way = 2 * device.ramp_cycles + (int64_t{r.x} + r.y + r.w + r.h) * device.hop_cycles;
      hold(region, time_after(before, static_cast<uint64_t>(way)));
      delay(region, static_cast<uint64_t>(issue + stream_cycles(device, words)));
      tally.wavelets += words * r.w * r.h;  // each copy, as it is taken
      tally.received += words * r.w * r.h;
      tally.hops += words * r.w * r.h;
      tally.communicate += static_cast<double>(issue + stream_cycles(device, words)) * r.w * r.h;
    });
  }

  // Steps of a group `overlap`: each starts when what it holds is free, in the order of the group; the group ends with the last of them.
  void overlap(const Group& g, RegionId region, const Scope& s) {
    settled(region);
    if (too_wide) return;
    Clocks<T>& c = of(region);
    Lanes<T> lanes(c);
    double passed = stats(c).sum, booked_cycles = 0;
    const Step* last = nullptr;
    for (const Step& step : g.body) {
      const bool sequential =
          visit(step, same_for<Loop, Send, Receive, Host, Group>(true),
                same_for<Local, Opaque, Reduce, RingReduce, RootReduce, Multicast, TileCast, Shift, RowShift, Product>(false));
      if (sequential || (!step.routes.empty() && step.phase != routes_of[region])) {  // takes all there is
        lanes.join(c);
        stats_of(region) = stats(c);
        if (sequential)
          this->step(step, region, s);
        else
          change_routes(step, region);
        settled(region);
        if (too_wide) return;
        lanes = Lanes<T>(c);
        if (sequential) {
          passed = stats(c).sum;
          booked_cycles = 0;
          last = nullptr;
          continue;
        }
      }
      Tally tally;
      const uint64_t before = std::max(latest, stats_of(region).latest), after = lanes.run(advance, step, s, region, tally);
      too_wide = lanes.too_wide;
      if (too_wide) return;
      book(step, before, after, tally.compute + tally.communicate, tally);
      stats_of(region).latest = std::max(stats_of(region).latest, after);
      booked_cycles += tally.compute + tally.communicate;
      last = &step;
    }
    lanes.join(c);
    stats_of(region) = stats(c);
    if (last != nullptr)  // what no step of the group was busy with
      ledger.line(ids.of.at(last), false).wait += std::max(0.0, stats_of(region).sum - passed - booked_cycles);
  }

  void steps(const Steps& list, RegionId region, const Scope& s) {
    for (const Step& st : list)
      if (!too_wide) step(st, region, s);
  }

  void step(const Step& st, RegionId region, const Scope& s) {
    visit(
        st, [&](const Loop& l) { loop(st, l, region, s); },
        [&](const Group& g) {
          if (g.kind == GroupKind::overlap)
            overlap(g, region, s);
          else
            steps(g.body, region, s);
        },
        [&](const Send& to) { send(st, to, region, s); }, [&](const Receive& from) { receive(st, from, region); },
        [&](const Host& link) { link.to_host ? leaf(st, region, s) : from_the_host(st, link, region, s); },
        for_kinds<Local, Opaque, Reduce, RingReduce, RootReduce, Multicast, TileCast, Shift, RowShift, Product>(
            [&] { leaf(st, region, s); }));
  }

  // ---- loops -------------------------------------------------------------------------------------------------------------------------

  static int64_t turns(const Loop& loop, const Scope& s) {
    switch (loop.count) {
      case CountKind::fixed: return loop.fixed;
      case CountKind::chunks: return s.params.cached / s.params.chunk + 1;
      case CountKind::rows: return s.params.rows;
    }
    return 0;
  }

  // Whether two sets of clocks differ by one number.
  static bool same_pattern(const std::vector<T>& a, const std::vector<T>& b) {
    const T shift = b[0] - a[0];
    for (size_t i = 0; i < a.size(); i++)
      if (b[i] - a[i] != shift) return false;
    return true;
  }

  // The first and the last step of a list that need routes; null: none does.
  static const Step* routed(const Steps& list, bool last) {
    const Step* found = nullptr;
    for (size_t i = 0; i < list.size() && found == nullptr; i++) {
      const Step& step = list[last ? list.size() - 1 - i : i];
      found = !is_leaf(step) ? routed(body_of(step), last) : step.routes.empty() ? nullptr : &step;
    }
    return found;
  }

  // Where each turn leaves the routes as it needs them first, the change to them comes once, before the loop. Returns whether the first
  // turn differs from the others all the same: it finds the routes set, which the others have to change back.
  bool enter_loop(const Step& step, const Loop& l, RegionId region, int64_t turns) {
    const Step *first = routed(l.body, false), *last = routed(l.body, true);
    if (first == nullptr || turns == 0) return false;
    if (first->phase != last->phase) return routes_of[region] == first->phase;
    change_routes(*first, ids.of.at(&step), region);
    return false;
  }

  // All turns of a loop. Turns with the same sizes repeat: once a turn leaves the pattern of clocks as it found it, so do all later ones,
  // exactly; after options.turns of them the rest is taken to last as long as the latest. Layers that another region has done already, from
  // clocks that were all equal too, are not timed again.
  void loop(const Step& step, const Loop& l, RegionId region, Scope s) {
    const int64_t n = turns(l, s);
    const bool receives = any_of_kind<Receive>(l.body), sends = any_of_kind<Send>(l.body), steps_differ = l.var == LoopVar::ring_step;
    const bool remembers = l.var == LoopVar::layer && !receives && !sends && !options.watch && entry.lists.size() > 1;
    const StepId id = ids.of.at(&step);
    const bool first_differs = enter_loop(step, l, region, n);
    const bool one_for_all = l.var == LoopVar::layer && core_steps(sizes.extent_of(region)) >= options.one_layer_core_steps &&
                             has_product(l.body) && !first_differs;
    constexpr int64_t kFewCores = 1 << 14;
    const Extent e = sizes.extent_of(region);
    const bool few = int64_t{e.w} * e.h < kFewCores;
    const int64_t most_turns = options.turns < 2 ? options.turns : one_for_all ? 1 : few ? options.turns + 1 : options.turns;
    settled(region);
    if (too_wide) return;
    const Start start{.known = stats_of(region), .report = ledger.report, .latest = latest};
    std::string key;
    if (remembers && start.known.earliest == start.known.latest) {
      // From the base on, so that what the turns add to it holds for a region that starts earlier too.
      std::fill(of(region).t.begin(), of(region).t.end(), T{0});
      of(region).base = start.known.latest;
      of(region).most = 0;
      key = fmt::format("{}x{} {} {}", of(region).w, of(region).h, routes_of[region].number, sizes.signature(l.body));
      const auto before = known_turns.find(key);
      if (before != known_turns.end() && before->second.count <= n) return again(before->second, id, n, region);
    }
    for (int64_t i = 0; i < n && !too_wide; i++) {
      if (l.var == LoopVar::chunk) s.chunk = i;
      if (steps_differ) s.ring_step = i;
      // The last turn over chunks of keys may be shorter than the others.
      const int64_t equal_turns = l.var == LoopVar::chunk && (s.params.cached + s.params.rows) % s.params.chunk != 0 ? n - 1 : n;
      const int64_t left = steps_differ ? 0 : equal_turns - 1 - i;
      // What comes from elsewhere comes when it comes; a loop that only receives what it sends itself repeats.
      const bool repeats = !receives || (sends && moves.none());
      if (!repeats || left <= 0) {
        steps(l.body, region, s);
        continue;
      }
      settled(region);
      if (too_wide) return;
      const std::vector<T> before = of(region).t;
      const ClockStats stats_before = stats_of(region);
      const TimeReport report_before = ledger.report;
      const MovesUnderWay::Arrivals arrivals_before = sends ? moves.arrivals : MovesUnderWay::Arrivals();
      steps(l.body, region, s);
      if (!too_wide) settled(region);
      if (too_wide) return;
      const bool same = same_pattern(before, of(region).t);
      if (!same && (most_turns == 0 || i + 1 < most_turns)) continue;
      Turns done{.loop = id, .count = i + 1, .repeats = same, .t = {}, .all = {}, .report = {}, .report_of_latest = {}};
      done.latest_turn = stats_of(region).latest - stats_before.latest;
      done.report_of_latest = gained(ledger.report, report_before, ids, id);
      // Only where the steps moved the latest clock of all, so that their cycles are their own.
      if (!key.empty() && start.known.latest >= start.latest) known_turns[key] = remembered_turns(done, start, region);
      if (sends) moves.repeat(arrivals_before, left, done.latest_turn);
      repeat(done, 0, left, region);
      i += left;
    }
  }

  // `times` more turns, each as long as the latest.
  void repeat(const Turns& done, int32_t offset, int64_t times, RegionId region) {
    if (times == 0) return;
    const Bound rest = Bound(times) * Bound(done.latest_turn);
    time_after(stats_of(region).latest, rest);
    const uint64_t before = latest;
    delay(region, rest.n);
    latest = std::max(latest, stats_of(region).latest);
    const int64_t moved = static_cast<int64_t>(latest - before), extrapolated = ledger.report.extrapolated_cycles;
    ledger.add(done.report_of_latest, offset, times, moved);
    if (!done.repeats) ledger.report.extrapolated_cycles = extrapolated + moved;
  }

  Turns remembered_turns(const Turns& done, const Start& start, RegionId region) {
    Turns out = done;
    const ClockStats& now = stats_of(region);
    out.t = of(region).t;
    out.base = of(region).base - start.known.latest;
    out.all = {
        .earliest = now.earliest - start.known.earliest, .latest = now.latest - start.known.latest, .sum = now.sum - start.known.sum};
    out.report = gained(ledger.report, start.report, ids, done.loop);
    out.routes = routes_of[region];
    return out;
  }

  // The turns that another region has done from clocks that were all equal too.
  void again(const Turns& done, StepId loop, int64_t n, RegionId region) {
    ClockStats& known = stats_of(region);
    of(region).t = done.t;
    of(region).most = Clocks<T>::kUnknown;
    of(region).base = known.latest + done.base;
    of(region).floor = 0;
    known = {.earliest = known.earliest + done.all.earliest, .latest = known.latest + done.all.latest, .sum = known.sum + done.all.sum};
    const uint64_t before = latest;
    latest = std::max(latest, known.latest);
    const int32_t offset = loop.place - done.loop.place;
    ledger.add(done.report, offset, 1, static_cast<int64_t>(latest - before));
    routes_of[region] = done.routes;
    repeat(done, offset, n - done.count, region);
  }

  void run(const Params& params) {
    for (const Region& r : program.regions) clocks.add({.w = r.rect.w, .h = r.rect.h, .t = {}});
    known_stats = IdVector<RegionId, ClockStats>(clocks.size());
    routes_of = IdVector<RegionId, PhaseId>(clocks.size());
    for (const RegionSteps& list : entry.lists)
      of(list.region).t.assign(static_cast<size_t>(of(list.region).w) * static_cast<size_t>(of(list.region).h), 0);
    // Regions wait for each other: what one of them idles is not a step's. The cycles of the steps of the list that ends last, and of those
    // it waited for, add up to the whole.
    run_lists(entry, moves.sent, [&](size_t l, const Step& st) {
      step(st, entry.lists[l].region, {.params = params});
      return !too_wide;
    });
    ledger.report.cycles = static_cast<int64_t>(latest);
  }
};

}  // namespace

TimeReport time_entry(const Program& program, const Device& device, const std::string& entry_name, const Params& params,
                      const TimeOptions& options) {
  const Entry& e = entry(program, entry_name);
  if (!options.wide && !options.watch) {
    Timer<uint32_t> narrow{.program = program, .device = device, .options = options, .entry = e};
    narrow.run(params);
    if (!narrow.too_wide) return std::move(narrow.ledger.report);
  }
  Timer<uint64_t> wide{.program = program, .device = device, .options = options, .entry = e};
  wide.run(params);
  return std::move(wide.ledger.report);
}

}  // namespace wafer::time
