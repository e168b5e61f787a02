#include "mesh/form.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mesh/bytes.h"
#include "mesh/visit.h"

namespace wafer::mesh {
namespace {

struct Form {
  const Program& p;
  std::vector<Diagnostic>& out;
  std::string where{};
  RegionId region{};  // of the list of steps; none outside

  // One fault for each place.
  void wrong(const std::string& text) {
    if (!out.empty() && out.back().where == where) return;
    const bool known = region.exists() && region.index() < p.regions.size();
    const Rect r = known ? p.regions[region].rect : Rect{};
    out.push_back({Rule::malformed, r.x, r.y, where, text});
  }
  void must(bool ok, const char* text) {
    if (!ok) wrong(text);
  }
  void in(int64_t value, int64_t least, int64_t most, const char* what) {
    if (value < least || value > most) wrong(fmt::format("{} is {}, not {} to {}", what, value, least, most));
  }
  template <class Key, class T>
  bool id(Key key, const IdVector<Key, T>& list, const char* what) {
    const bool ok = key.number >= 0 && static_cast<size_t>(key.number) < list.size();
    if (!ok) wrong(fmt::format("there is no {} {}", what, key.number));
    return ok;
  }
  template <class Key, class T>
  void id_or_none(Key key, const IdVector<Key, T>& list, const char* what) {
    if (key.number != -1) id(key, list, what);
  }
  // All there, and no one twice.
  template <class Key, class T>
  bool ids(const std::vector<Key>& keys, const IdVector<Key, T>& list, const char* what) {
    for (const Key key : keys)
      if (!id(key, list, what)) return false;
    if (std::set<Key>(keys.begin(), keys.end()).size() != keys.size()) wrong(fmt::format("the same {} twice", what));
    return true;
  }

  // ---- tensors, buffers ------------------------------------------------------------------------------------------------------------

  void tensor(const Tensor& t) {
    where = "tensor " + t.name;
    in(t.copies, 1, INT32_MAX, "copies");
    must(t.copies_by == LoopVar::layer || t.copies_by == LoopVar::chunk, "copies are one for each layer or chunk");
    in(t.quantised_dim, 0, quantised(t.dtype) && !t.dims.empty() ? static_cast<int64_t>(t.dims.size()) - 1 : 0, "the quantised dimension");
    for (const Dim& d : t.dims) {
      in(d.size.limit, 1, INT64_MAX, "the limit of a size");
      must(d.size.kind != SizeKind::fixed || d.size.fixed == d.size.limit, "a fixed size has itself as limit");
    }
  }

  void cut(const Cut& c, int64_t n, Extent e, Axis axis) {
    const int side_here = side(e, axis), logical = std::max(e.w, e.h);
    in(c.positions, side_here, side_here, "positions of a cut");
    const bool is_ring = c.kind == CutKind::ring || c.kind == CutKind::line || c.kind == CutKind::chunks;
    in(c.logical, is_ring ? logical : 1, is_ring ? logical : 1, "logical positions of a cut");
    in(c.chunk, c.kind == CutKind::chunks ? 1 : 0, c.kind == CutKind::chunks ? INT64_MAX : 0, "the chunk of a cut");
    const bool runs = c.kind == CutKind::runs;
    const int across = side(e, other(axis));
    in(c.other_side, runs ? across : 1, runs ? across : 1, "the other side of a cut");
    in(c.other_logical, runs ? logical : 1, runs ? logical : 1, "logical positions of the other side of a cut");
    must(runs == !c.run_positions.empty(), "runs belong to a cut by runs");
    if (runs) covers(c.run_positions, side_here);
    must((c.kind == CutKind::table) == (c.table != nullptr), "a table belongs to a cut by table");
    if (c.kind != CutKind::table || c.table == nullptr) return;
    in(static_cast<int64_t>(c.table->size()), side_here, side_here, "positions of a table");
    for (const std::vector<Range>& ranges : *c.table)
      for (const Range& r : ranges) must(r.begin >= 0 && r.begin < r.end && r.end <= n, "a range of a table is empty or beyond the size");
  }

  // Runs that lie in order, each with a position at least, and cover the whole line.
  void covers(const std::vector<Range>& runs, int64_t positions) {
    int64_t at = 0;
    for (const Range& r : runs) {
      must(r.begin == at && r.end > r.begin, "runs do not follow one another");
      at = r.end;
    }
    must(at == positions, "runs do not cover the line");
  }

