// The schedule of an entry, the steps that move values between cores and regions, and the results.
#include "support/naive_executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "mesh/visit.h"
#include "support/naive_executor_state.h"

namespace wafer {
namespace naive {

// ---- reductions, multicast, KV shift -----------------------------------------------------------------------------------------------

namespace {

Element join(ReduceOp op, Dtype dtype, const Element& own, const Element& v) {
  switch (op) {
    case ReduceOp::add: return {.value = dtype == Dtype::f16 ? add_f16(own.value, v.value) : own.value + v.value};
    case ReduceOp::max: return own.value > v.value ? own : v;
    case ReduceOp::best: return own.value > v.value || (own.value == v.value && own.scale < v.scale) ? own : v;
  }
  return {};
}

void reduce_run(State& s, const ReducePart& part, const std::vector<Holding*>& cores, const Tree& tree) {
  const BufferId buffer = part.buffer;
  const std::vector<int64_t> indices = cores[0]->indices();
  for (const Holding* h : cores)
    if (h->indices() != indices) s.fail(fmt::format("cores of one run hold different elements of buffer {}", s.buffer(buffer).name));
  for (int64_t i : indices) {
    std::vector<Element> values;
    for (const Holding* h : cores) values.push_back(*h->find(i));
    for (const Level& level : tree.levels)
      for (const Chain& chain : level) {
        Element v = values[static_cast<size_t>(chain[0])];
        for (size_t q = 1; q < chain.size(); q++) v = join(part.op, s.tensor(buffer).dtype, values[static_cast<size_t>(chain[q])], v);
        values[static_cast<size_t>(chain.back())] = v;
      }
    const Element result = values[static_cast<size_t>(tree.root)];
    for (size_t c = 0; c < cores.size(); c++) {
      if (part.broadcast || static_cast<int>(c) == tree.root)
        cores[c]->put(i, result);
      else
        cores[c]->erase(i);
    }
  }
}

// Position p on line l of an axis.
Holding& on_line(State& s, BufferId buffer, int copy, Axis axis, int line, int position) {
  return axis == Axis::x ? s.holding(buffer, copy, position, line) : s.holding(buffer, copy, line, position);
}

}  // namespace

void run_reduce(State& s, const Reduce& op, RegionId region, const Context& context) {
  const Extent e = extent(s.rect(region));
  for (const ReducePart& part : op.parts)
    for (int line = 0; line < side(e, other(op.axis)); line++)
      for (size_t run = 0; run < op.forest.runs.size(); run++) {
        const Range r = op.forest.runs[run];
        if (op.forest.trees[run].size != r.size()) s.fail("a tree of another size than its run");
        std::vector<Holding*> cores;
        for (int64_t p = r.begin; p < r.end; p++)
          cores.push_back(&on_line(s, part.buffer, s.copy_of(part.buffer, context), op.axis, line, static_cast<int>(p)));
        reduce_run(s, part, cores, op.forest.trees[run]);
      }
}

// Step by step, every core with what its neighbour has sent: in step t the core at ring position c sends part c+1+t and receives c+2+t.
// After size-1 steps part c is summed at position c; the other steps hand the sums round.
void run_ring_reduce(State& s, const RingReduce& op, RegionId region, const Context& context) {
  const Extent e = extent(s.rect(region));
  for (const auto& [buffer, how, broadcast] : op.parts)
    for (int line = 0; line < side(e, other(op.axis)); line++)
      for (const Range& run : op.runs) {
        const int size = static_cast<int>(run.size());
        std::vector<Holding*> ring;
        for (int c = 0; c < size; c++)
          ring.push_back(
              &on_line(s, buffer, s.copy_of(buffer, context), op.axis, line, static_cast<int>(run.begin) + ring_to_position(c, size)));
        const std::vector<int64_t> indices = ring[0]->indices();
        for (const Holding* h : ring)
          if (h->indices() != indices) s.fail(fmt::format("cores of one ring hold different elements of buffer {}", s.buffer(buffer).name));
        const auto part_of = [&](int j) { return part(static_cast<int64_t>(indices.size()), j % size, size); };
        for (int t = 0; t < (broadcast ? 2 : 1) * (size - 1); t++) {
          std::vector<std::vector<Element>> sent(ring.size());
          for (int c = 0; c < size; c++)
            for (int64_t i = part_of(c + 1 + t).begin; i < part_of(c + 1 + t).end; i++)
              sent[static_cast<size_t>(c)].push_back(*ring[static_cast<size_t>(c)]->find(indices[static_cast<size_t>(i)]));
          for (int c = 0; c < size; c++) {
            const Range r = part_of(c + 2 + t);
            const std::vector<Element>& got = sent[static_cast<size_t>((c + 1) % size)];
            for (int64_t i = r.begin; i < r.end; i++) {
              const int64_t at = indices[static_cast<size_t>(i)];
              const Element& v = got[static_cast<size_t>(i - r.begin)];
              Holding& own = *ring[static_cast<size_t>(c)];
              own.put(at, t < size - 1 ? join(how, s.tensor(buffer).dtype, *own.find(at), v) : v);
            }
          }
        }
        if (broadcast) continue;
        for (int c = 0; c < size; c++)
          for (int64_t i = 0; i < static_cast<int64_t>(indices.size()); i++)
            if (i < part_of(c).begin || i >= part_of(c).end) ring[static_cast<size_t>(c)]->erase(indices[static_cast<size_t>(i)]);
      }
}

void run_multicast(State& s, const Multicast& op, RegionId region, const Context& context) {
  const Extent e = extent(s.rect(region));
  const int copy = s.copy_of(op.buffer, context);
  for (int line = 0; line < side(e, other(op.axis)); line++) {
    const Holding* owner = nullptr;
    for (int p = 0; p < side(e, op.axis); p++) {
      const Holding& h = on_line(s, op.buffer, copy, op.axis, line, p);
      if (h.count() == 0) continue;
      if (owner) s.fail("two owners on one line of a multicast");
      owner = &h;
    }
    if (!owner) continue;
    for (int p = 0; p < side(e, op.axis); p++) on_line(s, op.buffer, copy, op.axis, line, p) = *owner;
  }
  for (int y = 0; y < e.h; y++)
    for (int x = 0; x < e.w; x++) core_tile(s, op.buffer, x, y, context).check_complete();
}

void run_row_shift(State& s, const RowShift& op, RegionId region, const Context& context) {
  const Rect r = s.rect(region);
  const int64_t n = context.params.cached;
  for (const BufferId buffer : op.buffers) {
    const int copy = s.copy_of(buffer, context);
    const int64_t width = s.tensor(buffer).dims[1].size.fixed;
    for (int x = 0; x < r.w; x++) {
      std::vector<std::vector<std::pair<int64_t, Element>>> passed(static_cast<size_t>(r.h));
      for (int y = r.h - static_cast<int>(n % r.h); y < r.h; y++) {
        Holding& own = s.holding(buffer, copy, x, y);
        const std::vector<int64_t> held = own.indices();
        if (held.empty()) {
          if (own_indices(s.program, s.buffer(buffer), x, y, context)[1].empty()) continue;  // a column without dims
          s.fail(fmt::format("core ({},{}) has no entry of buffer {} to pass up", x, y, s.buffer(buffer).name));
        }
        for (int64_t i : held)
          if (i / width == held[0] / width) passed[static_cast<size_t>(y)].push_back({i, *own.find(i)});
        for (const auto& [i, e] : passed[static_cast<size_t>(y)]) own.erase(i);
      }
      for (int y = 1; y < r.h; y++)
        for (const auto& [i, e] : passed[static_cast<size_t>(y)]) s.holding(buffer, copy, x, y - 1).put(i, e);
    }
  }
}

// ---- moves -------------------------------------------------------------------------------------------------------------------------

namespace {

const Move& move_of(const State& s, MoveId move) { return s.program.moves[move]; }

int moved_copy(const State& s, BufferId buffer, const Move& move) { return s.tensor(buffer).copies > 1 ? move.copy : 0; }

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Everything that the cores of a region hold of a buffer, by flat index; cores that hold the same element must agree.
std::vector<Element> collect(const State& s, BufferId buffer, int copy) {
  std::vector<Element> all;
  const Rect r = s.rect(s.buffer(buffer).region);
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) {
      const Holding& h = s.holding(buffer, copy, x, y);
      for (int64_t i : h.indices()) {
        const Element& e = *h.find(i);
        if (i >= static_cast<int64_t>(all.size())) all.resize(static_cast<size_t>(i) + 1);
        Element& first = all[static_cast<size_t>(i)];
        if (!first.held) first = e;
        if (!same_bits(first.value, e.value) || !same_bits(first.scale, e.scale))
          s.fail(fmt::format("core ({},{}) has {} for element {} of buffer {}, another core {}", x, y, e.value, i, s.buffer(buffer).name,
                             first.value));
      }
    }
  return all;
}

}  // namespace

void run_send(State& s, MoveId id, const Context& context) {
  const Move& move = move_of(s, id);
  const Buffer& b = s.buffer(move.source);
  if (s.aligned[move.source]) s.fail(fmt::format("buffer {} is sent where its tiles lie aligned for a product", b.name));
  const int copy = moved_copy(s, move.source, move);
  Message message{.elements = collect(s, move.source, copy)};
  if (move.kind == MoveKind::row_out) {
    const int64_t n = sizes_of(s.tensor(move.source), context)[1];
    message.elements.resize(static_cast<size_t>((context.params.row + 1) * n));
    message.elements.erase(message.elements.begin(), message.elements.end() - n);
  }
  // Weights and caches move in place: their source is overwritten.
  if (b.kind == BufferKind::weights || b.kind == BufferKind::cache)
    for (Holding& h : s.holdings[move.source][static_cast<size_t>(copy - b.first_copy)]) h.clear();
  s.in_flight[id].push_back(std::move(message));
}

void run_receive(State& s, MoveId id, const Context& context) {
  const Move& move = move_of(s, id);
  const Message message = std::move(s.in_flight[id].front());
  s.in_flight[id].pop_front();
  Context at = context;
  at.layer = move.copy;
  const Buffer& b = s.buffer(move.destination);
  const Rect r = s.rect(b.region);
  s.aligned[move.destination] = false;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) {
      CoreTile tile = core_tile(s, move.destination, x, y, at);
      const bool row_in = move.kind == MoveKind::row_in;
      if (!row_in || context.row == 0) tile.holding.clear();
      const auto take = [&](int64_t source, int64_t destination) {
        const bool brought = source < static_cast<int64_t>(message.elements.size()) && message.elements[static_cast<size_t>(source)].held;
        if (!brought) s.fail(fmt::format("move {} does not bring element {}", move.name, source));
        Element e = message.elements[static_cast<size_t>(source)];
        e.value = rounded(s.tensor(move.destination).dtype, e.value);
        tile.holding.put(destination, e);
      };
      if (tile.sizes.size() == 1) {
        for (int64_t i : tile.own[0]) take(i, i);
      } else {
        for (int64_t i : tile.own[0])
          for (int64_t j : tile.own[1])
            if (!row_in || i == context.row) take(row_in ? j : i * tile.sizes[1] + j, i * tile.sizes[1] + j);
      }
      if (!row_in) tile.check_complete();
    }
}

