#include "roles/place.h"

#include <fmt/format.h>

#include <algorithm>

#include "mesh/visit.h"

namespace wafer::roles {
namespace {

using namespace mesh;

std::vector<Place> tree_places(const Reduce& r, size_t n) {
  std::vector<Place> out(n, Place{.kind = PlaceKind::none});
  for (size_t i = 0; i < r.forest.runs.size(); i++) {
    const Range run = r.forest.runs[i];
    const Tree& tree = r.forest.trees[i];
    const auto at = [&](int p) -> Place& { return out[static_cast<size_t>(run.begin + p)]; };
    for (size_t l = 0; l < tree.levels.size(); l++) {
      const auto links = [&](int p) -> Links& {
        Place& place = at(p);
        place.kind = PlaceKind::tree;
        if (place.levels.size() <= l) place.levels.resize(l + 1);
        return place.levels[l];
      };
      for (const Chain& c : tree.levels[l])
        for (size_t k = 0; k + 1 < c.size(); k++) {
          links(c[k]).out++;
          links(c[k + 1]).in++;
        }
    }
    const bool cast = std::any_of(r.parts.begin(), r.parts.end(), [](const ReducePart& part) { return part.broadcast; });
    if (cast && run.size() > 1)
      for (int p = 0; p < run.size(); p++) {
        at(p).kind = PlaceKind::tree;
        at(p).cast = p == tree.root ? Cast::root : Cast::leaf;
      }
  }
  return out;
}

// Ends and middles of every run.
std::vector<Place> line_places(const std::vector<Range>& runs, size_t n) {
  std::vector<Place> out(n, Place{.kind = PlaceKind::none});
  for (const Range& run : runs)
    for (int64_t p = run.begin; p < run.end && run.size() > 1; p++)
      out[static_cast<size_t>(p)].kind = p == run.begin || p + 1 == run.end ? PlaceKind::end : PlaceKind::middle;
  return out;
}

std::vector<Place> ring_places(const std::vector<Range>& runs, size_t n) {
  std::vector<Place> out = line_places(runs, n);
  for (Place& p : out)
    if (p.kind != PlaceKind::none) p.kind = PlaceKind::ring;
  return out;
}

bool stores_at_the_bottom(const Program& program, const Local& l) {
  if (l.op != LocalOp::store_rows) return false;
  for (const DimCut& c : program.buffers[l.out[0]].cuts)
    if (c.cut.kind == CutKind::shift) return true;
  return false;
}

}  // namespace

std::string name(const Place& place) {
  switch (place.kind) {
    case PlaceKind::all:
    case PlaceKind::ring: return "";
    case PlaceKind::none: return "no part";
    case PlaceKind::end: return "end";
    case PlaceKind::middle: return "middle";
    case PlaceKind::first: return "first";
    case PlaceKind::last: return "last";
    case PlaceKind::tree: break;
  }
  if (place.cast == Cast::root) return "final root";
  for (size_t l = place.levels.size(); l-- > 0;) {
    const Links& k = place.levels[l];
    if (k.out > 0)
      return fmt::format("level {} {}{}", l + 1, k.in > 0 ? "middle" : "start", l > 0 && place.levels[l - 1].in < 2 ? "*" : "");
    if (k.in > 0) return fmt::format("level {} root of {}", l + 1, k.in);
  }
  return "receiver";
}

std::vector<Place> places(const Program& program, const Step& step, RegionId region, Axis axis) {
  const size_t n = static_cast<size_t>(side(extent(program.regions[region].rect), axis));
  const std::vector<Range> line = {{0, static_cast<int64_t>(n)}};
  std::vector<Place> all(n);
  // One place for each position: what the first core, those between and the last one are; of a single core, `alone`.
  const auto one_way = [&](PlaceKind alone) {
    std::vector<Place> out(n);
    for (size_t p = 0; p < n; p++)
      out[p].kind = n == 1 ? alone : p == 0 ? PlaceKind::first : p + 1 == n ? PlaceKind::last : PlaceKind::middle;
    return out;
  };
  return visit(
      step,
      [&](const Local& s) {
        if (axis == Axis::x || !stores_at_the_bottom(program, s)) return all;
        std::vector<Place> out(n, Place{.kind = PlaceKind::none});
        out.back().kind = PlaceKind::last;
        return out;
      },
      [&](const Reduce& s) { return s.axis == axis ? tree_places(s, n) : all; },
      [&](const RingReduce& s) { return s.axis == axis ? ring_places(s.runs, n) : all; },
      [&](const Multicast& s) { return s.axis == axis ? line_places(line, n) : all; },
      [&](const TileCast& s) { return s.axis == axis ? ring_places(line, n) : all; },
      [&](const Shift& s) { return s.axis != axis ? all : ring_places(axis == Axis::x ? s.runs : line, n); },
      [&](const RowShift&) { return axis == Axis::x ? all : one_way(PlaceKind::none); },
      [&](const RootReduce& s) { return axis == Axis::x ? line_places(s.runs, n) : all; },
      for_kinds<Send, Receive>([&] { return line_places(line, n); }),
      // assumed: values cross at column 0, and pass along the rows
      [&](const Host&) { return axis == Axis::y ? all : one_way(PlaceKind::first); },
      for_kinds<Opaque, Loop, Group, Product>([&] { return all; }));
}

}  // namespace wafer::roles
