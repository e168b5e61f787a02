#include "mesh/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "mesh/builder.h"
#include "mesh/bytes.h"
#include "mesh/expand.h"
#include "mesh/form.h"
#include "mesh/visit.h"

namespace wafer::mesh {
namespace {

const Region& region_of(const Program& p, RegionId region) { return p.regions[region]; }

// The core at `position` along `axis` of a region, on the region's first line.
std::pair<int, int> core_at(const Program& p, RegionId region, Axis axis, int position) {
  const Rect r = region_of(p, region).rect;
  return axis == Axis::x ? std::pair{r.x + position, r.y} : std::pair{r.x, r.y + position};
}

// ---- bytes, mesh -----------------------------------------------------------------------------------------------------------------

void check_mesh(const Program& p, const Limits& limits, std::vector<Diagnostic>& out) {
  for (const Region& r : p.regions)
    if (r.rect.w < 1 || r.rect.h < 1 || r.rect.x < 0 || r.rect.y < 0 || r.rect.x + r.rect.w > limits.mesh.w ||
        r.rect.y + r.rect.h > limits.mesh.h)
      out.push_back({Rule::off_the_mesh, r.rect.x, r.rect.y, r.name,
                     fmt::format("region {} of {}x{} at ({},{}) is not on the mesh of {}x{}", r.name, r.rect.w, r.rect.h, r.rect.x,
                                 r.rect.y, limits.mesh.w, limits.mesh.h)});
}

void check_bytes(const Program& p, const Limits& limits, std::vector<Diagnostic>& out) {
  for (const PhaseBytes& row : phase_bytes(p, limits.code_bytes)) {
    if (row.fullest.total() <= limits.sram_bytes) continue;
    out.push_back({Rule::bytes, row.x, row.y, fmt::format("phase {}, region {}", p.phases[row.phase].name, region_of(p, row.region).name),
                   describe(row, limits.sram_bytes)});
  }
}

// ---- routes ----------------------------------------------------------------------------------------------------------------------

std::set<int> colours_used(const Program& p, RegionId region, PhaseId phase) {
  std::set<int> used;
  for (const Route& r : p.routes)
    if (r.region == region && r.phase == phase) used.insert(r.colours.begin(), r.colours.end());
  return used;
}

void check_colours(const Program& p, const Limits& limits, std::vector<Diagnostic>& out) {
  for (const PhaseId phase : p.phases.ids())
    for (const RegionId region : p.regions.ids()) {
      const std::set<int> used = colours_used(p, region, phase);
      const bool unknown = !used.empty() && *used.rbegin() >= limits.colours;
      if (static_cast<int>(used.size()) <= limits.colours && !unknown) continue;
      const Rect r = region_of(p, region).rect;
      out.push_back({Rule::colours, r.x, r.y, fmt::format("phase {}, region {}", p.phases[phase].name, region_of(p, region).name),
                     fmt::format("core ({},{}) needs {} colours, the highest is {}; {} are free", r.x, r.y, used.size(), *used.rbegin(),
                                 limits.colours)});
    }
}

enum class Side : uint8_t {
  ramp,
  low,
  high
};  // where a colour enters a router: its own core, or the neighbour of lower or higher position

Side side_at(const Path& path, int position) { return position == path.from ? Side::ramp : position > path.from ? Side::low : Side::high; }

// Paths stay inside their region.
void check_paths(const Program& p, std::vector<Diagnostic>& out) {
  for (const Route& route : p.routes) {
    const int n = side(extent(region_of(p, route.region).rect), route.axis);
    for (const Path& path : route.paths) {
      if (path.lo >= 0 && path.hi < n && path.lo <= path.from && path.from <= path.hi) continue;
      const auto [x, y] = core_at(p, route.region, route.axis, std::clamp(path.from, 0, n - 1));
      out.push_back({Rule::off_the_mesh, x, y, fmt::format("phase {}, route {}", p.phases[route.phase].name, route.name),
                     fmt::format("a path from position {} over {} to {} leaves the {} positions of region {} along {}", path.from, path.lo,
                                 path.hi, n, region_of(p, route.region).name, name(route.axis))});
      break;
    }
  }
}

void check_inputs(const Program& p, std::vector<Diagnostic>& out) {
  // (phase, region, axis, colour) -> by position: the side on which the colour enters there, and the route that says so
  struct Entrance {
    Side side = Side::ramp;
    RouteId route{};
    int from = -1;  // nobody
  };
  std::map<std::tuple<PhaseId, RegionId, Axis, int>, std::vector<Entrance>> entrances;
  std::set<RouteId> reported;
  for (const RouteId i : p.routes.ids()) {
    const Route& route = p.routes[i];
    for (size_t k = 0; k < route.paths.size(); k++) {
      const Path& path = route.paths[k];
      std::vector<Entrance>& line = entrances[{route.phase, route.region, route.axis, route.colours[k]}];
      for (int at = std::max(0, path.lo); at <= path.hi; at++) {
        if (static_cast<int>(line.size()) <= at) line.resize(static_cast<size_t>(path.hi) + 1);
        Entrance& there = line[static_cast<size_t>(at)];
        const Entrance now{side_at(path, at), i, path.from};
        const bool merges = there.from >= 0 && (there.side != now.side || there.from != now.from);
        if (there.from < 0) there = now;
        if (!merges || !reported.insert(i).second) continue;
        const auto [x, y] = core_at(p, route.region, route.axis, at);
        out.push_back(
            {Rule::two_inputs, x, y, fmt::format("phase {}, route {}", p.phases[route.phase].name, route.name),
             fmt::format(
                 "colour {} enters the router of core ({},{}) from two sides: sent by position {} (route {}) and by {} (route {}) along {}",
                 route.colours[k], x, y, there.from, p.routes[there.route].name, path.from, route.name, name(route.axis))});
      }
    }
  }
  // The same colour on both axes meets itself at the crossing routers.
  std::map<std::tuple<PhaseId, RegionId, int>, std::pair<Axis, RouteId>> axis_of;
  for (const RouteId i : p.routes.ids()) {
    const Route& route = p.routes[i];
    for (int c : route.colours) {
      const auto [it, fresh] = axis_of.try_emplace({route.phase, route.region, c}, std::pair{route.axis, i});
      if (fresh || it->second.first == route.axis || !reported.insert(i).second) continue;
      const Rect r = region_of(p, route.region).rect;
      out.push_back({Rule::two_inputs, r.x, r.y, fmt::format("phase {}, route {}", p.phases[route.phase].name, route.name),
                     fmt::format("colour {} enters the router of core ({},{}) from two sides: along {} (route {}) and along {} (route {})",
                                 c, r.x, r.y, name(it->second.first), p.routes[it->second.second].name, name(route.axis), route.name)});
    }
  }
}

// ---- transfers of steps ------------------------------------------------------------------------------------------------------------

struct Transfer {
  int from, to;
};

// Who sends to whom in a step, along its axis.
struct Transfers {
  Axis axis = Axis::x;
  std::vector<Transfer> list;
};

void add_paths(Transfers& t, const std::vector<Path>& paths) {
  for (const Path& path : paths) {
    if (!path.multicast) {
      t.list.push_back({path.from, path.to});
      continue;
    }
    for (int at = path.lo; at <= path.hi; at++)
      if (at != path.from) t.list.push_back({path.from, at});
  }
}

Transfers along(Axis axis, const std::vector<std::vector<Path>>& all) {
  Transfers t{.axis = axis, .list = {}};
  for (const std::vector<Path>& paths : all) add_paths(t, paths);
  return t;
}

// From every core of a line to its neighbours on both sides, or to those below alone.
std::vector<std::vector<Path>> both_ways(const std::vector<Range>& runs) {
  return {neighbour_paths(runs, true), neighbour_paths(runs, false)};
}

Transfers transfers_of(const Reduce& reduce) {
  std::vector<std::vector<Path>> paths = forest_paths(reduce.forest);
  if (std::any_of(reduce.parts.begin(), reduce.parts.end(), [](const ReducePart& part) { return part.broadcast; }))
    paths.push_back(broadcast_paths(reduce.forest));
  return along(reduce.axis, paths);
}

Transfers transfers_of(const Shift& shift, const Extent& e) {
  const std::vector<Range> rings = shift.axis == Axis::x ? shift.runs : std::vector<Range>{{0, e.h}};
  std::vector<std::vector<Path>> paths = {ring_paths(rings, true, shift.order)};
  if (shift.kind != ShiftKind::ring_down) paths.push_back(ring_paths(rings, false, shift.order));
  return along(shift.axis, paths);
}

Transfers transfers_of(const Step& step, const Extent& e) {
  return visit(
      step, [](const Reduce& s) { return transfers_of(s); }, [](const RingReduce& s) { return along(s.axis, {ring_paths(s.runs, true)}); },
      // The owner is known at run time only: every core must be able to reach all others.
      [&](const Multicast& s) {
        return along(s.axis, both_ways({{0, side(e, s.axis)}}));
      },
      [&](const Shift& s) { return transfers_of(s, e); },
      // Every position owns a block, as a line is no longer than the blocks are many.
      [&](const TileCast& s) { return along(s.axis, {cast_paths(side(e, s.axis))}); },
      [&](const RowShift&) {
        return along(Axis::y, {neighbour_paths({{0, e.h}}, true)});
      },
      [](const RootReduce& s) { return along(Axis::x, both_ways(s.runs)); },
      same_for<Local, Opaque, Send, Receive, Host, Loop, Group, Product>(Transfers{}));
}

struct StepChecker {
  const Program& p;
  const Entry& entry;
  std::vector<Diagnostic>& out;