// ---- the schedule ------------------------------------------------------------------------------------------------------------------

namespace {

struct Leaf {
  const Step* step;
  Context context;
};

int64_t turns(const Loop& loop, const Params& p) {
  switch (loop.count) {
    case CountKind::fixed: return loop.fixed;
    case CountKind::chunks: return p.cached / p.chunk + 1;
    case CountKind::rows: return p.rows;
  }
  return 0;
}

void unroll(const Steps& steps, const Context& context, std::vector<Leaf>& out);

void unroll_loop(const Loop& loop, const Context& context, std::vector<Leaf>& out) {
  for (int64_t i = loop.begin; i < loop.begin + turns(loop, context.params); i++) {
    Context inner = context;
    switch (loop.var) {
      case LoopVar::layer: inner.layer = i; break;
      case LoopVar::member: inner.member = i; break;
      case LoopVar::chunk: inner.chunk = i; break;
      case LoopVar::row: inner.row = i; break;
      case LoopVar::repeat: break;
      case LoopVar::ring_step: throw std::logic_error("a ring step outside a product");
    }
    unroll(loop.body, inner, out);
  }
}

// Whole products are leaves here.
void unroll(const Steps& steps, const Context& context, std::vector<Leaf>& out) {
  for (const Step& step : steps) {
    const auto keep = [&] { out.push_back({&step, context}); };
    visit(
        step, [&](const Loop& s) { unroll_loop(s, context, out); }, [&](const Group& s) { unroll(s.body, context, out); },
        for_kinds<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive, Host, Product>(keep));
  }
}

// The buffers of a step, for the check that they have bytes in its phase.
std::vector<BufferId> buffers_of(const Step& step) {
  using Ids = std::vector<BufferId>;
  return visit(
      step,
      [](const Local& s) {
        Ids out = s.in;
        out.insert(out.end(), s.out.begin(), s.out.end());
        return out;
      },
      [](const Reduce& s) { return mesh::buffers_of(s.parts); }, [](const RingReduce& s) { return mesh::buffers_of(s.parts); },
      [](const Multicast& s) { return Ids{s.buffer}; }, [](const RowShift& s) { return s.buffers; },
      [](const Host& s) { return Ids{s.buffer}; },
      [](const Product& s) {
        Ids out = {s.a, s.b, s.c};
        for (const BufferId staging : {s.partial, s.a_here, s.b_here})
          if (staging.exists()) out.push_back(staging);
        return out;
      },
      // A move's two ends belong to two regions; the others stand inside products alone.
      same_for<Opaque, Send, Receive, Shift, TileCast, RootReduce, Loop, Group>(Ids{}));
}

bool lives_in(const Buffer& b, PhaseId phase) { return std::find(b.phases.begin(), b.phases.end(), phase) != b.phases.end(); }

// Bytes are reused from phase to phase: what does not live in the new one is gone.
void enter_phase(State& s, RegionId region, PhaseId phase) {
  PhaseId& now = s.region_phase[region];
  if (now == phase) return;
  now = phase;
  for (const BufferId id : s.program.buffers.ids()) {
    const Buffer& b = s.program.buffers[id];
    if (b.region != region || b.kind == BufferKind::weights || b.kind == BufferKind::cache || lives_in(b, phase)) continue;
    s.aligned[id] = false;
    for (auto& copy : s.holdings[id])
      for (Holding& h : copy) h.clear();
  }
}

void host(State& s, const Host& h, RegionId region, const Context& context) {
  if (h.to_host) {
    const std::vector<Element> all = collect(s, h.buffer, 0);
    if (s.tensor(h.buffer).dtype == Dtype::best) {
      s.chosen = static_cast<int32_t>(all.at(0).scale);
      return;
    }
    // The host picks the first of the largest logits.
    const auto less = [](const Element& a, const Element& b) { return a.value < b.value; };
    s.chosen = static_cast<int32_t>(std::max_element(all.begin(), all.end(), less) - all.begin());
    return;
  }
  const Rect r = s.rect(region);
  const size_t at = static_cast<size_t>(context.row);
  if (at >= s.tokens.size()) s.fail("the host has no token for this row");
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) core_tile(s, h.buffer, x, y, context).write({0}, static_cast<float>(s.tokens[at]));
}

