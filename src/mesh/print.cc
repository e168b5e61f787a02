#include "mesh/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mesh/expand.h"

namespace wafer::mesh {
namespace {

constexpr size_t kTextColumn = 40;  // where the text of a step begins
constexpr size_t kMovesInARow = 4;  // more sends and receives in a row than this become one line

std::string span_text(int64_t least, int64_t most) { return least == most ? fmt::format("{}", least) : fmt::format("{}-{}", least, most); }

// 0, 1, 2, 5 -> "0-2,5"
std::string set_text(const std::set<int>& s) {
  std::string out;
  for (auto it = s.begin(); it != s.end();) {
    const int first = *it;
    int last = first;
    for (++it; it != s.end() && *it == last + 1; ++it) last++;
    out += (out.empty() ? "" : ",") + span_text(first, last);
  }
  return out;
}

template <class List, class Text>
std::string join(const List& list, const std::string& between, Text text) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : between) + text(item);
  return out;
}

// ---- sizes -----------------------------------------------------------------------------------------------------------------------

struct Span {
  int64_t least = 1, most = 1;
  std::string text() const { return span_text(least, most); }
};

Span held_along(const DimCut& c, int64_t n) {
  Span s{n, 0};
  for (int p = 0; p < c.cut.positions; p++) {
    const int64_t held = count_at(c.cut, n, p);
    s = {std::min(s.least, held), std::max(s.most, held)};
  }
  return s;
}

std::string cut_text(const Cut& c) {
  const std::string logical = c.logical == c.positions ? "" : fmt::format(" of {}", c.logical);
  switch (c.kind) {
    case CutKind::whole: return "whole";
    case CutKind::table: return "table";
    case CutKind::parts: return "parts";
    case CutKind::ring: return "ring" + logical;
    case CutKind::line: return "line" + logical;
    case CutKind::chunks: return fmt::format("ring{} in chunks of {}", logical, c.chunk);
    case CutKind::shift: return "shift";
    case CutKind::runs: return fmt::format("ring in {} runs", c.run_positions.size());
  }
  return "?";
}

std::string runs_text(const std::vector<Range>& runs) {
  if (runs.size() < 2) return "";
  Span s{runs[0].size(), 0};
  for (const Range& r : runs) s = {std::min(s.least, r.size()), std::max(s.most, r.size())};
  return fmt::format(", {} runs of {}", runs.size(), s.text());
}

std::string tree_text(const Forest& forest) {
  if (forest.trees.empty()) return "no tree";
  // The stages of a level: links of its longest chain, over all runs.
  std::vector<size_t> stages;
  for (const Tree& t : forest.trees)
    for (size_t l = 0; l < t.levels.size(); l++) {
      if (stages.size() <= l) stages.push_back(0);
      for (const Chain& c : t.levels[l]) stages[l] = std::max(stages[l], c.size() - 1);
    }
  if (stages.empty()) return "no links" + runs_text(forest.runs);
  return fmt::format("tree ({})", join(stages, ",", [](size_t n) { return fmt::format("{}", n); })) + runs_text(forest.runs);
}

const char* kind_text(MoveKind k) {
  switch (k) {
    case MoveKind::relay: return "relay";
    case MoveKind::row_out: return "row out";
    case MoveKind::row_in: return "row in";
  }
  return "?";
}

const char* kind_text(ShiftKind k) {
  switch (k) {
    case ShiftKind::ring_down: return "ring shift";
    case ShiftKind::align_rows: return "row alignment";
    case ShiftKind::align_cols: return "column alignment";
  }
  return "?";
}

const char* kind_text(GroupKind k) {
  switch (k) {
    case GroupKind::overlap: return "overlap";
    case GroupKind::block: return "block";
  }
  return "?";
}

// ---- the program -----------------------------------------------------------------------------------------------------------------

struct Printer {
  const Program& p;
  std::string out{};
  int number = 0;   // of the next step
  PhaseId phase{};  // of the step before

  void line(const std::string& text) { out += text + "\n"; }

  const Tensor& tensor_of(const Buffer& b) const { return p.tensors[b.tensor]; }

  int64_t limit(const Buffer& b, size_t d) const { return b.limits.empty() ? tensor_of(b).dims[d].size.limit : b.limits[d]; }