  void buffer(const Buffer& b) {
    where = "buffer " + b.name;
    region = {};
    if (!id(b.tensor, p.tensors, "tensor") || !id(b.region, p.regions, "region")) return;
    region = b.region;
    const Tensor& t = p.tensors[b.tensor];
    const Extent e = extent(p.regions[b.region].rect);
    std::set<std::pair<int, Axis>> seen;
    for (const DimCut& c : b.cuts) {
      in(c.dim, 0, static_cast<int64_t>(t.dims.size()) - 1, "the dimension of a cut");
      if (c.dim < 0 || static_cast<size_t>(c.dim) >= t.dims.size()) return;
      must(seen.insert({c.dim, c.axis}).second, "a dimension is cut twice along an axis");
      must(c.cut.kind != CutKind::whole, "a cut that leaves the dimension whole");
      cut(c.cut, t.dims[static_cast<size_t>(c.dim)].size.limit, e, c.axis);
    }
    in(b.first_copy, 0, t.copies - 1, "the first copy");
    in(b.copies, 1, t.copies - b.first_copy, "copies");
    in(b.slots, 1, 2, "slots");
    must(b.limits.empty() || b.limits.size() == t.dims.size(), "limits are one for each dimension");
    for (size_t d = 0; d < std::min(b.limits.size(), t.dims.size()); d++) in(b.limits[d], 1, t.dims[d].size.limit, "a limit");
    must(!b.phases.empty(), "it lives in no phase");
    ids(b.phases, p.phases, "phase");
    must(std::is_sorted(b.phases.begin(), b.phases.end()), "its phases are not in order");
    id_or_none(b.leaves_in, p.phases, "phase");
    id_or_none(b.arrives_in, p.phases, "phase");
    must(!b.leaves_in.exists() || !b.arrives_in.exists(), "it leaves and arrives");
    const bool moves = b.leaves_in.exists() || b.arrives_in.exists();
    if (moves) must(b.moments.size() == static_cast<size_t>(b.copies), "moments are one for each copy");
    for (const int m : b.moments) must(m >= 0, "a moment before the first");
  }

  // ---- routes, moves ---------------------------------------------------------------------------------------------------------------

  void route(const Route& r) {
    where = "route " + r.name;
    id(r.phase, p.phases, "phase");
    region = {};
    if (!id(r.region, p.regions, "region")) return;
    region = r.region;
    must(!r.paths.empty(), "it has no paths");
    must(r.paths.size() == r.colours.size(), "colours are one for each path");
    for (const int c : r.colours) must(c >= 0, "a colour below 0");
    for (const Path& path : r.paths) {
      must(path.lo <= path.from && path.from <= path.hi && path.lo < path.hi, "a path does not begin at its first core");
      if (path.multicast)
        must(path.to == path.from, "a multicast has no single receiver");
      else
        must(path.lo == std::min(path.from, path.to) && path.hi == std::max(path.from, path.to), "a path does not end at its receiver");
    }
  }

  void move(const Move& m) {
    where = "move " + m.name;
    region = {};
    if (!id(m.source, p.buffers, "buffer") || !id(m.destination, p.buffers, "buffer")) return;
    must(m.source != m.destination, "it goes to where it comes from");
    for (const BufferId b : {m.source, m.destination}) {
      const Buffer& at = p.buffers[b];
      in(m.copy, at.copies == 1 && at.first_copy == 0 ? 0 : at.first_copy,
         at.copies == 1 && at.first_copy == 0 ? 0 : at.first_copy + at.copies - 1, "the copy");
    }
  }

  // ---- steps -----------------------------------------------------------------------------------------------------------------------

  void runs_of_line(const std::vector<Range>& runs, Axis axis) { covers(runs, side(extent(p.regions[region].rect), axis)); }

