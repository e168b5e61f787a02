// Where the operands of whole products, reductions and moves lie.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "mesh/locality_walk.h"

namespace wafer::mesh::locality {
namespace {

// One dimension of an operand.
struct Side {
  BufferId id{};
  int dim = 0;
};

struct ProductCheck {
  Checker& c;
  const Place& at;
  const Product& g;
  Extent e;

  const Cut* cut(const Side& s, Axis axis) const { return cut_on(c.buffer(s.id), s.dim, axis); }
  int64_t size(const Side& s) const { return c.size(s.id, static_cast<size_t>(s.dim), at.context); }
  int rank(BufferId b) const { return static_cast<int>(c.tensor(b).dims.size()); }
  std::string dim_text(const Side& s) const {
    return fmt::format("{} (buffer {})", c.tensor(s.id).dims[static_cast<size_t>(s.dim)].name, c.buffer(s.id).name);
  }
  void wrong(const std::string& text, BufferId about) { c.report(Rule::operands, at, about, text); }

  // Of a cache that lies chunk by chunk, the keys of the loop's chunk: they lie as rows of a chunk do.
  struct Keys {
    Cut storage;
    const Cut* cut = nullptr;
    int64_t n = 0;
  };
  Keys rows_of_b(const Side& s) const {
    Keys k{.storage = {}, .cut = cut(s, Axis::y), .n = size(s)};
    if (k.cut == nullptr || k.cut->kind != CutKind::chunks) return k;
    k.storage = ring_cut(k.cut->positions, k.cut->logical);
    k.n = size_of({.kind = SizeKind::keys}, at.context);
    return k;
  }

  bool same(const Side& a, const Side& b, bool sizes = true) {
    if (sizes && size(a) != size(b)) {
      wrong(fmt::format("{} of {}, {} of {}", size(a), dim_text(a), size(b), dim_text(b)), b.id);
      return false;
    }
    for (const Axis axis : {Axis::x, Axis::y})
      if (const int p = first_difference(cut(a, axis), cut(b, axis), size(a), side(e, axis)); p >= 0) {
        c.report_at(Rule::elsewhere, at, b.id,
                    fmt::format("position {} along {} holds {} of {}, but {} of {}", p, name(axis), text_of(held(cut(a, axis), size(a), p)),
                                dim_text(a), text_of(held(cut(b, axis), size(b), p)), dim_text(b)),
                    axis, p);
        return false;
      }
    return true;
  }

  // A dimension is cut along one axis and whole along the other.
  bool lies_along(const Side& s, Axis axis) {
    if (cut(s, other(axis)) != nullptr) {
      c.report_at(Rule::elsewhere, at, s.id, fmt::format("{} is cut along {}", dim_text(s), name(other(axis))), axis, 0);
      return false;
    }
    if (cut(s, axis) != nullptr || side(e, axis) == 1) return true;
    c.report_at(Rule::elsewhere, at, s.id, fmt::format("{} is not cut along {}", dim_text(s), name(axis)), axis, 0);
    return false;
  }

  bool runs_cover() {
    int64_t next = 0;
    for (const Range& r : g.runs) {
      if (r.begin != next || r.size() <= 0) {
        c.report_at(Rule::elsewhere, at, g.a, fmt::format("after column {} begins the run [{},{})", next, r.begin, r.end), Axis::x,
                    static_cast<int>(std::clamp<int64_t>(next, 0, e.w - 1)));
        return false;
      }
      next = r.end;
    }
    if (next == e.w) return true;
    c.report_at(Rule::elsewhere, at, g.a, fmt::format("the runs end at column {} of {}", next, e.w), Axis::x,
                static_cast<int>(std::clamp<int64_t>(next, 0, e.w - 1)));
    return false;
  }