void run_product(State& s, const Step& step, const Product& product, RegionId region, const Context& c) {
  switch (product.algorithm) {
    case Algorithm::mesh_gemm:
    case Algorithm::cannon: return run_gemm(s, step, product, region, c);
    case Algorithm::gemm_t: return run_gemm_t(s, step, product, region, c);
    case Algorithm::summa:
    case Algorithm::allgather: return run_cast_gemm(s, step, product, region, c);
  }
}

// False: a receive whose send has not been done.
bool run_leaf(State& s, const Leaf& leaf, RegionId region) {
  const Step& step = *leaf.step;
  s.step = step.name;
  const bool waits = visit(
      step, [&](const Receive& r) { return s.in_flight[r.move].empty(); },
      same_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Host, Loop, Group, Product>(
          false));
  if (waits) return false;
  enter_phase(s, region, step.phase);
  for (const BufferId b : buffers_of(step)) {
    if (s.buffer(b).region != region) s.fail(fmt::format("buffer {} is of another region", s.buffer(b).name));
    if (!lives_in(s.buffer(b), step.phase))
      s.fail(fmt::format("buffer {} has no bytes in phase {}", s.buffer(b).name, s.program.phases[step.phase].name));
  }
  const Context& c = leaf.context;
  visit(
      step, [&](const Local& op) { run_local(s, op, region, c); }, [&](const Reduce& op) { run_reduce(s, op, region, c); },
      [&](const RingReduce& op) { run_ring_reduce(s, op, region, c); }, [&](const Multicast& op) { run_multicast(s, op, region, c); },
      [&](const RowShift& op) { run_row_shift(s, op, region, c); }, [&](const Send& op) { run_send(s, op.move, c); },
      [&](const Receive& op) { run_receive(s, op.move, c); }, [&](const Host& op) { host(s, op, region, c); },
      [&](const Product& product) { run_product(s, step, product, region, c); }, [&](const Opaque&) { s.fail("a step without values"); },
      for_kinds<Shift, TileCast, RootReduce, Loop, Group>([&] { s.fail("a step that only makes sense inside a product"); }));
  return true;
}

}  // namespace