  // What a core holds of dimension d of a buffer: the product over the cuts of that dimension, of which there is at most one.
  Span held(const Buffer& b, size_t d) const {
    const int64_t n = limit(b, d);
    for (const DimCut& c : b.cuts)
      if (c.dim == static_cast<int>(d)) return held_along(c, n);
    return {n, n};
  }

  // "x[5-6]", "wq[5-6 x 10]"
  std::string operand(BufferId buffer) const {
    const Buffer& b = p.buffers[buffer];
    std::string dims;
    for (size_t d = 0; d < tensor_of(b).dims.size(); d++) dims += (d > 0 ? " x " : "") + held(b, d).text();
    return short_name(b) + "[" + dims + "]";
  }
  std::string operands(const std::vector<BufferId>& buffers) const {
    return join(buffers, ", ", [&](BufferId b) { return operand(b); });
  }

  // Without what it shares with the region: the name up to the first dot.
  std::string short_name(const Buffer& b) const {
    const std::string& region = p.regions[b.region].name;
    const std::string prefix = region.substr(0, region.find('.')) + ".";
    return b.name.starts_with(prefix) ? b.name.substr(prefix.size()) : b.name;
  }

  void head() {
    const char* numerics[] = {"mixed", "fp16", "fp32"};
    line(fmt::format("program {}  numerics {}  mesh {}x{}  parameters cached, rows, row, chunk", p.name,
                     numerics[static_cast<size_t>(p.numerics)], p.mesh.w, p.mesh.h));
    std::string phases;
    for (const PhaseId i : p.phases.ids()) phases += fmt::format("{}{} {}", phases.empty() ? "" : ", ", i.number, p.phases[i].name);
    line("phases " + phases);
  }

  // ---- what lies where

  // "w  weights  f16  [in 5-6 of 64 /y parts, out 4 of 20 /x table]"
  void buffer(const Buffer& b) {
    const Tensor& t = tensor_of(b);
    std::string dims, more;
    for (size_t d = 0; d < t.dims.size(); d++) {
      const bool grows = t.dims[d].size.kind != SizeKind::fixed;
      dims += fmt::format("{}{} {} of {}{}", d > 0 ? ", " : "", t.dims[d].name, held(b, d).text(), grows ? "up to " : "", limit(b, d));
      for (const DimCut& c : b.cuts)
        if (c.dim == static_cast<int>(d)) dims += fmt::format(" /{} {}", name(c.axis), cut_text(c.cut));
    }
    std::set<int> phases;
    for (const PhaseId id : b.phases) phases.insert(id.number);
    if (t.copies > 1) more += fmt::format("  copies {} of {}", span_text(b.first_copy, b.first_copy + b.copies - 1), t.copies);
    if (b.slots > 1) more += fmt::format("  {} slots", b.slots);
    line(fmt::format("  {:<14} {:<11} {:<7} [{}]{}  phases {}", short_name(b), name(b.kind), name(t.dtype), dims, more, set_text(phases)));
  }

  void regions() {
    for (const RegionId r : p.regions.ids()) {
      const Region& region = p.regions[r];
      line("");
      line(fmt::format("region {}  {}x{} at ({},{})", region.name, region.rect.w, region.rect.h, region.rect.x, region.rect.y));
      for (const Buffer& b : p.buffers)
        if (b.region == r) buffer(b);
    }
  }

  void route(const Route& r) {
    int hops = 0, casts = 0;
    for (const Path& path : r.paths) {
      hops = std::max(hops, std::max(path.hi - path.from, path.from - path.lo));
      casts += path.multicast;
    }
    line(fmt::format("  {:<20} {}  {} {}, at most {} {}  colours {}", r.name, name(r.axis), r.paths.size(),
                     std::string(casts > 0 ? "multicast" : "path") + (r.paths.size() == 1 ? "" : "s"), hops, hops == 1 ? "hop" : "hops",
                     set_text({r.colours.begin(), r.colours.end()})));
  }