  void operator()(const Local& s) {
    for (const BufferId b : s.in) id(b, p.buffers, "buffer");
    ids(s.out, p.buffers, "buffer");
    must(!s.out.empty(), "it writes nothing");
  }
  void operator()(const Opaque&) {}
  void parts(const std::vector<ReducePart>& list) {
    must(!list.empty(), "it joins nothing");
    ids(buffers_of(list), p.buffers, "buffer");
  }
  void operator()(const Reduce& s) {
    parts(s.parts);
    id_or_none(s.issue, p.issues, "issue");
    must(s.forest.runs.size() == s.forest.trees.size(), "trees are one for each run");
    if (s.forest.runs.size() != s.forest.trees.size()) return;
    runs_of_line(s.forest.runs, s.axis);
    for (size_t i = 0; i < s.forest.runs.size(); i++) {
      const Tree& t = s.forest.trees[i];
      in(t.size, s.forest.runs[i].size(), s.forest.runs[i].size(), "the size of a tree");
      in(t.root, 0, t.size - 1, "the root of a tree");
      for (const Level& level : t.levels)
        for (const Chain& chain : level) {
          must(!chain.empty(), "a chain without cores");
          for (const int at : chain) in(at, 0, t.size - 1, "a core of a chain");
        }
    }
  }
  void operator()(const RingReduce& s) {
    parts(s.parts);
    runs_of_line(s.runs, s.axis);
  }
  void operator()(const Multicast& s) { id(s.buffer, p.buffers, "buffer"); }
  void operator()(const Shift& s) { id(s.buffer, p.buffers, "buffer"); }
  void operator()(const TileCast& s) {
    id(s.buffer, p.buffers, "buffer");
    id(s.out, p.buffers, "buffer");
  }
  void operator()(const RowShift& s) {
    must(!s.buffers.empty(), "it shifts nothing");
    ids(s.buffers, p.buffers, "buffer");
  }
  void operator()(const RootReduce& s) {
    id(s.partial, p.buffers, "buffer");
    id(s.out, p.buffers, "buffer");
  }
  void operator()(const Send& s) { id(s.move, p.moves, "move"); }
  void operator()(const Receive& s) { id(s.move, p.moves, "move"); }
  void operator()(const Host& s) { id(s.buffer, p.buffers, "buffer"); }
  void operator()(const Loop& s) {
    in(s.fixed, 1, INT64_MAX, "turns");
    in(s.begin, 0, INT64_MAX, "the first turn");
    must(s.count == CountKind::fixed || (s.fixed == 1 && s.begin == 0), "turns that parameters tell have no number");
    must(!s.body.empty(), "a loop without steps");
    must(!s.together, "only a product's turns start together");
    must(s.var != LoopVar::ring_step, "ring steps belong to a product");
  }
  void operator()(const Group& s) { must(!s.body.empty(), "a group without steps"); }
  void operator()(const Product& s) {
    for (const BufferId b : {s.a, s.b, s.c}) id(b, p.buffers, "buffer");
    for (const BufferId b : {s.partial, s.a_here, s.b_here, s.a_slot, s.b_slot}) id_or_none(b, p.buffers, "buffer");
    must(s.partial.exists() == (s.algorithm == Algorithm::gemm_t), "partial products are gemm_t's");
    const bool cast = s.algorithm == Algorithm::summa || s.algorithm == Algorithm::allgather;
    must(s.a_here.exists() == cast && s.b_here.exists() == cast, "arriving tiles are those of casts");
    must(s.algorithm == Algorithm::gemm_t || s.chain_routes.empty(), "chains are gemm_t's");
    must(on_rings(s.algorithm) || !s.a_aligned, "nothing is aligned off the rings");
    in(s.heads, 0, INT32_MAX, "heads");
    runs_of_line(s.runs, Axis::x);
    for (const auto* routes : {&s.x_routes, &s.y_routes, &s.chain_routes}) ids(*routes, p.routes, "route");
  }

  void steps(const Steps& list, const std::string& entry) {
    for_each_step(list, [&](const Step& step) {
      where = fmt::format("entry {}, region {}, step {}", entry, p.regions[region].name, step.name);
      id(step.phase, p.phases, "phase");
      ids(step.routes, p.routes, "route");
      std::visit(*this, step.what);
    });
  }
};

}  // namespace

std::vector<Diagnostic> check_form(const Program& p) {
  std::vector<Diagnostic> out;
  Form form{.p = p, .out = out};
  // Regions are off_the_mesh's.
  if (std::any_of(p.regions.begin(), p.regions.end(), [](const Region& r) { return r.rect.w < 1 || r.rect.h < 1; })) return out;
  for (const Tensor& t : p.tensors) form.tensor(t);
  for (const Phase& phase : p.phases) {
    form.where = "phase " + phase.name;
    form.in(phase.moments, 1, INT32_MAX, "moments");
  }
  if (!out.empty()) return out;
  for (const Buffer& b : p.buffers) form.buffer(b);
  for (const Route& r : p.routes) form.route(r);
  if (!out.empty()) return out;
  for (const Move& m : p.moves) form.move(m);
  std::set<std::string> names;
  for (const Entry& e : p.entries) {
    form.where = "entry " + e.name;
    form.region = {};
    form.must(names.insert(e.name).second, "two entries of one name");
    form.ids(e.inputs, p.buffers, "buffer");
    form.ids(e.outputs, p.buffers, "buffer");
    std::set<RegionId> regions;
    for (const RegionSteps& list : e.lists) {
      form.where = "entry " + e.name;
      form.region = {};
      if (!form.id(list.region, p.regions, "region")) continue;
      form.must(regions.insert(list.region).second, "two lists of one region");
      form.region = list.region;
      form.steps(list.steps, e.name);
    }
  }
  return out;
}

}  // namespace wafer::mesh