  void check(const Steps& steps, RegionId region) {
    for_each_expanded_step(p, steps, [&](const Step& step) {
      visit(
          step,
          [&](const Group& group) {
            if (group.kind == GroupKind::overlap) check_overlap(group, region, step.name);
          },
          for_kinds<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive, Host>(
              [&] { check_routes(step, region); }),
          nothing_for<Loop, Product>());
    });
  }

  std::string where(const std::string& step_name, RegionId region) const {
    return fmt::format("entry {}, region {}, step {}", entry.name, region_of(p, region).name, step_name);
  }

  void check_routes(const Step& step, RegionId region) {
    for (const RouteId r : step.routes) {
      const Route& route = p.routes[r];
      if (route.phase == step.phase && route.region == region) continue;
      const Rect rect = region_of(p, region).rect;
      out.push_back({Rule::rewritten_in_use, rect.x, rect.y, where(step.name, region),
                     fmt::format("route {} belongs to phase {} of region {}: it is rewritten while the step of phase {} uses it",
                                 route.name, p.phases[route.phase].name, region_of(p, route.region).name, p.phases[step.phase].name)});
      return;
    }
    check_covered(step, region, transfers_of(step, extent(region_of(p, region).rect)));
  }

  void check_covered(const Step& step, RegionId region, const Transfers& wanted) {
    std::vector<std::pair<int, int>> have;
    for (const RouteId r : step.routes) {
      const Route& route = p.routes[r];
      if (route.axis != wanted.axis) continue;
      Transfers t;
      add_paths(t, route.paths);
      for (const Transfer& x : t.list) have.emplace_back(x.from, x.to);
    }
    std::sort(have.begin(), have.end());
    for (const Transfer& x : wanted.list) {
      if (std::binary_search(have.begin(), have.end(), std::pair{x.from, x.to})) continue;
      const auto [cx, cy] = core_at(p, region, wanted.axis, x.to);
      out.push_back({Rule::receive_without_send, cx, cy, where(step.name, region),
                     fmt::format("core ({},{}) receives from position {} along {}, but no route of the step carries what that core sends",
                                 cx, cy, x.from, name(wanted.axis))});
      return;
    }
  }