  void routes() {
    for (const PhaseId ph : p.phases.ids())
      for (const RegionId region : p.regions.ids()) {
        const auto here = [&](const Route& r) { return r.phase == ph && r.region == region; };
        std::set<int> colours;
        for (const Route& r : p.routes)
          if (here(r)) colours.insert(r.colours.begin(), r.colours.end());
        if (colours.empty()) continue;
        line("");
        line(fmt::format("routes  phase {}  region {}  {} colours", p.phases[ph].name, p.regions[region].name, colours.size()));
        for (const Route& r : p.routes)
          if (here(r)) route(r);
      }
  }

  // Moves between the same two buffers, one for each copy, are one line.
  void moves() {
    if (p.moves.empty()) return;
    line("");
    line("moves");
    IdVector<MoveId, bool> done(p.moves.size(), false);
    for (const MoveId i : p.moves.ids()) {
      if (done[i]) continue;
      const Move& first = p.moves[i];
      std::set<int> copies;
      MoveId last = i;
      for (const MoveId j : p.moves.ids()) {
        const Move& m = p.moves[j];
        if (j < i || m.kind != first.kind || m.source != first.source || m.destination != first.destination) continue;
        done[j] = true;
        copies.insert(m.copy);
        last = j;
      }
      const Buffer &from = p.buffers[first.source], &to = p.buffers[first.destination];
      const std::string names = last == i ? first.name : fmt::format("{} .. {}", first.name, p.moves[last].name);
      line(fmt::format("  {}  {}  {} of {} -> {} of {}{}", names, kind_text(first.kind), short_name(from), p.regions[from.region].name,
                       short_name(to), p.regions[to.region].name, tensor_of(from).copies > 1 ? "  copies " + set_text(copies) : ""));
    }
  }

  // ---- steps

  std::vector<Span> held(const Buffer& b) const {
    std::vector<Span> sizes;
    for (size_t d = 0; d < tensor_of(b).dims.size(); d++) sizes.push_back(held(b, d));
    return sizes;
  }

  // 32-bit words of a vector of pieces, each with its size in every dimension.
  struct Piece {
    Dtype dtype;
    std::vector<Span> sizes;
  };
  static std::string words(const std::vector<Piece>& pieces) {
    Span sum{0, 0};
    bool scales = false;
    for (const Piece& piece : pieces) {
      Span n;
      for (const Span& s : piece.sizes) n = {n.least * s.least, n.most * s.most};
      sum = {sum.least + bytes(piece.dtype, n.least), sum.most + bytes(piece.dtype, n.most)};
      scales |= piece.dtype == Dtype::q8_0 || piece.dtype == Dtype::q4_0;
    }
    const Span w{(sum.least + 3) / 4, (sum.most + 3) / 4};
    return fmt::format("{} {}{}", w.text(), w.most == 1 ? "word" : "words", scales ? " and scales" : "");
  }
  std::string words_of(const std::vector<BufferId>& buffers) const {
    std::vector<Piece> pieces;
    for (const BufferId id : buffers) pieces.push_back({tensor_of(p.buffers[id]).dtype, held(p.buffers[id])});
    return words(pieces);
  }

  // A shift along rings moves one logical tile a step: of the last dimension cut along its axis, what one logical position holds.
  std::string tile_words(const Shift& s) const {
    const Buffer& b = p.buffers[s.buffer];
    const int h = p.regions[b.region].rect.h;
    std::vector<Span> sizes = held(b);
    const DimCut* last = nullptr;
    for (const DimCut& c : b.cuts) {
      if (c.axis != s.axis) continue;
      sizes[static_cast<size_t>(c.dim)] = {1, 1};
      if (last == nullptr || last->dim < c.dim) last = &c;
    }
    if (last != nullptr) {
      const int64_t all = limit(b, static_cast<size_t>(last->dim)),
                    n = last->cut.kind == CutKind::chunks ? std::min(all, last->cut.chunk) : all;
      Span tile{n, 0};
      for (const Range& run : s.runs)
        for (const auto& held_there :
             logical_tiles(last->cut, n, static_cast<int>(std::max<int64_t>(run.size(), h)), s.axis == Axis::x ? run : Range{0, h}))
          tile = {std::min(tile.least, count(held_there)), std::max(tile.most, count(held_there))};
      sizes[static_cast<size_t>(last->dim)] = tile;
    }
    return words({{tensor_of(b).dtype, sizes}});
  }

