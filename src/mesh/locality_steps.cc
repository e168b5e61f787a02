// What a step finds in its buffers and what it leaves there.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "mesh/locality_walk.h"
#include "mesh/visit.h"

namespace wafer::mesh::locality {
namespace {

constexpr std::array<Axis, 2> kAxes = {Axis::x, Axis::y};

int64_t chunks_of(const Context& c) { return c.params.chunk > 0 ? c.params.cached / c.params.chunk + 1 : 1; }

struct Leaf {
  Checker& c;
  const Place& at;

  const Context& context() const { return at.context; }
  bool first_time() const { return c.seen.insert({at.step, at.use, at.context.chunk}).second; }

  // ---- local ----

  void local(const Local& op) {
    for (const BufferId b : op.in)
      if (!c.usable(b, at)) return;
    for (const BufferId b : op.out)
      if (!c.usable(b, at)) return;
    const auto [it, fresh] = c.results.try_emplace({at.step, at.use, at.context.chunk});
    if (fresh) it->second = check_local(c, at, op);
    const std::vector<Result>& results = it->second;
    for (const BufferId b : op.in) c.read(b, at, true);
    check_scale(op);
    check_fresh(op);
    switch (op.op) {
      case LocalOp::store_rows: return store(op);
      case LocalOp::clear:
        for (const BufferId b : op.out) c.write(b, at).cleared = op.scale;
        return;
      case LocalOp::row_max:
      case LocalOp::add: return accumulate(op, results);
      case LocalOp::divide:
        if (op.in.size() == 2 && op.out.size() == 1 && c.tensor(op.in[0]).dims.size() == 2) {
          c.write_piece(op.out[0], at, context().member, op.group, "the heads of member");
          return;
        }
        break;
      default: break;
    }
    const int64_t chunk = chunk_of(op.in);
    std::map<BufferId, int64_t> made_of;
    for (const BufferId b : op.in)
      if (const Value* v = c.find(b, at); v != nullptr && c.buffer(b).kind != BufferKind::weights) made_of[b] = v->version;
    for (size_t i = 0; i < op.out.size(); i++) {
      Value& v = c.write(op.out[i], at);
      v.made_of = made_of;
      v.partial = results[i].partial;
      v.spread = results[i].spread;
      if (chunk >= 0 && op.op == LocalOp::exp_sum) v.chunk = chunk;
    }
  }

  // What is read beside that of which it was made: which must not have changed since.
  void check_fresh(const Local& op) {
    for (const BufferId made : op.in)
      for (const BufferId of : op.in) {
        const Value *m = c.find(made, at), *o = c.find(of, at);
        if (m == nullptr || o == nullptr) continue;
        const auto it = m->made_of.find(of);
        if (it == m->made_of.end() || it->second == o->version) continue;
        c.report(Rule::stale, at, made,
                 fmt::format("buffer {} was made of what buffer {} held before {} wrote to it", c.buffer(made).name, c.buffer(of).name,
                             o->writer));
      }
  }

  // The chunk of keys that inputs belong to; -1: none.
  int64_t chunk_of(const std::vector<BufferId>& in) const {
    for (const BufferId b : in) {
      if (has_keys(c.tensor(b))) return context().chunk;
      if (const Value* v = c.find(b, at); v != nullptr && v->chunk >= 0) return v->chunk;
    }
    return -1;
  }

  // The maximum is subtracted from what it was the maximum of.
  void check_scale(const Local& op) {
    if (op.op != LocalOp::exp_sum || op.in.size() != 2) return;
    const Value* m = c.find(op.in[1], at);
    if (m != nullptr && m->scale && *m->scale != op.scale)
      c.report(Rule::operands, at, op.in[1],
               fmt::format("scores are multiplied by {}, their maximum in buffer {} by {}", op.scale, c.buffer(op.in[1]).name, *m->scale));
  }