void run_entry(State& s, const Entry& entry, const Params& params) {
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
  bool waiting = true;
  for (bool progress = true; waiting && progress;) {
    waiting = progress = false;
    for (List& list : lists) {
      while (list.next < list.leaves.size() && run_leaf(s, list.leaves[list.next], list.region)) {
        list.next++;
        progress = true;
      }
      waiting |= list.next < list.leaves.size();
    }
  }
  if (waiting) s.fail("all regions wait for each other");
  for (const auto& [move, messages] : s.in_flight)
    if (!messages.empty()) s.fail(fmt::format("nobody receives move {}", move_of(s, move).name));
}

}  // namespace naive

// ---- the executor ------------------------------------------------------------------------------------------------------------------

using namespace naive;

NaiveExecutor::NaiveExecutor(const Lowered& lowered, const Model& model, Start start) : state_(std::make_unique<State>(lowered, model)) {
  load_weights(*state_, start == Start::prefill ? lowered.placement.prefill_regions : lowered.placement.decode_regions);
}

NaiveExecutor::~NaiveExecutor() = default;

void NaiveExecutor::put(const std::string& tensor, std::span<const float> values, const Params& params) {
  State& s = *state_;
  for (const BufferId id : s.program.buffers.ids()) {
    if (s.tensor(id).name != tensor || s.buffer(id).kind == BufferKind::staging) continue;
    const Rect r = s.rect(s.buffer(id).region);
    for (int y = 0; y < r.h; y++)
      for (int x = 0; x < r.w; x++) {
        CoreTile core = core_tile(s, id, x, y, {.params = params});
        for (int64_t i : core.own[0])
          for (int64_t j : core.own[1]) core.write({i, j}, values[static_cast<size_t>(i * core.sizes[1] + j)]);
      }
    s.region_phase[s.buffer(id).region] = s.buffer(id).phases.front();
  }
}