  // `by_row`: the kind of move whose end here is one row of the buffer.
  std::string move_text(const char* what, const Move& m, BufferId buffer, MoveKind by_row) const {
    std::vector<Span> sizes = held(p.buffers[buffer]);
    if (m.kind == by_row) sizes[0] = {1, 1};
    return fmt::format("{} {}  {}: {}", what, m.name, operand(buffer), words({{tensor_of(p.buffers[buffer]).dtype, sizes}}));
  }

  std::string local_text(const Local& l) const {
    std::string text = name(l.op);
    if (!l.in.empty()) text += "  " + operands(l.in);
    text += (l.op == LocalOp::add || l.op == LocalOp::tile_fma ? " +=> " : " -> ") + operands(l.out);
    return text;
  }

  std::string shift_text(const Shift& s) const {
    const char* order = s.order == LineOrder::natural ? ", ring in the order of the line" : "";
    const std::string runs = s.axis == Axis::x ? runs_text(s.runs) : "";
    return fmt::format("{} along {}  {}: tile of {}{}{}", kind_text(s.kind), name(s.axis), operand(s.buffer), tile_words(s), runs, order);
  }

  std::string cast_text(const TileCast& s) const {
    const std::string what = s.all ? "all tiles" : s.ahead == 0 ? "the block" : fmt::format("block +{}", s.ahead);
    return fmt::format("cast {} along {}  {} -> {}", what, name(s.axis), operand(s.buffer), operand(s.out));
  }

  // "add", or "add, max" where the parts differ.
  static std::string ops_text(const std::vector<ReducePart>& parts) {
    const bool same = std::all_of(parts.begin(), parts.end(), [&](const ReducePart& part) { return part.op == parts.front().op; });
    return join(same && !parts.empty() ? std::vector<ReducePart>{parts.front()} : parts, ", ",
                [](const ReducePart& part) { return std::string(name(part.op)); });
  }

  std::string cast_text(const std::vector<ReducePart>& parts, const char* how) const {
    std::vector<BufferId> cast;
    for (const ReducePart& part : parts)
      if (part.broadcast) cast.push_back(part.buffer);
    if (cast.empty()) return "";
    return fmt::format(", {}{} to all", how, cast.size() == parts.size() ? "" : " " + operands(cast));
  }

  std::string text_of(const Step& step) const {
    return visit(
        step, [&](const Local& s) { return local_text(s); }, [](const Opaque&) { return std::string("counted work of another's kernel"); },
        [&](const Reduce& s) {
          return fmt::format("{} along {}  {}: {}, {}{}", ops_text(s.parts), name(s.axis), operands(buffers_of(s.parts)),
                             words_of(buffers_of(s.parts)), tree_text(s.forest), cast_text(s.parts, "cast"));
        },
        [&](const RingReduce& s) {
          return fmt::format("{} round the ring along {}  {}: {}{}{}", ops_text(s.parts), name(s.axis), operands(buffers_of(s.parts)),
                             words_of(buffers_of(s.parts)), runs_text(s.runs), cast_text(s.parts, "round again"));
        },
        [&](const Multicast& s) {
          return fmt::format("multicast along {}  {}: {}", name(s.axis), operand(s.buffer), words_of({s.buffer}));
        },
        [&](const Shift& s) { return shift_text(s); }, [&](const TileCast& s) { return cast_text(s); },
        [&](const RowShift& s) { return "oldest row up where rows below are fuller, along y  " + operands(s.buffers); },
        [&](const RootReduce& s) {
          return fmt::format("add along x to the step's root  {} -> {}{}", operand(s.partial), operand(s.out), runs_text(s.runs));
        },
        [&](const Send& s) { return move_text("send", p.moves[s.move], p.moves[s.move].source, MoveKind::row_out); },
        [&](const Receive& s) { return move_text("receive", p.moves[s.move], p.moves[s.move].destination, MoveKind::row_in); },
        [&](const Host& s) { return fmt::format("{} host  {}", s.to_host ? "to" : "from", operand(s.buffer)); },
        [&](const Loop& s) { return fmt::format("for {} {}", name(s.var), count_text(s)); },
        [&](const Group& s) { return std::string(kind_text(s.kind)); }, [&](const Product& s) { return product_text(s); });
  }

