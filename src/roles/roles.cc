#include "roles/roles.h"

#include <algorithm>
#include <map>
#include <set>

#include "roles/code_size.h"

namespace wafer::roles {
namespace {

using namespace mesh;

// The different steps of a region in a phase, each with the place of every position of both axes.
struct PlacedStep {
  const Step* step = nullptr;
  std::vector<Place> x, y;
};

struct Sweep {
  RegionId region{};
  PhaseId phase{};
  std::vector<PlacedStep> steps;
};

// A loop is a step too; its body follows.
void add_steps(const Program& p, const Steps& steps, Sweep& sweep) {
  for (const Step& s : steps) {
    if (const auto* g = std::get_if<Group>(&s.what)) {
      add_steps(p, g->body, sweep);
      continue;
    }
    const auto* loop = std::get_if<Loop>(&s.what);
    if (s.phase == sweep.phase) {
      PlacedStep placed{.step = &s};
      const Extent e = extent(p.regions[sweep.region].rect);
      if (loop != nullptr) {
        placed.x.resize(static_cast<size_t>(e.w));
        placed.y.resize(static_cast<size_t>(e.h));
      } else {
        placed.x = places(p, s, sweep.region, Axis::x);
        placed.y = places(p, s, sweep.region, Axis::y);
      }
      // Equal steps of other layers and entries are the same code.
      const bool again = std::any_of(sweep.steps.begin(), sweep.steps.end(), [&](const PlacedStep& q) {
        return kind_text(p, *q.step) == kind_text(p, s) && q.x == placed.x && q.y == placed.y;
      });
      if (!again) sweep.steps.push_back(std::move(placed));
    }
    if (loop != nullptr) add_steps(p, loop->body, sweep);
  }
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

}  // namespace

RoleTable roles(const Program& p) {
  RoleTable table;
  std::vector<Classed> all;
  for (const PhaseId phase : p.phases.ids()) {
    PhaseRoles out{.phase = p.phases[phase].name};
    std::map<std::string, int> known;
    std::set<std::string> routers;
    for (const RegionId region : p.regions.ids()) {
      Sweep sweep{.region = region, .phase = phase};
      for (const Entry& e : p.entries)
        for (const RegionSteps& list : e.lists)
          if (list.region == region) add_steps(p, list.steps, sweep);
      if (sweep.steps.empty()) continue;
      const Rect rect = p.regions[region].rect;
      Classed c{.region = region,
                .phase_index = static_cast<int>(table.phases.size()),
                .x = classes_along(sweep, Axis::x, rect.w),
                .y = classes_along(sweep, Axis::y, rect.h)};
      const int colours = colours_of(p, region, phase);
      for (size_t i = 0; i < c.x.member.size(); i++) {
        c.role.emplace_back();
        for (size_t j = 0; j < c.y.member.size(); j++) {
          Role role{.cores = c.x.size[i] * c.y.size[j], .x = rect.x + c.x.member[i], .y = rect.y + c.y.member[j]};
          if (colours > 0)
            role.actions.push_back({.kind = ActionKind::route_change, .operation = "routes", .step = out.phase, .operand_count = colours});
          for (const PlacedStep& s : sweep.steps)
            for (RoleAction& a : actions(p, *s.step, s.x[static_cast<size_t>(c.x.member[i])], s.y[static_cast<size_t>(c.y.member[j])]))
              role.actions.push_back(std::move(a));
          const auto [it, fresh] = known.try_emplace(text_of(role.actions), static_cast<int>(out.roles.size()));
          c.role.back().push_back(it->second);
          out.cores += role.cores;
          if (!fresh) {
            out.roles[static_cast<size_t>(it->second)].cores += role.cores;
            continue;
          }
          role.name = "x: " + place_name(sweep, Axis::x, c.x.member[i]) + ", y: " + place_name(sweep, Axis::y, c.y.member[j]);
          role.code_bytes = code_of({&role.actions});
          out.roles.push_back(std::move(role));
        }
      }
      std::vector<std::string> at_x, at_y;
      for (const std::string& x : router_texts(p, region, phase, Axis::x, rect.w, at_x))
        for (const std::string& y : router_texts(p, region, phase, Axis::y, rect.h, at_y)) routers.insert(x + "/" + y);
      all.push_back(std::move(c));
    }
    if (out.roles.empty()) continue;
    out.router_configurations = static_cast<int64_t>(routers.size());
    table.phases.push_back(std::move(out));
  }

  // Columns and rows of the device by the regions over them and their classes in each phase.
  const auto key_along = [&](Axis axis) {
    return [&, axis](int position) {
      std::vector<std::pair<int, int>> key;
      for (size_t k = 0; k < all.size(); k++) {
        const Rect r = p.regions[all[k].region].rect;
        const int at = position - (axis == Axis::x ? r.x : r.y);
        if (at >= 0 && at < (axis == Axis::x ? r.w : r.h))
          key.emplace_back(static_cast<int>(k), (axis == Axis::x ? all[k].x : all[k].y).of[static_cast<size_t>(at)]);
      }
      return key;
    };
  };
  const auto x_key = key_along(Axis::x), y_key = key_along(Axis::y);
  const Classes xs = classes_of(p.mesh.w, x_key), ys = classes_of(p.mesh.h, y_key);
  std::map<std::vector<WholeRole::Part>, int> known;
  for (size_t i = 0; i < xs.member.size(); i++)
    for (size_t j = 0; j < ys.member.size(); j++) {
      const auto at_x = x_key(xs.member[i]), at_y = y_key(ys.member[j]);
      WholeRole whole{.cores = xs.size[i] * ys.size[j], .x = xs.member[i], .y = ys.member[j]};
      for (const auto& [k, cx] : at_x)
        for (const auto& [l, cy] : at_y)
          if (k == l)
            whole.parts.push_back({.phase = all[static_cast<size_t>(k)].phase_index,
                                   .role = all[static_cast<size_t>(k)].role[static_cast<size_t>(cx)][static_cast<size_t>(cy)]});
      if (whole.parts.empty()) continue;
      std::sort(whole.parts.begin(), whole.parts.end());
      table.cores += whole.cores;
      const auto [it, fresh] = known.try_emplace(whole.parts, static_cast<int>(table.whole.size()));
      if (!fresh) {
        table.whole[static_cast<size_t>(it->second)].cores += whole.cores;
        continue;
      }
      std::vector<const std::vector<RoleAction>*> lists;
      for (const WholeRole::Part& part : whole.parts)
        lists.push_back(&table.phases[static_cast<size_t>(part.phase)].roles[static_cast<size_t>(part.role)].actions);
      whole.code_bytes = code_of(lists);
      table.whole.push_back(std::move(whole));
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