  // What every core of a run's side holds is the tiles of its logical positions, in order.
  bool is_tiles(const std::vector<Ranges>& tiles, const std::function<Ranges(int)>& own, Axis axis, Range run, LineOrder order,
                const std::string& what, BufferId about) {
    const int S = static_cast<int>(run.size()), L = static_cast<int>(tiles.size());
    for (int ring = 0; ring < S; ring++) {
      const int position = static_cast<int>(run.begin) + ring_to_position(order, ring, S);
      const Range logical = logical_positions(ring, S, L);
      Ranges want;
      for (int64_t l = logical.begin; l < logical.end; l++)
        for (const Range& r : tiles[static_cast<size_t>(l)]) append(want, r);
      const Ranges has = own(position);
      if (has == want) continue;
      c.report_at(Rule::elsewhere, at, about,
                  fmt::format("position {} along {} holds {} of {}, but its tiles of the product are {}", position, name(axis),
                              text_of(has), what, text_of(want)),
                  axis, position);
      return false;
    }
    return true;
  }

  // The heads of every column of a run are those whose products run there.
  bool heads_of_runs(const Side& heads) {
    const int64_t n = size(heads);
    if (n != g.heads) {
      wrong(fmt::format("{} of {}, the product is for {} heads", n, dim_text(heads), g.heads), heads.id);
      return false;
    }
    if (!lies_along(heads, Axis::x)) return false;
    for (const Range& run : g.runs) {
      const Range own = heads_at(g.heads, e.w, static_cast<int>(run.begin));
      for (int64_t x = run.begin; x < run.end; x++) {
        Ranges want;
        append(want, own);
        const Ranges has = held(cut(heads, Axis::x), n, static_cast<int>(x));
        if (has == want) continue;
        c.report_at(Rule::elsewhere, at, heads.id,
                    fmt::format("column {} of the run [{},{}) holds {} of {}, the run's heads are {}", x, run.begin, run.end, text_of(has),
                                dim_text(heads), text_of(want)),
                    Axis::x, static_cast<int>(x));
        return false;
      }
    }
    return true;
  }

  bool ranks(int a, int b, int of_c) {
    if (rank(g.a) == a && rank(g.b) == b && rank(g.c) == of_c) return true;
    wrong(fmt::format("A, B and C have {}, {} and {} dimensions, {} takes {}, {} and {}", rank(g.a), rank(g.b), rank(g.c),
                      name(g.algorithm), a, b, of_c),
          g.a);
    return false;
  }

  void mesh_gemm() {
    const bool heads = g.heads > 0;
    if (!ranks(heads ? 3 : 2, 2, 2)) return;
    const int first = heads ? 1 : 0;
    const Side a_rows{g.a, first}, a_k{g.a, first + 1}, b_k{g.b, 0}, b_n{g.b, 1}, c_rows{g.c, 0}, c_n{g.c, 1};
    if (!same(a_rows, c_rows) || !same(b_n, c_n) || !lies_along(a_rows, Axis::y) || !lies_along(b_n, Axis::x) ||
        !lies_along(a_k, Axis::x) || !lies_along(b_k, Axis::y) || !runs_cover())
      return;
    if (heads && (!heads_of_runs({g.a, 0}) || size(b_n) % g.heads != 0)) return;
    const Keys rows = rows_of_b(b_k);
    const Cut* of_rows = rows.cut != nullptr && rows.cut->kind == CutKind::chunks ? &rows.storage : rows.cut;
    if (size(a_k) != rows.n) return wrong(fmt::format("{} of {}, B has {}", size(a_k), dim_text(a_k), rows.n), g.a);
    const LineOrder order = order_of(g.algorithm);
    const Cut whole = whole_cut();
    for (const Range& run : g.runs) {
      const int L = std::max(static_cast<int>(run.size()), e.h);
      // The inner tiles are those of the side that has one core for each.
      const Cut* of_a = cut(a_k, Axis::x);
      const auto tiles = run.size() == L ? logical_tiles(of_a != nullptr ? *of_a : whole, rows.n, L, run)
                                         : logical_tiles(of_rows != nullptr ? *of_rows : whole, rows.n, L, {0, e.h});
      if (!is_tiles(
              tiles, [&](int x) { return held(of_a, rows.n, x); }, Axis::x, run, order, dim_text(a_k), g.a) ||
          !is_tiles(
              tiles, [&](int y) { return held(of_rows, rows.n, y); }, Axis::y, {0, e.h}, order, dim_text(b_k), g.b))
        return;
    }
  }

