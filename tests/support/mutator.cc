#include "support/mutator.h"

#include <fmt/format.h>

#include <memory>
#include <type_traits>

namespace wafer {

using namespace mesh;

namespace {

// How many values an enumeration has.
template <class E>
constexpr int kValues = 0;
template <>
constexpr int kValues<SizeKind> = 4;
template <>
constexpr int kValues<Dtype> = 6;
template <>
constexpr int kValues<LoopVar> = 6;
template <>
constexpr int kValues<BufferKind> = 5;
template <>
constexpr int kValues<Axis> = 2;
template <>
constexpr int kValues<CutKind> = 8;
template <>
constexpr int kValues<LocalOp> = static_cast<int>(LocalOp::tile_fma_t) + 1;
template <>
constexpr int kValues<ReduceOp> = 3;
template <>
constexpr int kValues<ShiftKind> = 3;
template <>
constexpr int kValues<LineOrder> = 2;
template <>
constexpr int kValues<MoveKind> = 3;
template <>
constexpr int kValues<CountKind> = 3;
template <>
constexpr int kValues<GroupKind> = 2;
template <>
constexpr int kValues<Algorithm> = 5;
template <>
constexpr int kValues<VectorUnit> = 5;
template <>
constexpr int kValues<Numerics> = 3;

template <class T>
constexpr bool kIsId = false;
template <class Tag>
constexpr bool kIsId<Id<Tag>> = true;
template <class T>
constexpr bool kIsVector = false;
template <class T>
constexpr bool kIsVector<std::vector<T>> = true;

// How many parts of its kind a program has.
int count_of(const Program& p, TensorId) { return static_cast<int>(p.tensors.size()); }
int count_of(const Program& p, RegionId) { return static_cast<int>(p.regions.size()); }
int count_of(const Program& p, PhaseId) { return static_cast<int>(p.phases.size()); }
int count_of(const Program& p, BufferId) { return static_cast<int>(p.buffers.size()); }
int count_of(const Program& p, RouteId) { return static_cast<int>(p.routes.size()); }
int count_of(const Program& p, MoveId) { return static_cast<int>(p.moves.size()); }
int count_of(const Program& p, IssueId) { return static_cast<int>(p.issues.size()); }

struct Walk {
  Program& p;
  Rng& rng;
  std::vector<MutationSite>& out;
  std::string where{};

  void site(const std::string& field, std::function<std::string(Rng&)> change) { out.push_back({field, where, std::move(change)}); }

  // ---- single values ---------------------------------------------------------------------------------------------------------------

  template <class T>
  requires std::is_enum_v<T>
  void value(const std::string& field, T& v) {
    static_assert(kValues<T> > 0, "say how many values the enumeration has");
    site(field, [&v](Rng& r) {
      const int before = static_cast<int>(v);
      const int after = (before + 1 + static_cast<int>(next_below(r, kValues<T> - 1))) % kValues<T>;
      v = static_cast<T>(after);
      return fmt::format("{} -> {}", before, after);
    });
  }
  void value(const std::string& field, bool& v) {
    site(field, [&v](Rng&) {
      v = !v;
      return fmt::format("{}", v);
    });
  }
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void value(const std::string& field, T& v) {
    site(field, [&v](Rng& r) {
      const T before = v, choices[] = {static_cast<T>(v + 1), static_cast<T>(v - 1), T{0}, static_cast<T>(2 * v), static_cast<T>(v + 2)};
      v = choices[next_below(r, std::size(choices))];
      return v == before ? std::string() : fmt::format("{} -> {}", before, v);
    });
  }
  void value(const std::string& field, float& v) {
    site(field, [&v](Rng& r) {
      const float before = v, choices[] = {2 * v, v + 1, 0.0f};
      v = choices[next_below(r, std::size(choices))];
      return v == before ? std::string() : fmt::format("{} -> {}", before, v);
    });
  }
  template <class Tag>
  void value(const std::string& field, Id<Tag>& v) {
    site(field, [this_p = &p, &v](Rng& r) {
      const int n = count_of(*this_p, v), before = v.number;
      v.number = static_cast<int>(next_below(r, static_cast<uint64_t>(n) + 1)) - 1;  // or none
      return v.number == before ? std::string() : fmt::format("{} -> {}", before, v.number);
    });
    if constexpr (std::is_same_v<Tag, BufferTag>) similar(field, v);
  }
  // Another buffer of the same region and the same sizes.
  void similar(const std::string& field, BufferId& v) {
    site(field + " (alike)", [this_p = &p, &v](Rng& r) {
      const Program& program = *this_p;
      if (!v.exists()) return std::string();
      const auto sizes = [&](BufferId id) {
        std::vector<int64_t> n;
        for (const Dim& d : program.tensors[program.buffers[id].tensor].dims) n.push_back(d.size.limit);
        return n;
      };
      std::vector<BufferId> others;
      for (const BufferId id : program.buffers.ids())
        if (id != v && program.buffers[id].region == program.buffers[v].region && sizes(id) == sizes(v)) others.push_back(id);
      if (others.empty()) return std::string();
      const int before = v.number;
      v = others[next_below(r, others.size())];
      return fmt::format("{} -> {}", before, v.number);
    });
  }
  // Names are for readers: nothing depends on them.
  void value(const std::string&, std::string&) {}
  void value(const std::string& field, std::shared_ptr<const std::vector<std::vector<Range>>>& v) {
    if (!v) return;
    site(field, [&v](Rng& r) {
      auto table = *v;
      std::vector<Range>& ranges = table[next_below(r, table.size())];
      if (ranges.empty()) {
        ranges.push_back({0, 1});
      } else if (next_below(r, 2) == 0) {
        ranges.back().end--;
      } else {
        ranges.pop_back();
      }
      v = std::make_shared<const std::vector<std::vector<Range>>>(std::move(table));
      return std::string("ranges of a position");
    });
  }