void NaiveExecutor::set_expansion(naive::Expansion expansion) { state_->expansion = std::move(expansion); }

void NaiveExecutor::run(const std::string& entry_name, const Params& params, std::span<const int32_t> tokens) {
  State& s = *state_;
  const Placement& p = s.lowered.placement;
  s.tokens = tokens;
  s.step = entry_name;
  s.head = entry_name == "decode" ? &p.decode_head : &p.prefill_head;
  if (entry_name == "decode" && !p.plan.host_choice && !tokens.empty()) {  // where the host knows better than the mesh
    const Rect r = s.rect(s.buffer(s.head->best).region);
    for (int y = 0; y < r.h; y++)
      for (int x = 0; x < r.w; x++) s.holding(s.head->best, 0, x, y).put(0, {.scale = static_cast<float>(tokens[0])});
    s.region_phase[s.buffer(s.head->best).region] = p.decode_phases.head;
  }
  run_entry(s, mesh::entry(s.program, entry_name), params);
}

std::vector<float> NaiveExecutor::logits() const { return gather(state_->tensor(state_->head->logits).name, 0, {}); }

int32_t NaiveExecutor::chosen() const { return state_->chosen; }

namespace {

// Empty: no buffer holds all of it.
std::vector<float> gather_from(const State& s, BufferId buffer, int copy, size_t elements) {
  const Buffer& b = s.buffer(buffer);
  if (copy < b.first_copy || copy >= b.first_copy + b.copies) return {};
  const std::vector<Element> all = collect(s, buffer, copy);
  std::vector<float> out;
  for (size_t i = 0; i < std::min(elements, all.size()) && all[i].held; i++) out.push_back(all[i].value);
  return out.size() == elements ? out : std::vector<float>{};
}

std::vector<float> gather_any(const State& s, const std::string& name, int copy, const Params& params) {
  for (int i = static_cast<int>(s.program.buffers.size()) - 1; i >= 0; i--) {
    const BufferId b(i);
    const Tensor& t = s.tensor(b);
    if (t.name != name || s.buffer(b).kind == BufferKind::staging) continue;
    size_t elements = 1;
    for (int64_t n : sizes_of(t, {.params = params})) elements *= static_cast<size_t>(n);
    std::vector<float> out = gather_from(s, b, copy, elements);
    if (!out.empty()) return out;
  }
  return {};
}

}  // namespace

bool NaiveExecutor::holds(const std::string& tensor, int copy, const Params& params) const {
  return !gather_any(*state_, tensor, copy, params).empty();
}

std::vector<float> NaiveExecutor::gather(const std::string& tensor, int copy, const Params& params) const {
  std::vector<float> out = gather_any(*state_, tensor, copy, params);
  if (out.empty()) state_->fail("no buffer holds tensor " + tensor + " whole");
  return out;
}

}  // namespace wafer