  void gemm_t() {
    if (!ranks(2, 2, 3)) return;
    const Side a_rows{g.a, 0}, a_q{g.a, 1}, b_keys{g.b, 0}, b_v{g.b, 1}, c_rows{g.c, 1}, c_keys{g.c, 2};
    if (!same(a_rows, c_rows) || !lies_along(a_rows, Axis::y) || !lies_along(b_keys, Axis::y) || !lies_along(b_v, Axis::x) ||
        !lies_along(c_keys, Axis::x) || !runs_cover() || !heads_of_runs({g.c, 0}))
      return;
    const int64_t q = size(a_q), v = size(b_v);
    if (v % g.heads != 0 || q % v != 0)
      return wrong(fmt::format("{} of {} and {} of {} for {} heads", q, dim_text(a_q), v, dim_text(b_v), g.heads), g.a);
    // A column holds the same dims of all query heads of its KV heads.
    const int64_t hd = v / g.heads, group = q / v;
    for (int x = 0; x < e.w; x++) {
      Ranges want;
      for (const Range& r : held(cut(b_v, Axis::x), v, x))
        for (int64_t h = r.begin / hd; h * hd < r.end; h++)
          for (int64_t m = h * group; m < (h + 1) * group; m++)
            want.push_back({m * hd + std::max(r.begin - h * hd, int64_t{0}), m * hd + std::min(r.end - h * hd, hd)});
      const Ranges has = sorted(held(cut(a_q, Axis::x), q, x)), all = sorted(want);
      if (has == all) continue;
      c.report_at(Rule::elsewhere, at, g.a,
                  fmt::format("column {} holds {} of {}, which goes with {} of {}", x, text_of(has), dim_text(a_q),
                              text_of(held(cut(b_v, Axis::x), v, x)), dim_text(b_v)),
                  Axis::x, x);
      return;
    }
    const Keys keys = rows_of_b(b_keys);
    const Cut* of_keys = keys.cut != nullptr && keys.cut->kind == CutKind::chunks ? &keys.storage : keys.cut;
    if (size(c_keys) != keys.n) return wrong(fmt::format("{} of {}, B has {}", size(c_keys), dim_text(c_keys), keys.n), g.c);
    const Cut whole = whole_cut();
    for (const Range& run : g.runs) {
      const int L = std::max(static_cast<int>(run.size()), e.h);
      const auto tiles = logical_tiles(of_keys != nullptr ? *of_keys : whole, keys.n, L, {0, e.h});
      if (!is_tiles(
              tiles, [&](int x) { return held(cut(c_keys, Axis::x), keys.n, x); }, Axis::x, run, LineOrder::interleaved, dim_text(c_keys),
              g.c) ||
          !is_tiles(
              tiles, [&](int y) { return held(of_keys, keys.n, y); }, Axis::y, {0, e.h}, LineOrder::interleaved, dim_text(b_keys), g.b))
        return;
    }
    if (!g.partial.exists()) return wrong("no buffer for the partial products of a step", g.c);
    if (rank(g.partial) != 3)
      return wrong(fmt::format("buffer {} has {} dimensions", c.buffer(g.partial).name, rank(g.partial)), g.partial);
    for (int d = 0; d < 3; d++)
      if (!same({g.c, d}, {g.partial, d})) return;
  }

