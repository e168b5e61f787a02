// What the walk knows of buffers: reads and writes, and what is wrong with them.
#include <fmt/format.h>

#include <algorithm>

#include "mesh/locality_walk.h"

namespace wafer::mesh::locality {
namespace {

constexpr std::array<Axis, 2> kAxes = {Axis::x, Axis::y};

bool has_rows(const Tensor& t) {
  return std::any_of(t.dims.begin(), t.dims.end(), [](const Dim& d) { return d.size.kind == SizeKind::rows; });
}

}  // namespace

bool has_keys(const Tensor& t) {
  return std::any_of(t.dims.begin(), t.dims.end(), [](const Dim& d) { return d.size.kind == SizeKind::keys; });
}

std::string where_of(const Checker& c, const Place& at) {
  if (at.step == nullptr) return fmt::format("region {}", c.p.regions[at.region].name);
  return fmt::format("entry {}, region {}, step {}", at.entry->name, c.p.regions[at.region].name, at.step->name);
}

const char* name(Spread s) {
  switch (s) {
    case Spread::everywhere: return "on all cores";
    case Spread::root: return "at the roots alone";
    case Spread::owners: return "at its owners alone";
    case Spread::scattered: return "in parts round the ring";
  }
  return "?";
}

void Checker::report(Rule rule, const Place& at, BufferId about, const std::string& text, Core core) {
  const std::string where = where_of(*this, at);
  if (!told.insert({rule, where, about}).second) return;
  const Rect r = p.regions[at.region].rect;
  out.push_back({rule, r.x + core.x, r.y + core.y, where, text});
}

void Checker::report_at(Rule rule, const Place& at, BufferId about, const std::string& text, Axis axis, int position) {
  const std::string of = at.step == nullptr ? fmt::format("buffer {}: {}", buffer(about).name, text) : text;
  report(rule, at, about, of, axis == Axis::x ? Core{position, 0} : Core{0, position});
}

Value* Checker::find(BufferId b, const Place& at, std::optional<int64_t> copy) {
  const Buffer& of = buffer(b);
  const Tensor& t = tensor(b);
  const int64_t which = t.copies == 1 ? 0 : copy.value_or(t.copies_by == LoopVar::chunk ? at.context.chunk : at.context.layer);
  if (which >= of.first_copy && which < of.first_copy + of.copies) return &values[b][static_cast<size_t>(which - of.first_copy)];
  report(Rule::elsewhere, at, b,
         fmt::format("copy {} of buffer {}, which has {} to {}", which, of.name, of.first_copy, of.first_copy + of.copies - 1));
  return nullptr;
}

bool Checker::usable(BufferId b, const Place& at) {
  if (!b.exists()) {
    report(Rule::operands, at, b, "an operand is no buffer");
    return false;
  }
  const Buffer& of = buffer(b);
  if (of.region != at.region) {
    report(Rule::elsewhere, at, b, fmt::format("buffer {} is of region {}", of.name, p.regions[of.region].name));
    return false;
  }
  if (!lives_in(of, at.step->phase))
    report(Rule::undefined, at, b, fmt::format("buffer {} has no bytes in phase {}", of.name, p.phases[at.step->phase].name));
  return true;
}

void Checker::read(BufferId b, const Place& at, bool all_cores, std::optional<int64_t> copy) {
  Value* v = find(b, at, copy);
  if (v == nullptr) return;
  before(b, *v, at);
  const std::string& n = buffer(b).name;
  const auto fault = [&](Rule rule, const std::string& text) { report(rule, at, b, fmt::format("buffer {} {}", n, text)); };
  if (!v->defined) {
    fault(Rule::undefined, v->lost ? "is read, whose bytes other buffers have had since: its phase has ended"
                                   : "is read before anything is written to it, or after it has moved away");
    v->defined = true;  // one fault is told once
  }
  for (const Axis axis : kAxes) {
    const size_t a = static_cast<size_t>(axis);
    if (v->partial[a]) {
      fault(Rule::partial,
            fmt::format("is read where each core has only its own part of the {} along {}", name(v->partial[a]->op), name(axis)));
      v->partial[a].reset();
    }
    if (all_cores && v->spread[a] != Spread::everywhere) {
      fault(Rule::not_everywhere, fmt::format("is read on all cores, but lies along {} {}", name(axis), name(v->spread[a])));
      v->spread[a] = Spread::everywhere;
    }
  }
  if (v->aligned) {
    fault(Rule::aligned, "is read where its tiles lie aligned for a product");
    v->aligned = false;
  }
  if (v->cleared) {
    fault(Rule::incomplete, "is read, to which nothing has been added since it was cleared");
    v->cleared.reset();
  }
  if (v->wanted != 0 && v->pieces != v->wanted) {
    fault(Rule::incomplete, fmt::format("is read when {} of its {} pieces are there", v->pieces, v->wanted));
    v->wanted = 0;
  }
  if (v->chunk >= 0 && v->chunk != at.context.chunk) {
    fault(Rule::incomplete,
          fmt::format("holds what belongs to the keys of chunk {}, where those of chunk {} are read", v->chunk, at.context.chunk));
    v->chunk = -1;
  }
  if (v->rows >= 0 && v->rows != at.context.params.rows) {
    fault(Rule::incomplete, fmt::format("holds {} rows, where {} are read", v->rows, at.context.params.rows));
    v->rows = -1;
  }
  if (is_cache(b)) {
    const int64_t all = at.context.params.cached + at.context.params.rows;
    if (v->room || v->stored != all) {
      fault(Rule::cache_rows,
            fmt::format("is read where it has {} positions{} of {}", v->stored, v->room ? " and room for one more" : "", all));
      v->room = false;
      v->stored = all;
    }
  }
  v->read = true;
}

void Checker::before(BufferId b, Value& v, const Place& at) {
  if (!written.contains(b)) read_first.insert(b);
  v.read_in = at.use;
  keep(b, v);
}

void Checker::keep(BufferId b, Value& v) {
  const std::vector<PhaseId>& of = phases[buffer(b).region];
  if (of.empty()) return;
  for (size_t i = std::min(v.since, of.size() - 1); i < of.size(); i++) needed[b].insert(of[i]);
  v.since = of.size() - 1;
}

void check_phases(Checker& c) {
  for (const BufferId id : c.p.buffers.ids()) {
    const Buffer& b = c.buffer(id);
    if (b.kind == BufferKind::staging && c.needed[id].empty()) continue;  // of moves, which name no buffer on the way
    std::vector<PhaseId> has = b.phases;
    for (const PhaseId phase : {b.leaves_in, b.arrives_in})
      if (phase.exists()) has.push_back(phase);
    const auto report = [&](PhaseId phase, const char* text) {
      c.report(Rule::phases, {.region = b.region}, id,
               fmt::format("buffer {} {}", b.name, fmt::format(fmt::runtime(text), c.p.phases[phase].name)));
    };
    for (const PhaseId phase : has)
      if (!c.needed[id].contains(phase)) report(phase, "has bytes in phase {}, in which it holds nothing that is read there or later");
    for (const PhaseId phase : c.needed[id])
      if (!lives_in(b, phase)) report(phase, "holds a value that is read later through phase {}, in which it has no bytes");
  }
}

Value& Checker::write(BufferId b, const Place& at, std::optional<int64_t> copy) {
  static Value elsewhere;
  Value* v = find(b, at, copy);
  if (v == nullptr) return elsewhere = {};
  if (v->defined && !v->read && !is_cache(b))
    report(Rule::never_read, at, b,
           fmt::format("buffer {} is written again, though nobody has read what {} wrote", buffer(b).name, v->writer));
  *v = {};
  v->defined = true;
  v->read = false;
  v->writer = where_of(*this, at);
  v->version = ++versions;
  v->since = phases[buffer(b).region].size();
  keep(b, *v);
  if (has_keys(tensor(b))) v->chunk = at.context.chunk;
  if (has_rows(tensor(b))) v->rows = at.context.params.rows;
  written.insert(b);
  return *v;
}

Value& Checker::write_piece(BufferId b, const Place& at, int64_t piece, int64_t wanted, const char* what) {
  Value* v = find(b, at);
  if (v == nullptr || piece == 0) {
    Value& fresh = write(b, at);
    fresh.pieces = 1;
    fresh.wanted = wanted;
    return fresh;
  }
  if (!v->defined || v->pieces != piece || v->wanted != wanted)
    report(Rule::incomplete, at, b,
           fmt::format("{} {} of {} is written to buffer {}, where {} are", what, piece, wanted, buffer(b).name, v->pieces));
  keep(b, *v);
  v->defined = true;
  v->pieces = piece + 1;
  v->wanted = wanted;
  v->read = false;
  v->version = ++versions;
  written.insert(b);
  return *v;
}

}  // namespace wafer::mesh::locality