  // m = max(m, s), x = x + h: into what is there.
  void accumulate(const Local& op, const std::vector<Result>& results) {
    if (op.in.size() != 1 || op.out.size() != 1) return;  // told
    const BufferId to = op.out[0];
    const bool adds = op.op == LocalOp::add;
    Value* v = c.find(to, at);
    const Value* from = c.find(op.in[0], at);
    if (v == nullptr || from == nullptr) return;
    const int64_t chunk = chunk_of(op.in), chunks = chunks_of(context());
    const float neutral = adds ? 0.0f : -INFINITY;
    if (v->defined && v->cleared) {
      if (*v->cleared != neutral)
        c.report(Rule::undefined, at, to,
                 fmt::format("buffer {} was cleared to {}, {} begins at {}", c.buffer(to).name, *v->cleared, name(op.op), neutral));
      c.before(to, *v, at);
      v->cleared.reset();
      v->pieces = 0;
      v->wanted = chunk >= 0 ? chunks : 0;
      v->partial = results[0].partial;
    } else if (v->defined && v->wanted == chunks && chunk >= 0) {
      c.keep(to, *v);
      for (const Axis axis : kAxes) {
        const auto &now = results[0].partial[static_cast<size_t>(axis)], &before = v->partial[static_cast<size_t>(axis)];
        if (now.has_value() != before.has_value() || (now && now->op != before->op))
          c.report(Rule::partial, at, to,
                   fmt::format("a partial value along {} is joined with one that is none, in buffer {}", name(axis), c.buffer(to).name));
      }
    } else {
      c.read(to, at, true);
      for (const Axis axis : kAxes)
        if (results[0].partial[static_cast<size_t>(axis)])
          c.report(Rule::partial, at, to,
                   fmt::format("a partial value along {} is joined with one that is whole, in buffer {}", name(axis), c.buffer(to).name));
    }
    if (!v->added.insert({op.in[0], from->version}).second)
      c.report(Rule::never_read, at, to,
               fmt::format("what is in buffer {} is joined with buffer {} a second time", c.buffer(op.in[0]).name, c.buffer(to).name));
    if (chunk >= 0) {
      if (v->pieces != chunk)
        c.report(Rule::incomplete, at, to,
                 fmt::format("chunk {} is joined with buffer {}, where {} are", chunk, c.buffer(to).name, v->pieces));
      v->pieces = chunk + 1;
      v->wanted = chunks;
    }
    if (!adds) v->scale = op.scale;
    v->defined = true;
    v->aligned = false;
    v->read = false;
    v->writer = where_of(c, at);
    v->version = ++c.versions;
    c.written.insert(to);
  }

  bool shifts(BufferId cache) const {
    const auto& cuts = c.buffer(cache).cuts;
    return std::any_of(cuts.begin(), cuts.end(), [](const DimCut& d) { return d.cut.kind == CutKind::shift; });
  }

  void store(const Local& op) {
    if (op.out.size() != 1) return;
    const BufferId b = op.out[0];
    Value* v = c.find(b, at);
    if (v == nullptr) return;
    const int64_t cached = context().params.cached, rows = context().params.rows;
    c.before(b, *v, at);
    if (!c.is_cache(b)) return c.report(Rule::operands, at, b, fmt::format("buffer {} is no cache", c.buffer(b).name));
    if (!v->defined)
      c.report(Rule::undefined, at, b, fmt::format("buffer {} is stored to, which has moved away or not come yet", c.buffer(b).name));
    // A prompt begins anew.
    if (v->defined && !(cached == 0 && !shifts(b)) && v->stored != cached)
      c.report(Rule::cache_rows, at, b,
               fmt::format("position {} is stored in buffer {}, which has {} positions", cached, c.buffer(b).name, v->stored));
    if (shifts(b) && !v->room)
      c.report(Rule::cache_rows, at, b,
               fmt::format("position {} is stored in buffer {}, which has made no room for it", cached, c.buffer(b).name));
    v->defined = true;
    v->stored = cached + rows;
    v->room = false;
    c.written.insert(b);
  }

  void row_shift(const RowShift& op) {
    for (const BufferId b : op.buffers) {
      if (!c.usable(b, at)) continue;
      Value* v = c.find(b, at);
      if (v == nullptr) continue;
      c.before(b, *v, at);
      const int64_t cached = context().params.cached;
      if (!shifts(b)) c.report(Rule::elsewhere, at, b, fmt::format("buffer {} does not lie as a KV shift leaves it", c.buffer(b).name));
      if (!v->defined || v->room || v->stored != cached)
        c.report(Rule::cache_rows, at, b,
                 fmt::format("buffer {} makes room for position {}, where it has {} positions{}", c.buffer(b).name, cached,
                             v->defined ? v->stored : 0, v->room ? " and room already" : ""));
      v->defined = true;
      v->stored = cached;
      v->room = true;
      c.written.insert(b);
    }
  }

  // ---- values of several cores ----