  static std::string count_text(const Loop& l) {
    if (l.count == CountKind::fixed) return span_text(l.begin, l.begin + l.fixed - 1) + (l.together ? ", all cores together" : "");
    return l.count == CountKind::chunks ? "0 to the current chunk" : "0 to rows-1";
  }

  std::string product_text(const Product& g) const {
    return fmt::format("{}  {} = {} {}{}{}{}{}", name(g.algorithm), operand(g.c), operand(g.a), operand(g.b),
                       g.algorithm == Algorithm::gemm_t ? "^T" : "", runs_text(g.runs), g.a_aligned ? ", aligned before" : "",
                       g.heads > 0 ? fmt::format(", {} products", g.heads) : "");
  }

  // A new phase is a line of its own: there the routes are rewritten.
  void enter(PhaseId next, size_t depth) {
    if (next == phase) return;
    phase = next;
    line(fmt::format("        {}-- phase {}", std::string(2 * depth, ' '), p.phases[next].name));
  }

  void leaf(const Step& step, size_t depth) {
    enter(step.phase, depth);
    std::set<int> colours;
    for (const RouteId r : step.routes) colours.insert(p.routes[r].colours.begin(), p.routes[r].colours.end());
    const std::string label = fmt::format("{:>5}   {}{}", ++number, std::string(2 * depth, ' '), step.name);
    line(fmt::format("{:<{}}  {}{}", label, kTextColumn, text_of(step), colours.empty() ? "" : "  colours " + set_text(colours)));
  }

  void header(const Step& step, size_t depth) {
    line(fmt::format("        {}{}: {}", std::string(2 * depth, ' '), step.name, text_of(step)));
  }

  enum class Half : uint8_t { send, receive, none };  // of a move
  static Half half_of(const Step& s) {
    return visit(s, same_for<Send>(Half::send), same_for<Receive>(Half::receive),
                 same_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Host, Loop, Group, Product>(
                     Half::none));
  }

  // The end of the moves that start at step i and belong to one phase.
  static size_t moves_end(const Steps& steps, size_t i) {
    size_t end = i;
    while (end < steps.size() && half_of(steps[end]) != Half::none && steps[end].phase == steps[i].phase) end++;
    return end;
  }

  void steps(const Steps& list, size_t depth) {
    for (size_t i = 0; i < list.size(); i++) {
      const Step& step = list[i];
      if (const size_t end = moves_end(list, i); end > i + kMovesInARow) {
        enter(step.phase, depth);
        const auto sends = std::count_if(list.begin() + static_cast<ptrdiff_t>(i), list.begin() + static_cast<ptrdiff_t>(end),
                                         [](const Step& s) { return half_of(s) == Half::send; });
        const int count = static_cast<int>(end - i);
        line(fmt::format("{:>5}   {}{} .. {}: {} sends, {} receives, numbered to {}", number + 1, std::string(2 * depth, ' '), step.name,
                         list[end - 1].name, sends, count - sends, number + count));
        number += count;
        i = end - 1;
      } else if (std::holds_alternative<Product>(step.what)) {
        header(step, depth);
        steps(expand(p, step), depth + 1);
      } else if (is_leaf(step)) {
        leaf(step, depth);
      } else {
        header(step, depth);
        steps(body_of(step), depth + 1);
      }
    }
  }

  void interface(const Entry& e, const char* what, const std::vector<BufferId>& buffers) {
    if (buffers.empty()) return;
    std::string text;
    for (const BufferId b : buffers) text += (text.empty() ? "" : ", ") + p.buffers[b].name;
    line(fmt::format("entry {}  {} {}", e.name, what, text));
  }

  void entries() {
    for (const Entry& e : p.entries) {
      if (!e.inputs.empty() || !e.outputs.empty()) line("");
      interface(e, "inputs", e.inputs);
      interface(e, "outputs", e.outputs);
      for (const RegionSteps& r : e.lists) {
        line("");
        line(fmt::format("entry {}  region {}", e.name, p.regions[r.region].name));
        number = 0;
        phase = PhaseId();
        steps(r.steps, 0);
      }
    }
  }
};

}  // namespace

std::string print(const Program& program) {
  Printer printer{program};
  printer.head();
  printer.regions();
  printer.routes();
  printer.moves();
  printer.entries();
  return printer.out;
}

}  // namespace wafer::mesh