  // Steps that run at the same time need their routes at the same time: one phase.
  void check_overlap(const Group& group, RegionId region, const std::string& group_name) {
    for (const Step& step : group.body) {
      if (step.phase == group.body.front().phase) continue;
      const Rect rect = region_of(p, region).rect;
      out.push_back(
          {Rule::rewritten_in_use, rect.x, rect.y, where(group_name, region),
           fmt::format("steps {} and {} overlap but belong to phases {} and {}: the routes of one are rewritten while the other uses them",
                       group.body.front().name, step.name, p.phases[group.body.front().phase].name, p.phases[step.phase].name)});
      return;
    }
  }
};

// ---- waits between regions ---------------------------------------------------------------------------------------------------------

struct Event {
  bool send;
  MoveId move;
  std::string step;
};

// Loops that depend on parameters are unrolled to two turns: enough to see an order that repeats.
void events_of(const Steps& steps, std::vector<Event>& events) {
  for (const Step& step : steps)
    visit(
        step,
        [&](const Send& s) {
          events.push_back({true, s.move, step.name});
        },
        [&](const Receive& s) {
          events.push_back({false, s.move, step.name});
        },
        [&](const Group& s) { events_of(s.body, events); },
        [&](const Loop& s) {
          for (int64_t turn = 0, n = s.count == CountKind::fixed ? s.fixed : 2; turn < n; turn++) events_of(s.body, events);
        },
        nothing_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Host, Product>());
}

void check_waits(const Program& p, const Entry& entry, std::vector<Diagnostic>& out) {
  std::vector<std::vector<Event>> lists;
  std::map<MoveId, int> sends, receives;
  for (const RegionSteps& r : entry.lists) {
    lists.emplace_back();
    events_of(r.steps, lists.back());
    for (const Event& e : lists.back()) (e.send ? sends : receives)[e.move]++;
  }
  auto report = [&](Rule rule, size_t list, const Event& e, const std::string& text) {
    const Region& r = region_of(p, entry.lists[list].region);
    out.push_back({rule, r.rect.x, r.rect.y, fmt::format("entry {}, region {}, step {}", entry.name, r.name, e.step), text});
  };
  bool matched = true;
  for (const bool sending : {false, true})
    for (size_t l = 0; l < lists.size(); l++)
      for (const Event& e : lists[l]) {
        if (e.send != sending || sends[e.move] == receives[e.move]) continue;
        report(Rule::receive_without_send, l, e,
               fmt::format("move {} is received {} times and sent {} times", p.moves[e.move].name, receives[e.move], sends[e.move]));
        sends[e.move] = receives[e.move];  // once is enough
        matched = false;
      }
  if (!matched) return;
  std::vector<size_t> at(lists.size(), 0);
  std::map<MoveId, int> sent;
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t l = 0; l < lists.size(); l++)
      while (at[l] < lists[l].size()) {
        const Event& e = lists[l][at[l]];
        if (e.send)
          sent[e.move]++;
        else if (sent[e.move] == 0)
          break;
        else
          sent[e.move]--;
        at[l]++;
        progress = true;
      }
  }
  for (size_t l = 0; l < lists.size(); l++)
    if (at[l] < lists[l].size()) {
      const Event& e = lists[l][at[l]];
      report(Rule::cycle_of_waits, l, e,
             fmt::format("waits for move {}, whose sender waits in turn for this region: no order of the regions lets it arrive",
                         p.moves[e.move].name));
      return;
    }
}

}  // namespace