  // One buffer of a reduction along an axis.
  void join(ReduceOp op, Axis axis, BufferId b, const std::vector<Range>& runs, Spread then, bool first) {
    if (!c.usable(b, at)) return;
    Value* v = c.find(b, at);
    if (v == nullptr) return;
    c.before(b, *v, at);
    const std::string& n = c.buffer(b).name;
    auto& partial = v->partial[static_cast<size_t>(axis)];
    if (!v->defined)
      c.report(Rule::undefined, at, b, fmt::format("buffer {} is joined before anything is written to it", n));
    else if (!partial)
      c.report(Rule::partial, at, b, fmt::format("buffer {} is joined along {}, where it is not partial", n, name(axis)));
    else if (partial->shares && partial->op != op)
      c.report(Rule::partial, at, b, fmt::format("buffer {} is joined by {}, its parts are those of {}", n, name(op), name(partial->op)));
    else if (first)
      check_shares(c, at, axis, runs, b, partial->shares.get());
    if (v->defined && v->wanted != 0 && v->pieces != v->wanted)
      c.report(Rule::incomplete, at, b, fmt::format("buffer {} is joined when {} of its {} pieces are there", n, v->pieces, v->wanted));
    const bool any = partial && !partial->shares;
    partial.reset();
    if (any) v->partial = {};
    v->defined = true;
    v->spread[static_cast<size_t>(axis)] = then;
    v->read = v->handed_over = false;
    v->writer = where_of(c, at);
    v->version = ++c.versions;
    c.written.insert(b);
  }

  void reduce(const Reduce& op) {
    const bool first = first_time();
    if (first) check_forest(c, at, op.axis, op.forest);
    for (const ReducePart& part : op.parts)
      join(part.op, op.axis, part.buffer, op.forest.runs, part.broadcast ? Spread::everywhere : Spread::root, first);
  }

  void ring_reduce(const RingReduce& op) {
    const bool first = first_time();
    for (const ReducePart& part : op.parts)
      join(part.op, op.axis, part.buffer, op.runs, part.broadcast ? Spread::everywhere : Spread::scattered, first);
  }

  void multicast(const Multicast& op) {
    if (!c.usable(op.buffer, at)) return;
    Value* v = c.find(op.buffer, at);
    if (v == nullptr) return;
    if (!v->defined)
      c.report(Rule::undefined, at, op.buffer,
               fmt::format("buffer {} is handed round before anything is written to it", c.buffer(op.buffer).name));
    else if (v->spread[static_cast<size_t>(op.axis)] != Spread::owners)
      c.report(Rule::not_everywhere, at, op.buffer,
               fmt::format("buffer {} is handed round along {}, but lies there {}", c.buffer(op.buffer).name, name(op.axis),
                           name(v->spread[static_cast<size_t>(op.axis)])));
    c.keep(op.buffer, *v);
    v->defined = true;
    v->spread[static_cast<size_t>(op.axis)] = Spread::everywhere;
    c.written.insert(op.buffer);
  }

  // Tiles of an operand travel: a second slot where the next one arrives during the product, and none that is never used. What a cache
  // holds stays, so that both the current tile and the next one lie beside it.
  void check_slots(const Product& g, BufferId operand, BufferId slot) {
    const bool stays = c.is_cache(operand);
    const int beside = slot.exists() ? c.buffer(slot).slots : 0, all = beside + (stays ? 0 : c.buffer(operand).slots);
    const int wanted = g.overlap ? 2 : 1;
    if (all == wanted) return;
    c.report(Rule::operands, at, operand,
             fmt::format("tiles of buffer {} have {} slots, where a product {} needs {}", c.buffer(operand).name, all,
                         g.overlap ? "during which the next ones arrive" : "after which the next ones arrive", wanted));
  }

  void product(const Product& g) {
    for (const BufferId b : {g.a, g.b, g.c})
      if (!c.usable(b, at)) return;
    for (const BufferId b : {g.partial, g.a_here, g.b_here, g.a_slot, g.b_slot}) {
      if (!b.exists()) continue;
      if (!c.usable(b, at)) return;
      c.needed[b].insert(at.step->phase);
    }
    if (first_time()) {
      check_product(c, at, g);
      if (on_rings(g.algorithm)) check_slots(g, g.a, g.a_slot);
      if (on_rings(g.algorithm) || g.algorithm == Algorithm::gemm_t) check_slots(g, g.b, g.b_slot);
    }
    if (Value* a = c.find(g.a, at)) {
      if (a->aligned != g.a_aligned)
        c.report(Rule::aligned, at, g.a,
                 fmt::format("buffer {} is {}", c.buffer(g.a).name,
                             g.a_aligned ? "said to lie aligned, and does not" : "aligned a second time"));
      a->aligned = false;
      c.read(g.a, at, true);
      if (on_rings(g.algorithm)) a->aligned = true;
    }
    c.read(g.b, at, true);
    if (on_rings(g.algorithm) && g.b_aligned != (c.buffer(g.b).kind == BufferKind::weights))
      c.report(Rule::aligned, at, g.b,
               fmt::format("buffer {} is {}", c.buffer(g.b).name,
                           g.b_aligned ? "said to lie aligned, as weights alone do" : "aligned though weights lie so"));
    const int64_t chunk = has_keys(c.tensor(g.a)) ? context().chunk : -1;
    Value& v = c.write(g.c, at);
    if (chunk >= 0) v.chunk = chunk;
  }

