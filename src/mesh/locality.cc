// The walk: which entries, with which parameters, in which order.
#include "mesh/locality.h"

#include <fmt/format.h>

#include <algorithm>

#include "mesh/locality_walk.h"
#include "mesh/visit.h"

namespace wafer::mesh {

using namespace locality;

namespace {

// ---- what an entry is for --------------------------------------------------------------------------------------------------------------

std::vector<BufferId> buffers_of(const Program& p, const Step& step) {
  using Ids = std::vector<BufferId>;
  return visit(
      step,
      [](const Local& s) {
        Ids all = s.in;
        all.insert(all.end(), s.out.begin(), s.out.end());
        return all;
      },
      [](const Reduce& s) { return buffers_of(s.parts); }, [](const RingReduce& s) { return buffers_of(s.parts); },
      [](const Multicast& s) { return Ids{s.buffer}; }, [](const RowShift& s) { return s.buffers; },
      [](const Product& s) {
        return Ids{s.a, s.b, s.c};
      },
      [&](const Send& s) { return Ids{p.moves[s.move].source}; }, [&](const Receive& s) { return Ids{p.moves[s.move].destination}; },
      [](const Host& s) { return Ids{s.buffer}; }, same_for<Opaque, Shift, TileCast, RootReduce, Loop, Group>(Ids{}));
}

struct EntryKind {
  const Entry* entry = nullptr;
  bool takes_rows = false;  // of a chunk
  bool stores = false;      // adds positions to the caches
  std::set<BufferId> caches{};
};

EntryKind kind_of(const Program& p, const Entry& entry) {
  EntryKind k{.entry = &entry};
  for (const RegionSteps& list : entry.lists)
    for_each_step(list.steps, [&](const Step& step) {
      const Local* local = std::get_if<Local>(&step.what);
      k.stores |= local != nullptr && local->op == LocalOp::store_rows;
      for (const BufferId b : buffers_of(p, step)) {
        if (!b.exists()) continue;
        if (p.buffers[b].kind == BufferKind::cache) k.caches.insert(b);
        for (const Dim& d : p.tensors[p.buffers[b].tensor].dims)
          k.takes_rows |= d.size.kind == SizeKind::rows || d.size.kind == SizeKind::keys;
      }
    });
  return k;
}

// The largest sizes that a program is for.
struct Sizes {
  int64_t chunk = 1, prompt = 1, context = 1;
  int shift_rows = 0;  // rows of cores over which a cache shifts
};

Sizes sizes_of(const Program& p) {
  Sizes s;
  for (const Tensor& t : p.tensors)
    for (const Dim& d : t.dims) {
      if (d.size.kind == SizeKind::rows) s.chunk = std::max(s.chunk, d.size.limit);
      if (d.size.kind == SizeKind::positions) s.context = std::max(s.context, d.size.limit);
    }
  for (const Buffer& b : p.buffers) {
    if (b.kind != BufferKind::cache) continue;
    for (const DimCut& c : b.cuts) {
      if (c.cut.kind == CutKind::shift) s.shift_rows = std::max(s.shift_rows, c.cut.positions);
      if (c.cut.kind == CutKind::chunks && !b.limits.empty() && c.dim < static_cast<int>(b.limits.size()))
        s.prompt = std::max(s.prompt, b.limits[static_cast<size_t>(c.dim)]);
    }
  }
  const bool caches = std::any_of(p.buffers.begin(), p.buffers.end(), [](const Buffer& b) { return b.kind == BufferKind::cache; });
  s.prompt = caches ? std::min(s.prompt, s.context) : s.chunk;
  return s;
}

// ---- one run of an entry
// -----------------------------------------------------------------------------------------------------------------

struct Leaf {
  const Step* step;
  Context context;
};

void unroll(const Steps& steps, const Context& context, std::vector<Leaf>& out) {
  for (const Step& step : steps) {
    if (const Group* group = std::get_if<Group>(&step.what)) {
      unroll(group->body, context, out);
      continue;
    }
    const Loop* loop = std::get_if<Loop>(&step.what);
    if (loop == nullptr) {
      out.push_back({&step, context});
      continue;
    }
    const Params& p = context.params;
    int64_t turns = loop->count == CountKind::fixed    ? loop->fixed
                    : loop->count == CountKind::chunks ? (p.chunk > 0 ? p.cached / p.chunk + 1 : 1)
                                                       : p.rows;
    if (loop->var == LoopVar::repeat) turns = std::min<int64_t>(turns, 2);  // the same again
    for (int64_t i = loop->begin; i < loop->begin + turns; i++) {
      Context inner = context;
      switch (loop->var) {
        case LoopVar::layer: inner.layer = i; break;
        case LoopVar::member: inner.member = i; break;
        case LoopVar::chunk: inner.chunk = i; break;
        case LoopVar::row: inner.row = i; break;
        case LoopVar::ring_step:
        case LoopVar::repeat: break;
      }
      unroll(loop->body, inner, out);
    }
  }
}

// Weights that stay where they are are there for the next use of the entry: in all phases through which it has gone.
void keep_weights(Checker& c, const Entry& entry) {
  for (const BufferId b : entry.inputs) {
    if (c.buffer(b).kind != BufferKind::weights) continue;
    for (const RegionSteps& list : entry.lists)
      if (list.region == c.buffer(b).region)
        for_each_step(list.steps, [&](const Step& step) {
          if (is_leaf(step) && std::all_of(c.values[b].begin(), c.values[b].end(), [](const Value& v) { return v.defined; }))
            c.needed[b].insert(step.phase);
        });
  }
}

// The buffers that an entry says it reads and leaves, and those that it does.
void check_interface(Checker& c, const Entry& entry, const Params& params) {
  const auto has = [](const std::vector<BufferId>& list, BufferId b) { return std::find(list.begin(), list.end(), b) != list.end(); };
  const auto report = [&](Rule rule, BufferId b, const std::string& text) {
    const Rect r = c.p.regions[c.buffer(b).region].rect;
    if (c.told.insert({rule, entry.name, b}).second)
      c.out.push_back({rule, r.x, r.y, fmt::format("entry {}, region {}", entry.name, c.p.regions[c.buffer(b).region].name),
                       fmt::format("buffer {} {}", c.buffer(b).name, text)});
  };
  for (const BufferId b : entry.inputs) {
    if (!c.read_first.contains(b)) report(Rule::interface, b, "is an input of the entry, which never reads it");
    for (size_t i = 0; i < c.values[b].size(); i++)
      if (c.values[b][i].read_in != c.uses)
        report(Rule::interface, b,
               fmt::format("is an input of the entry, which never reads its copy {}", c.buffer(b).first_copy + static_cast<int>(i)));
  }
  for (const BufferId b : c.read_first)
    if (!has(entry.inputs, b)) report(Rule::interface, b, "is read as it was before the entry, and is no input of it");
  for (const BufferId b : entry.outputs) {
    if (!c.written.contains(b)) report(Rule::interface, b, "is an output of the entry, which never writes it");
    for (Value& v : c.values[b]) {
      const int64_t stored = params.cached + params.rows;
      if (c.is_cache(b) && (!v.defined || v.room || v.stored != stored))
        report(Rule::cache_rows, b, fmt::format("is left with {} positions of {}", v.defined ? v.stored : 0, stored));
      if (v.partial[0] || v.partial[1]) report(Rule::partial, b, "is an output of the entry, which leaves the parts of a sum in it");
      v.read = true;
    }
  }
  for (const BufferId b : c.written)
    for (Value& v : c.values[b]) {
      if (v.defined && !v.read && !c.is_cache(b))
        report(Rule::never_read, b, fmt::format("is written by {} for nobody: no step reads it, and it is no output", v.writer));
      v.read = true;
    }
  for (const BufferId b : c.written)
    if (c.is_cache(b) && !has(entry.outputs, b)) report(Rule::interface, b, "is a cache that the entry writes, and is no output of it");
}

void run_entry(Checker& c, const Entry& entry, const Params& params) {
  struct List {
    RegionId region;
    std::vector<Leaf> leaves;
    size_t next = 0;
  };
  std::vector<List> lists;
  for (const RegionSteps& r : entry.lists) {
    lists.push_back({.region = r.region, .leaves = {}});
    unroll(r.steps, {.params = params}, lists.back().leaves);
  }
  c.read_first.clear();
  c.written.clear();
  c.in_flight.clear();
  const int use = ++c.uses;
  for (bool progress = true; progress;) {
    progress = false;
    for (List& list : lists)
      for (; list.next < list.leaves.size(); list.next++) {
        const Leaf& leaf = list.leaves[list.next];
        const Receive* receive = std::get_if<Receive>(&leaf.step->what);
        if (receive != nullptr && c.in_flight[receive->move].empty()) break;
        run_leaf(c, {.entry = &entry, .region = list.region, .step = leaf.step, .context = leaf.context, .use = use});
        progress = true;
      }
  }
  for (const List& list : lists)
    if (list.next < list.leaves.size()) return;  // they wait for each other, as verify() says
  check_interface(c, entry, params);
  keep_weights(c, entry);
}

// ---- the order of use -----------------------------------------------------------------------------------------------------------------

// As the host leaves it: weights that no move brings, empty caches, and the inputs that no entry makes.
void start(Checker& c) {
  std::set<BufferId> moved, made;
  for (const Move& m : c.p.moves) moved.insert(m.destination);
  for (const Entry& e : c.p.entries) made.insert(e.outputs.begin(), e.outputs.end());
  c.values = {};
  for (const BufferId id : c.p.buffers.ids()) {
    const Buffer& b = c.buffer(id);
    Value v;
    const bool input = std::any_of(c.p.entries.begin(), c.p.entries.end(),
                                   [&](const Entry& e) { return std::find(e.inputs.begin(), e.inputs.end(), id) != e.inputs.end(); });
    v.defined = !moved.contains(id) && (b.kind == BufferKind::weights || b.kind == BufferKind::cache ||
                                        (input && (!made.contains(id) || b.kind == BufferKind::partials)));
    if (b.kind == BufferKind::partials && v.defined) v.partial = {Partial{}, Partial{}};
    c.values.add(std::vector<Value>(static_cast<size_t>(std::max(0, b.copies)), v));
  }
  c.phases = IdVector<RegionId, std::vector<PhaseId>>(c.p.regions.size());
}

void set_stored(Checker& c, const EntryKind& k, int64_t stored) {
  for (const BufferId b : k.caches)
    for (Value& v : c.values[b]) {
      v.defined = true;
      v.stored = stored;
      v.room = false;
    }
}

// A prompt, and what follows it.
void walk(Checker& c, const std::vector<EntryKind>& entries, const Sizes& sizes, int64_t prompt, bool first) {
  start(c);
  const bool takes_rows = std::any_of(entries.begin(), entries.end(), [](const EntryKind& k) { return k.takes_rows; });
  const bool prefills = std::any_of(entries.begin(), entries.end(), [](const EntryKind& k) { return k.takes_rows && k.stores; });
  int64_t cached = 0;
  for (int64_t begin = 0; takes_rows && begin < prompt; begin += sizes.chunk) {
    const int64_t rows = std::min(sizes.chunk, prompt - begin);
    for (const EntryKind& k : entries) {
      if (!k.takes_rows) continue;
      // What adds no positions may be asked for any row, and again.
      for (const int64_t row : k.stores || !prefills ? std::vector<int64_t>{0} : std::vector<int64_t>{0, rows - 1})
        run_entry(c, *k.entry, {.cached = begin, .rows = rows, .row = row, .chunk = sizes.chunk});
    }
    cached = begin + rows;
  }
  for (const EntryKind& k : entries)
    if (!k.takes_rows && !k.stores) run_entry(c, *k.entry, {.cached = takes_rows ? cached : 0, .rows = 0, .chunk = sizes.chunk});
  for (const EntryKind& k : entries) {
    if (k.takes_rows || !k.stores) continue;
    if (!takes_rows) set_stored(c, k, 0);
    for (int64_t more = 0; more < 2 && cached + more < sizes.context; more++)
      run_entry(c, *k.entry, {.cached = cached + more, .rows = 1, .chunk = sizes.chunk});
    if (!first) continue;
    // As if so many positions had been stored.
    std::set<int64_t> stored = {0, 1, sizes.context - 1};
    for (int64_t n = -1; n <= 1; n++) stored.insert(std::clamp<int64_t>(sizes.shift_rows + n, 0, sizes.context - 1));
    for (const int64_t n : stored) {
      set_stored(c, k, n);
      run_entry(c, *k.entry, {.cached = n, .rows = 1, .chunk = sizes.chunk});
    }
  }
}

bool counts_only(const Program& p) {
  return std::any_of(p.entries.begin(), p.entries.end(), [](const Entry& e) {
    return std::any_of(e.lists.begin(), e.lists.end(), [](const RegionSteps& list) { return any_of_kind<Opaque>(list.steps); });
  });
}

}  // namespace

std::vector<Diagnostic> prove(const Program& program, const Limits& limits) {
  std::vector<Diagnostic> all = verify(program, limits);
  if (std::any_of(all.begin(), all.end(), [](const Diagnostic& d) { return d.rule == Rule::malformed || d.rule == Rule::off_the_mesh; }))
    return all;
  for (Diagnostic& d : check_locality(program)) all.push_back(std::move(d));
  return all;
}

std::vector<Diagnostic> check_locality(const Program& program) {
  if (counts_only(program)) return {};
  Checker c(program);
  check_buffers(c);
  if (!c.out.empty()) return c.out;  // positions that are not there cannot be compared
  std::vector<EntryKind> entries;
  for (const Entry& e : program.entries) entries.push_back(kind_of(program, e));
  const Sizes sizes = sizes_of(program);
  // One full chunk; three, the last one shorter; a single row.
  const std::set<int64_t> prompts = {std::min(sizes.chunk, sizes.prompt), std::min(2 * sizes.chunk + (sizes.chunk + 1) / 2, sizes.prompt),
                                     1};
  bool first = true;
  for (auto prompt = prompts.rbegin(); prompt != prompts.rend(); ++prompt) {
    walk(c, entries, sizes, *prompt, first);
    first = false;
  }
  check_phases(c);
  return c.out;
}

}  // namespace wafer::mesh