  // ---- lists -----------------------------------------------------------------------------------------------------------------------

  template <class T>
  void value(const std::string& field, std::vector<T>& list) {
    const std::string items = std::is_same_v<T, Step> ? "Steps" : field + "[]";
    site(items + " dropped", [&list](Rng& r) {
      if (list.empty()) return std::string();
      const size_t at = next_below(r, list.size());
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
      return fmt::format("number {}", at);
    });
    site(items + " doubled", [&list](Rng& r) {
      if (list.empty()) return std::string();
      const size_t at = next_below(r, list.size());
      const T copy = list[at];
      list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), copy);
      return fmt::format("number {}", at);
    });
    site(items + " swapped", [&list](Rng& r) {
      if (list.size() < 2) return std::string();
      const size_t at = next_below(r, list.size() - 1);
      std::swap(list[at], list[at + 1]);
      return fmt::format("numbers {} and {}", at, at + 1);
    });
    if (list.empty()) return;
    if constexpr (std::is_same_v<T, Step> || std::is_same_v<T, Entry> || std::is_same_v<T, RegionSteps>) {
      for (T& item : list) value(items, item);
    } else {
      value(items, list[next_below(rng, list.size())]);
    }
  }

  template <class Key, class T>
  void list(const std::string& field, IdVector<Key, T>& items) {
    for (T& item : items) value(field, item);
  }

  // ---- structs: a binding names every member, so that none is forgotten ---------------------------------------------------------------

  template <class T>
  void value(const std::string&, T& s) requires std::is_class_v<T> {
    fields(s);
  }