const char* name(Rule r) {
  static constexpr std::array<const char*, kRules> kNames = {
      "malformed",  "bytes",      "colours",   "two_inputs", "receive_without_send", "cycle_of_waits", "rewritten_in_use", "off_the_mesh",
      "operands",   "elsewhere",  "undefined", "partial",    "not_everywhere",       "aligned",        "incomplete",       "stale",
      "never_read", "cache_rows", "phases",    "interface"};
  return kNames[static_cast<size_t>(r)];
}

int colours_max(const Program& p) {
  size_t most = 0;
  for (const PhaseId phase : p.phases.ids())
    for (const RegionId region : p.regions.ids()) most = std::max(most, colours_used(p, region, phase).size());
  return static_cast<int>(most);
}

std::vector<Diagnostic> verify(const Program& program, const Limits& limits) {
  std::vector<Diagnostic> out = check_form(program);
  if (!out.empty()) return out;  // the other rules rely on it
  check_mesh(program, limits, out);
  if (!out.empty()) return out;  // the other rules need regions that are there
  check_bytes(program, limits, out);
  check_colours(program, limits, out);
  check_paths(program, out);
  check_inputs(program, out);
  for (const Entry& entry : program.entries) {
    StepChecker checker{program, entry, out};
    for (const RegionSteps& list : entry.lists) checker.check(list.steps, list.region);
    check_waits(program, entry, out);
  }
  return out;
}

}  // namespace wafer::mesh
