#include "time/step_sizes.h"

#include <algorithm>
#include <map>

namespace wafer::time {

using namespace mesh;

int64_t StepSizes::size_of(BufferId id, size_t d, const Scope& s) const {
  const Size& size = tensor(id).dims[d].size;
  if (size.kind != SizeKind::keys) return value(size, s.params);
  return std::min((s.chunk + 1) * s.params.chunk, s.params.cached + s.params.rows) - s.chunk * s.params.chunk;
}

int64_t StepSizes::held(BufferId id, size_t d, const Scope& s, int x, int y) const {
  const int64_t n = size_of(id, d, s);
  int64_t count = n;
  for (const DimCut& c : buffer(id).cuts)
    if (c.dim == static_cast<int>(d)) count = std::min(count, count_at(c.cut, n, c.axis == Axis::x ? x : y));
  return count;
}

int64_t StepSizes::held(BufferId id, const Scope& s, int x, int y) const {
  int64_t n = 1;
  for (size_t d = 0; d < tensor(id).dims.size(); d++) n *= held(id, d, s, x, y);
  return n;
}

const Cut* StepSizes::cut_of(BufferId id, int d, Axis axis) const {
  for (const DimCut& c : buffer(id).cuts)
    if (c.dim == d && c.axis == axis) return &c.cut;
  return nullptr;
}

LocalSize StepSizes::local_size(const Local& op, const Scope& s, int x, int y) const {
  LocalSize z;
  const bool rows = !op.in.empty() && tensor(op.in[0]).dims.front().size.kind == SizeKind::rows;
  if (rows) z.rows = held(op.in[0], 0, s, x, y);
  switch (op.op) {
    case LocalOp::square_sum:
    case LocalOp::local_best:
    case LocalOp::store_rows: z.elements = held(op.in[0], s, x, y); break;
    case LocalOp::mat_vec:
      z.k = held(op.in[0], 0, s, x, y);
      z.n = held(op.in[0], 1, s, x, y);
      break;
    case LocalOp::row_dots:
      z.heads = held(op.out[0], 0, s, x, y);
      z.keys = held(op.out[0], 1, s, x, y);
      z.dims = z.heads == 0 ? 0 : held(op.in[0], s, x, y) / z.heads;
      break;
    case LocalOp::row_max:
    case LocalOp::exp_sum: {
      const bool prefill = tensor(op.in[0]).dims.size() == 3;
      z.heads = held(op.in[0], 0, s, x, y);
      z.rows = prefill ? held(op.in[0], 1, s, x, y) : 1;
      z.keys = held(op.in[0], prefill ? 2 : 1, s, x, y);
      break;
    }
    case LocalOp::weigh_rows:
      z.heads = held(op.in[0], 0, s, x, y);
      z.keys = held(op.in[0], 1, s, x, y);
      z.dims = z.heads == 0 ? 0 : held(op.out[0], s, x, y) / z.heads;
      break;
    case LocalOp::divide: {
      z.heads = held(op.in[1], 0, s, x, y);
      z.rows = tensor(op.in[1]).dims.size() == 2 ? held(op.in[1], 1, s, x, y) : 1;
      const int64_t vectors = z.heads * z.rows;
      z.dims = vectors == 0 ? 0 : held(op.in[0], s, x, y) / vectors;
      break;
    }
    case LocalOp::normalise:
    case LocalOp::angles:
    case LocalOp::rotate:
    case LocalOp::add:
    case LocalOp::clear:
    case LocalOp::gate_mul:
    case LocalOp::look_up:
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: z.elements = op.out.empty() ? 0 : held(op.out[0], s, x, y); break;
  }
  return z;
}

std::vector<int> StepSizes::classes(const Local& op, const Scope& s, Axis axis, int positions, std::vector<int>& representatives) const {
  std::map<std::vector<int64_t>, int> seen;
  std::vector<int> out;
  for (int p = 0; p < positions; p++) {
    std::vector<int64_t> key;
    for (const std::vector<BufferId>* list : {&op.in, &op.out})
      for (BufferId id : *list)
        for (const DimCut& c : buffer(id).cuts)
          if (c.axis == axis) key.push_back(count_at(c.cut, size_of(id, static_cast<size_t>(c.dim), s), p));
    // A decode step's new row is stored by the last row of cores alone.
    if (op.op == LocalOp::store_rows && axis == Axis::y) key.push_back(p == positions - 1);
    const auto [it, fresh] = seen.try_emplace(std::move(key), static_cast<int>(representatives.size()));
    if (fresh) representatives.push_back(p);
    out.push_back(it->second);
  }
  return out;
}

ProductSizes StepSizes::product_sizes(const Product& g, const Scope& s, Range columns, int64_t head, RegionId region) const {
  const Extent e = extent_of(region);
  const int L = std::max(static_cast<int>(columns.size()), e.h);
  ProductSizes z{
      .columns = columns, .rows = {}, .k = {}, .n = {}, .a = tensor(g.a).dtype, .b = tensor(g.b).dtype, .sum = tensor(g.c).dtype};
  auto counts = [](const std::vector<std::vector<Range>>& tiles) {
    std::vector<int64_t> n;
    for (const auto& t : tiles) n.push_back(count(t));
    return n;
  };
  const Cut& rows_y = *cut_of(g.a, tensor(g.a).dims.size() == 3 ? 1 : 0, Axis::y);
  z.rows = counts(logical_tiles(rows_y, s.params.rows, L));
  z.order = order_of(rows_y);
  if (g.heads == 0) {
    z.k = counts(logical_tiles(*cut_of(g.a, 1, Axis::x), size_of(g.a, 1, s), L));
    z.n = counts(logical_tiles(*cut_of(g.c, 1, Axis::x), size_of(g.c, 1, s), L));
    return z;
  }
  const int64_t keys = std::min((s.chunk + 1) * s.params.chunk, s.params.cached + s.params.rows) - s.chunk * s.params.chunk;
  const int64_t kv_dim = size_of(g.b, 1, s), head_dim = kv_dim / g.heads;
  const Range dims{head * head_dim, (head + 1) * head_dim};
  z.k = counts(logical_tiles(rows_y, keys, L));
  if (g.algorithm != Algorithm::gemm_t) {
    z.n = counts(logical_tiles(*cut_of(g.c, 1, Axis::x), kv_dim, L, columns, dims));
  } else {
    z.n = std::move(z.k);
    z.k.clear();
    for (int64_t x = columns.begin; x < columns.end; x++) {
      int64_t own = 0;
      for (const Range& r : ranges_at(*cut_of(g.b, 1, Axis::x), kv_dim, static_cast<int>(x)))
        own += std::max<int64_t>(0, std::min(r.end, dims.end) - std::max(r.begin, dims.begin));
      z.k.push_back(own);
    }
  }
  return z;
}

namespace {

void add_number(std::string& out, int64_t n) { out += std::to_string(n) += ','; }

void add_cut(std::string& out, const Cut& c) {
  for (int64_t n : {static_cast<int64_t>(c.kind), static_cast<int64_t>(c.positions), static_cast<int64_t>(c.logical), c.chunk,
                    static_cast<int64_t>(c.other_side), static_cast<int64_t>(c.other_logical)})
    add_number(out, n);
  for (const Range& r : c.run_positions) {
    add_number(out, r.begin);
    add_number(out, r.end);
  }
  if (!c.table) return;
  for (const auto& ranges : *c.table) {
    for (const Range& r : ranges) {
      add_number(out, r.begin);
      add_number(out, r.end);
    }
    out += ';';
  }
}

}  // namespace

namespace {

void add_range(std::string& out, const Range& r) {
  add_number(out, r.begin);
  add_number(out, r.end);
}

void add_before(std::string& out, const BeforeOperation& b) {
  for (const int n : {b.tasks, b.descriptor_loads, b.descriptor_edits}) add_number(out, n);
}

void add_forest(std::string& out, const Forest& forest) {
  for (size_t r = 0; r < forest.runs.size(); r++) {
    add_range(out, forest.runs[r]);
    add_number(out, forest.trees[r].root);
    for (const Level& level : forest.trees[r].levels) {
      out += '[';
      for (const Chain& chain : level) {
        for (const int p : chain) add_number(out, p);
        out += ';';
      }
    }
  }
}

// Everything of a step that its time depends on, which buffers they are apart.
struct Signature {
  const StepSizes& sizes;
  std::string& out;