  void casts() {
    if (!ranks(2, 2, 2)) return;
    if (!g.a_here.exists() || !g.b_here.exists()) return wrong("no buffer in which tiles arrive", g.a);
    if (rank(g.a_here) != 2 || rank(g.b_here) != 2) return wrong("a buffer in which tiles arrive has not 2 dimensions", g.a_here);
    const Side a_rows{g.a, 0}, a_k{g.a, 1}, b_k{g.b, 0}, b_n{g.b, 1}, c_rows{g.c, 0}, c_n{g.c, 1};
    if (!same(a_rows, c_rows) || !same(b_n, c_n) || !same(a_rows, {g.a_here, 0}) || !same(b_n, {g.b_here, 1}) ||
        !lies_along(a_k, Axis::x) || !lies_along(b_k, Axis::y) || !runs_cover())
      return;
    const int64_t k = size(a_k);
    if (size(b_k) != k) return wrong(fmt::format("{} of {}, B has {}", k, dim_text(a_k), size(b_k)), g.a);
    const int L = std::max(e.w, e.h);
    std::vector<Ranges> blocks(static_cast<size_t>(L));
    for (int l = 0; l < L; l++) append(blocks[static_cast<size_t>(l)], part(k, l, L));
    if (!is_tiles(
            blocks, [&](int x) { return held(cut(a_k, Axis::x), k, x); }, Axis::x, {0, e.w}, LineOrder::natural, dim_text(a_k), g.a) ||
        !is_tiles(
            blocks, [&](int y) { return held(cut(b_k, Axis::y), k, y); }, Axis::y, {0, e.h}, LineOrder::natural, dim_text(b_k), g.b))
      return;
    const int64_t room = g.algorithm == Algorithm::summa ? (k + L - 1) / L : k;
    for (const Side& here : {Side{g.a_here, 1}, Side{g.b_here, 0}}) {
      if (size(here) < room) return wrong(fmt::format("{} of {}, {} arrive", size(here), dim_text(here), room), here.id);
      if (cut(here, Axis::x) != nullptr || cut(here, Axis::y) != nullptr)
        return c.report(Rule::elsewhere, at, here.id, fmt::format("{} is cut, where all of a block arrives", dim_text(here)));
    }
  }
};

}  // namespace

void check_product(Checker& c, const Place& at, const Product& g) {
  ProductCheck check{.c = c, .at = at, .g = g, .e = c.extent_of(at.region)};
  switch (g.algorithm) {
    case Algorithm::mesh_gemm:
    case Algorithm::cannon: return check.mesh_gemm();
    case Algorithm::gemm_t: return check.gemm_t();
    case Algorithm::summa:
    case Algorithm::allgather: return check.casts();
  }
}

// ---- reductions ------------------------------------------------------------------------------------------------------------------

namespace {

bool runs_cover(Checker& c, const Place& at, Axis axis, const std::vector<Range>& runs) {
  const int n = side(c.extent_of(at.region), axis);
  int64_t next = 0;
  for (const Range& r : runs) {
    if (r.begin != next || r.size() <= 0) break;
    next = r.end;
  }
  if (next == n && (runs.empty() || runs.back().end == n)) return true;
  c.report_at(Rule::partial, at, {}, fmt::format("the runs along {} do not go on at position {} of {}", name(axis), next, n), axis,
              static_cast<int>(std::clamp<int64_t>(next, 0, n - 1)));
  return false;
}

// Every position's value reaches the root once.
bool tree_joins_all(Checker& c, const Place& at, Axis axis, Range run, const Tree& tree) {
  const auto report = [&](const std::string& text, int position) {
    c.report_at(Rule::partial, at, {}, text, axis, static_cast<int>(run.begin) + std::clamp(position, 0, static_cast<int>(run.size()) - 1));
    return false;
  };
  if (tree.size != run.size()) return report(fmt::format("a tree of {} positions on a run of {}", tree.size, run.size()), 0);
  if (tree.root < 0 || tree.root >= tree.size) return report(fmt::format("root {} of a tree of {}", tree.root, tree.size), 0);
  std::vector<bool> gone(static_cast<size_t>(tree.size), false);
  for (const Level& level : tree.levels)
    for (const Chain& chain : level)
      for (size_t i = 0; i < chain.size(); i++) {
        const int p = chain[i];
        if (p < 0 || p >= tree.size) return report(fmt::format("a chain through position {} of a tree of {}", p, tree.size), 0);
        if (gone[static_cast<size_t>(p)]) return report(fmt::format("the value of position {} of a run is passed on twice", p), p);
        gone[static_cast<size_t>(p)] = i + 1 < chain.size();
      }
  for (int p = 0; p < tree.size; p++)
    if (gone[static_cast<size_t>(p)] == (p == tree.root))
      return report(p == tree.root ? fmt::format("the root at position {} of a run passes its value on", p)
                                   : fmt::format("the value of position {} of a run does not reach the root", p),
                    p);
  return true;
}

}  // namespace

void check_forest(Checker& c, const Place& at, Axis axis, const Forest& forest) {
  if (!runs_cover(c, at, axis, forest.runs)) return;
  if (forest.trees.size() != forest.runs.size())
    return c.report(Rule::partial, at, {}, fmt::format("{} trees for {} runs", forest.trees.size(), forest.runs.size()));
  for (size_t i = 0; i < forest.runs.size(); i++)
    if (!tree_joins_all(c, at, axis, forest.runs[i], forest.trees[i])) return;
}

void check_shares(Checker& c, const Place& at, Axis axis, const std::vector<Range>& runs, BufferId b, const Shares* shares) {
  if (!runs_cover(c, at, axis, runs)) return;
  const Buffer& buffer = c.buffer(b);
  for (const Range& run : runs) {
    const int begin = static_cast<int>(run.begin), end = static_cast<int>(run.end);
    // All positions of a run add to the same elements.
    for (size_t d = 0; d < c.tensor(b).dims.size(); d++) {
      const Cut* cut = cut_on(buffer, static_cast<int>(d), axis);
      const int64_t n = c.size(b, d, at.context);
      for (int p = begin + 1; p < end && cut != nullptr; p++)
        if (held(cut, n, p) != held(cut, n, begin))
          return c.report_at(Rule::partial, at, b,
                             fmt::format("positions {} and {} of the run [{},{}) along {} hold {} and {} of {} (buffer {}): there is no "
                                         "element to which both add",
                                         begin, p, begin, end, name(axis), text_of(held(cut, n, begin)), text_of(held(cut, n, p)),
                                         c.tensor(b).dims[d].name, buffer.name),
                             axis, p);
    }
    if (shares == nullptr) continue;
    Ranges all;
    for (int p = begin; p < end; p++)
      all.insert(all.end(), shares->held[static_cast<size_t>(p)].begin(), shares->held[static_cast<size_t>(p)].end());
    bool twice = false;
    const Ranges has = sorted(std::move(all), &twice), want = sorted(shares->wanted[static_cast<size_t>(begin)]);
    if (twice || has != want)
      return c.report_at(Rule::partial, at, b,
                         fmt::format("the run [{},{}) along {} joins {}{} of what buffer {} sums, which is {}", begin, end, name(axis),
                                     twice ? "some twice: " : "", text_of(has), buffer.name, text_of(want)),
                         axis, begin);
  }
}

// ---- moves -----------------------------------------------------------------------------------------------------------------------

void check_move(Checker& c, const Place& at, const Move& move) {
  const auto size = [&](BufferId b, size_t d) { return c.size(b, d, at.context); };
  const size_t from = c.tensor(move.source).dims.size(), to = c.tensor(move.destination).dims.size();
  const size_t expected_from = move.kind == MoveKind::row_out ? 2 : move.kind == MoveKind::row_in ? 1 : to;
  const size_t expected_to = move.kind == MoveKind::row_out ? 1 : move.kind == MoveKind::row_in ? 2 : to;
  const auto report = [&](const std::string& text) {
    c.report(
        Rule::operands, at, move.source,
        fmt::format("move {} of buffer {} to buffer {}: {}", move.name, c.buffer(move.source).name, c.buffer(move.destination).name, text));
  };
  if (from != expected_from || to != expected_to) return report(fmt::format("{} dimensions to {}", from, to));
  // Of a row the dimensions behind it.
  for (size_t i = 0; i < std::min(from, to); i++) {
    const size_t s = i + from - std::min(from, to), d = i + to - std::min(from, to);
    if (size(move.source, s) != size(move.destination, d))
      return report(fmt::format("{} of {} to {} of {}", size(move.source, s), c.tensor(move.source).dims[s].name, size(move.destination, d),
                                c.tensor(move.destination).dims[d].name));
  }
  const bool same = c.tensor(move.source).dtype == c.tensor(move.destination).dtype;
  if (!same && (c.tensor(move.source).dtype == Dtype::best || c.tensor(move.destination).dtype == Dtype::best))
    return report("a choice to what is none");
}

}  // namespace wafer::mesh::locality