  // ---- between regions, and the host ----

  void send(MoveId id) {
    const Move& move = c.p.moves[id];
    if (!c.usable(move.source, at)) return;
    if (first_time()) check_move(c, at, move);
    // A row is looked up by its owners and goes on from them; else every core sends what its placement says.
    c.read(move.source, at, move.kind == MoveKind::relay, move.copy);
    Value* v = c.find(move.source, at, move.copy);
    if (v == nullptr) return;
    c.in_flight[id].push_back(v->stored);
    // Weights and caches move in place: the source is overwritten.
    const BufferKind kind = c.buffer(move.source).kind;
    if (kind == BufferKind::weights || kind == BufferKind::cache) *v = {.read_in = at.use};
  }

  void receive(MoveId id) {
    const Move& move = c.p.moves[id];
    std::vector<int64_t>& sent = c.in_flight[id];
    const int64_t stored = sent.front();
    sent.erase(sent.begin());
    if (!c.usable(move.destination, at)) return;
    if (move.kind == MoveKind::row_in) {
      c.write_piece(move.destination, at, context().row, context().params.rows, "row");
      return;
    }
    c.write(move.destination, at, move.copy).stored = stored;
  }

  void host(const Host& op) {
    if (!c.usable(op.buffer, at)) return;
    if (!op.to_host) {
      c.write(op.buffer, at);
      return;
    }
    c.read(op.buffer, at, false);
    const std::vector<BufferId>& outputs = at.entry->outputs;
    if (std::find(outputs.begin(), outputs.end(), op.buffer) == outputs.end())
      c.report(Rule::interface, at, op.buffer,
               fmt::format("the host is given buffer {}, which is no output of entry {}", c.buffer(op.buffer).name, at.entry->name));
    Value* v = c.find(op.buffer, at);
    if (v != nullptr && v->handed_over)
      c.report(Rule::never_read, at, op.buffer,
               fmt::format("the host is given what is in buffer {} a second time", c.buffer(op.buffer).name));
    if (v != nullptr) v->handed_over = true;
  }
};

// Bytes are reused from phase to phase: what does not live in the new one is gone.
void enter_phase(Checker& c, const Place& at) {
  std::vector<PhaseId>& all = c.phases[at.region];
  const PhaseId now = at.step->phase;
  if (!all.empty() && all.back() == now) return;
  all.push_back(now);
  for (const BufferId id : c.p.buffers.ids()) {
    const Buffer& b = c.buffer(id);
    if (b.region != at.region || b.kind == BufferKind::weights || b.kind == BufferKind::cache || lives_in(b, now)) continue;
    for (Value& v : c.values[id]) {
      if (!v.defined) continue;
      if (!v.read)
        c.report(
            Rule::never_read, at, id,
            fmt::format("buffer {} has no bytes in phase {}: nobody will have read what {} wrote", b.name, c.p.phases[now].name, v.writer));
      v = {};
      v.lost = true;
    }
  }
}

}  // namespace

void run_leaf(Checker& c, const Place& at) {
  enter_phase(c, at);
  Leaf leaf{.c = c, .at = at};
  const auto outside = [&] { c.report(Rule::operands, at, {}, "a step that has a meaning only inside a product"); };
  visit(
      *at.step, [&](const Local& s) { leaf.local(s); }, [&](const Reduce& s) { leaf.reduce(s); },
      [&](const RingReduce& s) { leaf.ring_reduce(s); }, [&](const Multicast& s) { leaf.multicast(s); },
      [&](const RowShift& s) { leaf.row_shift(s); }, [&](const Product& s) { leaf.product(s); }, [&](const Send& s) { leaf.send(s.move); },
      [&](const Receive& s) { leaf.receive(s.move); }, [&](const Host& s) { leaf.host(s); },
      for_kinds<Shift, TileCast, RootReduce>(outside), nothing_for<Opaque, Loop, Group>());
}

}  // namespace wafer::mesh::locality
