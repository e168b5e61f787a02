#include "roles/roles.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "mesh/expand.h"
#include "roles/code_size.h"

namespace wafer::roles {
namespace {

using namespace mesh;

// The different steps of a region in a phase, each with the place of every position of both axes.
struct PlacedStep {
  std::shared_ptr<const Step> step;
  std::vector<Place> x, y;
};

struct Sweep {
  RegionId region{};
  PhaseId phase{};
  std::vector<PlacedStep> steps;
};

// A loop is a step too; its body follows.
void add_steps(const Program& p, const Steps& steps, Sweep& sweep) {
  for_each_expanded_step(p, steps, [&](const Step& s) {
    if (std::holds_alternative<Group>(s.what) || std::holds_alternative<Product>(s.what) || s.phase != sweep.phase) return;
    PlacedStep placed{.step = {}, .x = places(p, s, sweep.region, Axis::x), .y = places(p, s, sweep.region, Axis::y)};
    // Equal steps of other layers and entries are the same code.
    const bool again = std::any_of(sweep.steps.begin(), sweep.steps.end(), [&](const PlacedStep& q) {
      return kind_text(p, *q.step) == kind_text(p, s) && q.x == placed.x && q.y == placed.y;
    });
    if (again) return;
    placed.step = std::make_shared<const Step>(s);
    sweep.steps.push_back(std::move(placed));
  });
}

Sweep sweep_of(const Program& p, RegionId region, PhaseId phase) {
  Sweep sweep{.region = region, .phase = phase};
  for (const Entry& e : p.entries)
    for (const RegionSteps& list : e.lists)
      if (list.region == region) add_steps(p, list.steps, sweep);
  return sweep;
}

// Positions of an axis that stand at the same places in all steps.
struct Classes {
  std::vector<int> of;      // [positions]
  std::vector<int> member;  // [classes] the first position
  std::vector<int64_t> size;
};

template <class Key>
Classes classes_of(int positions, const Key& key_at) {
  Classes c;
  std::map<decltype(key_at(0)), int> known;
  for (int p = 0; p < positions; p++) {
    const auto [it, fresh] = known.try_emplace(key_at(p), static_cast<int>(c.member.size()));
    if (fresh) {
      c.member.push_back(p);
      c.size.push_back(0);
    }
    c.of.push_back(it->second);
    c.size[static_cast<size_t>(it->second)]++;
  }
  return c;
}

Classes classes_along(const Sweep& sweep, Axis axis, int positions) {
  return classes_of(positions, [&](int p) {
    std::vector<Place> key;
    for (const PlacedStep& s : sweep.steps) key.push_back((axis == Axis::x ? s.x : s.y)[static_cast<size_t>(p)]);
    return key;
  });
}

// What the routers of a position hold for an axis in a phase: colour, and where it comes from and goes to.
std::set<std::string> router_texts(const Program& p, RegionId region, PhaseId phase, Axis axis, int positions,
                                   std::vector<std::string>& at) {
  at.assign(static_cast<size_t>(positions), "");
  for (const Route& r : p.routes) {
    if (r.region != region || r.phase != phase || r.axis != axis) continue;
    for (size_t k = 0; k < r.paths.size(); k++) {
      const Path& path = r.paths[k];
      for (int q = path.lo; q <= path.hi; q++) {
        const int from = q == path.from ? 0 : path.from < q ? -1 : 1;
        const bool ends = path.multicast ? q != path.from : q == path.to;
        at[static_cast<size_t>(q)] += std::to_string(r.colours[k]) + ":" + std::to_string(from) + (ends ? "r" : "") +
                                      (q > path.lo ? "-" : "") + (q < path.hi ? "+" : "") + " ";
      }
    }
  }
  return {at.begin(), at.end()};
}

std::string place_name(const Sweep& sweep, Axis axis, int position) {
  std::string best;
  for (const PlacedStep& s : sweep.steps) {
    const Place& place = (axis == Axis::x ? s.x : s.y)[static_cast<size_t>(position)];
    const std::string text = name(place);
    if (place.kind == PlaceKind::tree && text.size() > best.size()) best = text;
    if (best.empty() && place.kind != PlaceKind::none) best = text;
  }
  return best.empty() ? "any" : best;
}

int colours_of(const Program& p, RegionId region, PhaseId phase) {
  std::set<int> all;
  for (const Route& r : p.routes)
    if (r.region == region && r.phase == phase) all.insert(r.colours.begin(), r.colours.end());
  return static_cast<int>(all.size());
}

std::string text_of(const std::vector<RoleAction>& actions) {
  std::string out;
  for (const RoleAction& a : actions)
    out += std::string(name(a.kind)) + "|" + a.operation + "|" + a.operands + "|" + std::to_string(a.operand_count) + "\n";
  return out;
}

std::string piece_of(const RoleAction& a) { return std::string(name(a.kind)) + "|" + a.operation + "|" + a.operands; }

// Every piece of code once, every call on its own.
int64_t code_of(const std::vector<const std::vector<RoleAction>*>& lists) {
  std::set<std::string> pieces;
  int64_t bytes = 0;
  for (const auto* actions : lists)
    for (const RoleAction& a : *actions) {
      if (pieces.insert(piece_of(a)).second) bytes += shared_bytes(a);
      bytes += call_bytes(a);
    }
  return bytes;
}

// A region in a phase, classed.
struct Classed {
  RegionId region{};
  int phase_index = 0;  // in RoleTable::phases
  Classes x, y;
  std::vector<std::vector<int>> role;  // [x class][y class]
};

// ---- one phase -------------------------------------------------------------------------------------------------------------------

// The roles of a phase while they are found, each once, by its actions.
struct PhaseInWork {
  PhaseRoles out;
  std::map<std::string, int> known;
  std::set<std::string> routers;
};

// What a core at a position along x and one along y does.
std::vector<RoleAction> actions_at(const Program& p, const Sweep& sweep, int x, int y) {
  std::vector<RoleAction> all;
  if (const int colours = colours_of(p, sweep.region, sweep.phase); colours > 0)
    all.push_back({.kind = ActionKind::route_change, .operation = "routes", .step = p.phases[sweep.phase].name, .operand_count = colours});
  for (const PlacedStep& s : sweep.steps)
    for (RoleAction& a : actions(p, *s.step, s.x[static_cast<size_t>(x)], s.y[static_cast<size_t>(y)])) all.push_back(std::move(a));
  return all;
}

// Adds a role, or its cores to the equal one that is there. Returns its place in the phase.
int add_role(PhaseInWork& phase, const Sweep& sweep, Role role, int x, int y) {
  const auto [it, fresh] = phase.known.try_emplace(text_of(role.actions), static_cast<int>(phase.out.roles.size()));
  phase.out.cores += role.cores;
  if (!fresh) {
    phase.out.roles[static_cast<size_t>(it->second)].cores += role.cores;
    return it->second;
  }
  role.name = "x: " + place_name(sweep, Axis::x, x) + ", y: " + place_name(sweep, Axis::y, y);
  role.code_bytes = code_of({&role.actions});
  phase.out.roles.push_back(std::move(role));
  return it->second;
}

Classed add_region(const Program& p, const Sweep& sweep, PhaseInWork& phase) {
  const Rect rect = p.regions[sweep.region].rect;
  Classed c{.region = sweep.region, .x = classes_along(sweep, Axis::x, rect.w), .y = classes_along(sweep, Axis::y, rect.h)};
  for (size_t i = 0; i < c.x.member.size(); i++) {
    c.role.emplace_back();
    for (size_t j = 0; j < c.y.member.size(); j++) {
      const int x = c.x.member[i], y = c.y.member[j];
      Role role{.cores = c.x.size[i] * c.y.size[j], .x = rect.x + x, .y = rect.y + y, .actions = actions_at(p, sweep, x, y)};
      c.role.back().push_back(add_role(phase, sweep, std::move(role), x, y));
    }
  }
  std::vector<std::string> at_x, at_y;
  for (const std::string& x : router_texts(p, sweep.region, sweep.phase, Axis::x, rect.w, at_x))
    for (const std::string& y : router_texts(p, sweep.region, sweep.phase, Axis::y, rect.h, at_y)) phase.routers.insert(x + "/" + y);
  return c;
}

// Adds the phases in which any region has steps; returns those regions, phase by phase.
std::vector<Classed> add_phases(const Program& p, RoleTable& table) {
  std::vector<Classed> all;
  for (const PhaseId id : p.phases.ids()) {
    PhaseInWork phase{.out = {.phase = p.phases[id].name}};
    for (const RegionId region : p.regions.ids()) {
      const Sweep sweep = sweep_of(p, region, id);
      if (sweep.steps.empty()) continue;
      all.push_back(add_region(p, sweep, phase));
      all.back().phase_index = static_cast<int>(table.phases.size());
    }
    if (phase.out.roles.empty()) continue;
    phase.out.router_configurations = static_cast<int64_t>(phase.routers.size());
    table.phases.push_back(std::move(phase.out));
  }
  return all;
}

// ---- the whole device ------------------------------------------------------------------------------------------------------------

// The regions over a column or row of the device, in each phase, and its class there.
struct Over {
  size_t classed = 0;
  int of = 0;
  auto operator<=>(const Over&) const = default;
};

std::vector<Over> regions_over(const Program& p, const std::vector<Classed>& all, Axis axis, int position) {
  std::vector<Over> key;
  for (size_t k = 0; k < all.size(); k++) {
    const Rect r = p.regions[all[k].region].rect;
    const int at = position - (axis == Axis::x ? r.x : r.y);
    if (at >= 0 && at < side(extent(r), axis)) key.push_back({k, (axis == Axis::x ? all[k].x : all[k].y).of[static_cast<size_t>(at)]});
  }
  return key;
}

// The roles of a core that lies under these columns' and rows' regions.
std::vector<WholeRole::Part> parts_of(const std::vector<Classed>& all, const std::vector<Over>& at_x, const std::vector<Over>& at_y) {
  std::vector<WholeRole::Part> parts;
  for (const Over& x : at_x)
    for (const Over& y : at_y)
      if (x.classed == y.classed)
        parts.push_back(
            {.phase = all[x.classed].phase_index, .role = all[x.classed].role[static_cast<size_t>(x.of)][static_cast<size_t>(y.of)]});
  std::sort(parts.begin(), parts.end());
  return parts;
}

void add_whole(RoleTable& table, std::map<std::vector<WholeRole::Part>, int>& known, WholeRole whole) {
  table.cores += whole.cores;
  const auto [it, fresh] = known.try_emplace(whole.parts, static_cast<int>(table.whole.size()));
  if (!fresh) {
    table.whole[static_cast<size_t>(it->second)].cores += whole.cores;
    return;
  }
  std::vector<const std::vector<RoleAction>*> lists;
  for (const WholeRole::Part& part : whole.parts)
    lists.push_back(&table.phases[static_cast<size_t>(part.phase)].roles[static_cast<size_t>(part.role)].actions);
  whole.code_bytes = code_of(lists);
  table.whole.push_back(std::move(whole));
}

}  // namespace

RoleTable roles(const Program& p) {
  RoleTable table;
  const std::vector<Classed> all = add_phases(p, table);
  const auto over = [&](Axis axis) { return [&, axis](int position) { return regions_over(p, all, axis, position); }; };
  const Classes xs = classes_of(p.mesh.w, over(Axis::x)), ys = classes_of(p.mesh.h, over(Axis::y));
  std::map<std::vector<WholeRole::Part>, int> known;
  for (size_t i = 0; i < xs.member.size(); i++)
    for (size_t j = 0; j < ys.member.size(); j++) {
      WholeRole whole{.parts = parts_of(all, over(Axis::x)(xs.member[i]), over(Axis::y)(ys.member[j])),
                      .cores = xs.size[i] * ys.size[j],
                      .x = xs.member[i],
                      .y = ys.member[j]};
      if (!whole.parts.empty()) add_whole(table, known, std::move(whole));
    }
  std::stable_sort(table.whole.begin(), table.whole.end(),
                   [](const WholeRole& a, const WholeRole& b) { return a.code_bytes > b.code_bytes; });
  return table;
}

CodeEstimate code_estimate(const RoleTable& table, int64_t code_and_system_bytes) {
  CodeEstimate e{.roles = static_cast<int64_t>(table.whole.size()), .system_bytes = kSystemBytes, .reserved = code_and_system_bytes};
  if (!table.whole.empty()) {
    e.role = 0;
    e.code_bytes_max = table.whole.front().code_bytes;
  }
  e.fits = e.code_bytes_max + e.system_bytes <= e.reserved;
  return e;
}

}  // namespace wafer::roles