  void fields(Size& s) {
    auto& [kind, fixed, limit] = s;
    value("Size.kind", kind), value("Size.fixed", fixed), value("Size.limit", limit);
  }
  void fields(Dim& s) {
    auto& [name, size] = s;
    value("Dim.name", name), value("Dim.size", size);
  }
  void fields(Tensor& s) {
    auto& [name, dtype, dims, copies, copies_by, quantised_dim] = s;
    where = name;
    value("Tensor.name", name), value("Tensor.dtype", dtype), value("Tensor.dims", dims), value("Tensor.copies", copies);
    value("Tensor.copies_by", copies_by), value("Tensor.quantised_dim", quantised_dim);
  }
  void fields(Rect& s) {
    auto& [x, y, w, h] = s;
    value("Rect.x", x), value("Rect.y", y), value("Rect.w", w), value("Rect.h", h);
  }
  void fields(Extent& s) {
    auto& [w, h] = s;
    value("Program.mesh.w", w), value("Program.mesh.h", h);
  }
  void fields(Region& s) {
    auto& [name, rect] = s;
    where = name;
    value("Region.name", name), value("Region.rect", rect);
  }
  void fields(Range& s) {
    auto& [begin, end] = s;
    value("Range.begin", begin), value("Range.end", end);
  }
  void fields(Cut& s) {
    auto& [kind, positions, logical, chunk, other_side, other_logical, run_positions, table] = s;
    value("Cut.kind", kind), value("Cut.positions", positions), value("Cut.logical", logical), value("Cut.chunk", chunk);
    value("Cut.other_side", other_side), value("Cut.other_logical", other_logical), value("Cut.run_positions", run_positions);
    value("Cut.table", table);
  }
  void fields(DimCut& s) {
    auto& [dim, axis, cut] = s;
    value("DimCut.dim", dim), value("DimCut.axis", axis), value("DimCut.cut", cut);
  }
  void fields(Buffer& s) {
    auto& [name, tensor, region, kind, cuts, first_copy, copies, slots, limits, phases, leaves_in, arrives_in, moments] = s;
    where = fmt::format("{} in {}", name, p.regions[region].name);
    value("Buffer.name", name), value("Buffer.tensor", tensor), value("Buffer.region", region), value("Buffer.kind", kind);
    value("Buffer.cuts", cuts), value("Buffer.first_copy", first_copy), value("Buffer.copies", copies), value("Buffer.slots", slots);
    value("Buffer.limits", limits), value("Buffer.phases", phases), value("Buffer.leaves_in", leaves_in);
    value("Buffer.arrives_in", arrives_in), value("Buffer.moments", moments);
  }
  void fields(Phase& s) {
    auto& [name, moments] = s;
    where = name;
    value("Phase.name", name), value("Phase.moments", moments);
  }
  void fields(Path& s) {
    auto& [from, to, multicast, lo, hi] = s;
    value("Path.from", from), value("Path.to", to), value("Path.multicast", multicast), value("Path.lo", lo), value("Path.hi", hi);
  }
  void fields(Route& s) {
    auto& [name, phase, region, axis, paths, colours] = s;
    where = fmt::format("{} in {}", name, p.phases[phase].name);
    value("Route.name", name), value("Route.phase", phase), value("Route.region", region), value("Route.axis", axis);
    value("Route.paths", paths), value("Route.colours", colours);
  }
  void fields(Local& s) {
    auto& [op, in, out_buffers, scale, epsilon, size, head_dim, group] = s;
    value("Local.op", op), value("Local.in", in), value("Local.out", out_buffers), value("Local.scale", scale);
    value("Local.epsilon", epsilon), value("Local.size", size), value("Local.head_dim", head_dim), value("Local.group", group);
  }
  void fields(VectorWork& s) {
    auto& [count, elements, unit, map] = s;
    value("VectorWork.count", count), value("VectorWork.elements", elements), value("VectorWork.unit", unit), value("VectorWork.map", map);
  }
  void fields(Work& s) {
    auto& [tasks, loads, edits, route_changes, reciprocals, square_roots, exponentials, vectors] = s;
    value("Work.tasks", tasks), value("Work.descriptor_loads", loads), value("Work.descriptor_edits", edits);
    value("Work.route_changes", route_changes), value("Work.reciprocals", reciprocals), value("Work.square_roots", square_roots);
    value("Work.exponentials", exponentials), value("Work.vectors", vectors);
  }
  void fields(Opaque& s) {
    auto& [work] = s;
    value("Opaque.work", work);
  }
  void fields(ReducePart& s) {
    auto& [buffer, op, broadcast] = s;
    value("ReducePart.buffer", buffer), value("ReducePart.op", op), value("ReducePart.broadcast", broadcast);
  }
  void fields(Tree& s) {
    auto& [size, root, levels] = s;
    value("Tree.size", size), value("Tree.root", root), value("Tree.levels", levels);
  }
  void fields(Forest& s) {
    auto& [runs, trees] = s;
    value("Forest.runs", runs), value("Forest.trees", trees);
  }
  void fields(Reduce& s) {
    auto& [axis, parts, forest, issue] = s;
    value("Reduce.axis", axis), value("Reduce.parts", parts), value("Reduce.forest", forest), value("Reduce.issue", issue);
  }
  void fields(RingReduce& s) {
    auto& [axis, parts, runs] = s;
    value("RingReduce.axis", axis), value("RingReduce.parts", parts), value("RingReduce.runs", runs);
  }
  void fields(Multicast& s) {
    auto& [axis, buffer] = s;
    value("Multicast.axis", axis), value("Multicast.buffer", buffer);
  }
  void fields(Shift& s) {
    auto& [kind, axis, buffer, runs, order] = s;
    value("Shift.kind", kind), value("Shift.axis", axis), value("Shift.buffer", buffer), value("Shift.runs", runs);
    value("Shift.order", order);
  }
  void fields(TileCast& s) {
    auto& [axis, buffer, to, ahead, all] = s;
    value("TileCast.axis", axis), value("TileCast.buffer", buffer), value("TileCast.out", to), value("TileCast.ahead", ahead);
    value("TileCast.all", all);
  }
  void fields(RowShift& s) {
    auto& [buffers] = s;
    value("RowShift.buffers", buffers);
  }
  void fields(RootReduce& s) {
    auto& [partial, to, runs] = s;
    value("RootReduce.partial", partial), value("RootReduce.out", to), value("RootReduce.runs", runs);
  }
  void fields(Move& s) {
    auto& [name, kind, source, destination, copy] = s;
    where = name;
    value("Move.name", name), value("Move.kind", kind), value("Move.source", source), value("Move.destination", destination);
    value("Move.copy", copy);
  }
  void fields(Send& s) {
    auto& [move] = s;
    value("Send.move", move);
  }
  void fields(Receive& s) {
    auto& [move] = s;
    value("Receive.move", move);
  }
  void fields(Host& s) {
    auto& [to_host, buffer] = s;
    value("Host.to_host", to_host), value("Host.buffer", buffer);
  }
  void fields(Loop& s) {
    auto& [var, count, begin, fixed, body, together] = s;
    value("Loop.var", var), value("Loop.count", count), value("Loop.begin", begin), value("Loop.fixed", fixed);
    value("Loop.together", together), value("Loop.body", body);
  }
  void fields(Group& s) {
    auto& [kind, body] = s;
    value("Group.kind", kind), value("Group.body", body);
  }
  void fields(Product& s) {
    auto& [algorithm, a, b, c, partial, a_here, b_here, a_slot, b_slot, runs, a_aligned, b_aligned, heads, overlap, x_routes, y_routes,
           chain_routes] = s;
    value("Product.algorithm", algorithm), value("Product.a", a), value("Product.b", b), value("Product.c", c);
    value("Product.partial", partial), value("Product.a_here", a_here), value("Product.b_here", b_here), value("Product.runs", runs);
    value("Product.a_slot", a_slot), value("Product.b_slot", b_slot);
    value("Product.a_aligned", a_aligned), value("Product.b_aligned", b_aligned), value("Product.heads", heads);
    value("Product.overlap", overlap), value("Product.x_routes", x_routes), value("Product.y_routes", y_routes);
    value("Product.chain_routes", chain_routes);
  }
  void fields(Step& s) {
    auto& [name, phase, what, routes] = s;
    const std::string outside = where;
    where += "/" + name;
    value("Step.name", name), value("Step.phase", phase), value("Step.routes", routes);
    std::visit([&](auto& kind) { fields(kind); }, what);
    where = outside;
  }
  void fields(RegionSteps& s) {
    auto& [region, steps] = s;
    value("RegionSteps.region", region), value("RegionSteps.steps", steps);
  }
  void fields(Entry& s) {
    auto& [name, lists, inputs, outputs] = s;
    where = name;
    value("Entry.name", name), value("Entry.lists", lists), value("Entry.inputs", inputs), value("Entry.outputs", outputs);
  }
  void fields(BeforeOperation& s) {
    auto& [tasks, loads, edits] = s;
    value("BeforeOperation.tasks", tasks), value("BeforeOperation.descriptor_loads", loads),
        value("BeforeOperation.descriptor_edits", edits);
  }
  void fields(Issue& s) {
    auto& [first, later, broadcast_operations] = s;
    value("Issue.first", first), value("Issue.later", later), value("Issue.broadcast_operations", broadcast_operations);
  }
  void fields(Program& s) {
    auto& [name, numerics, mesh, tensors, regions, phases, buffers, routes, moves, issues, entries] = s;
    value("Program.name", name), value("Program.numerics", numerics), value("Program.mesh", mesh);
    list("Tensor", tensors), list("Region", regions), list("Phase", phases), list("Buffer", buffers), list("Route", routes);
    list("Move", moves), list("Issue", issues), value("Entry", entries);
  }
};

}  // namespace

std::vector<MutationSite> mutation_sites(Program& program, Rng& rng) {
  std::vector<MutationSite> out;
  Walk{.p = program, .rng = rng, .out = out}.fields(program);
  return out;
}

}  // namespace wafer