  void numbers(std::initializer_list<int64_t> list) const {
    for (const int64_t n : list) add_number(out, n);
  }
  void operand(BufferId id) const {
    if (!id.exists()) return;
    add_number(out, static_cast<int64_t>(sizes.tensor(id).dtype));
    for (const Dim& d : sizes.tensor(id).dims) numbers({static_cast<int64_t>(d.size.kind), d.size.fixed});
    for (const DimCut& c : sizes.buffer(id).cuts) {
      numbers({c.dim, static_cast<int64_t>(c.axis)});
      add_cut(out, c.cut);
    }
  }
  void parts(const std::vector<ReducePart>& list) const {
    for (const ReducePart& part : list) {
      operand(part.buffer);
      add_number(out, part.broadcast);
    }
  }
  void operands(const std::vector<BufferId>& ids) const {
    for (BufferId id : ids) operand(id);
  }
  void ranges(const std::vector<Range>& list) const {
    for (const Range& r : list) add_range(out, r);
  }

  void operator()(const Local& op) const {
    operands(op.in);
    operands(op.out);
    numbers({static_cast<int64_t>(op.op), op.size, op.head_dim, op.group});
  }
  void operator()(const Opaque& opaque) const {
    const Work& w = opaque.work;
    numbers({w.tasks, w.descriptor_loads, w.descriptor_edits, w.route_changes, w.reciprocals, w.square_roots, w.exponentials});
    for (const VectorWork& v : w.vectors) numbers({v.count, v.elements, static_cast<int64_t>(v.unit), v.map});
  }
  void operator()(const Reduce& r) const {
    parts(r.parts);
    const Issue issue = issue_of(sizes.program, r);
    numbers({static_cast<int64_t>(r.axis), issue.broadcast_operations});
    add_forest(out, r.forest);
    add_before(out, issue.first);
    add_before(out, issue.later);
  }
  void operator()(const RingReduce& r) const {
    parts(r.parts);
    add_number(out, static_cast<int64_t>(r.axis));
    ranges(r.runs);
  }
  void operator()(const Multicast& m) const {
    operand(m.buffer);
    add_number(out, static_cast<int64_t>(m.axis));
  }
  void operator()(const Shift& s) const {
    operand(s.buffer);
    numbers({static_cast<int64_t>(s.kind), static_cast<int64_t>(s.axis), static_cast<int64_t>(s.order)});
    ranges(s.runs);
  }
  void operator()(const TileCast& c) const {
    operand(c.buffer);
    numbers({static_cast<int64_t>(c.axis), c.ahead, c.all});
  }
  void operator()(const RowShift& s) const { operands(s.buffers); }
  void operator()(const RootReduce& r) const {
    operand(r.partial);
    ranges(r.runs);
  }
  void operator()(const Send& s) const { add_number(out, s.move.number); }
  void operator()(const Receive& r) const { add_number(out, r.move.number); }
  void operator()(const Host& h) const {
    operand(h.buffer);
    add_number(out, h.to_host);
  }
  void operator()(const Loop& l) const {
    numbers({static_cast<int64_t>(l.var), static_cast<int64_t>(l.count), l.var == LoopVar::layer ? 0 : l.fixed, l.together});
    out += '(' + sizes.signature(l.body) + ')';
  }
  void operator()(const Group& g) const {
    add_number(out, static_cast<int64_t>(g.kind));
    out += '(' + sizes.signature(g.body) + ')';
  }
  void operator()(const Product& g) const {
    for (BufferId id : {g.a, g.b, g.c}) operand(id);
    numbers({static_cast<int64_t>(g.algorithm), g.heads, g.a_aligned, g.b_aligned, g.overlap});
    ranges(g.runs);
  }
};

}  // namespace

std::string StepSizes::signature(const Steps& steps) const {
  std::string out;
  for (const Step& s : steps) {
    out += s.name + '|';
    add_number(out, s.phase.number);
    std::visit(Signature{*this, out}, s.what);
  }
  return out;
}

}  // namespace wafer::time
