// Reductions of run(), on whole tensors: the cores' partial values and their sums in one go. Formulas: docs/design.md, "Numerics".
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/parallel.h"
#include "base/scalar_math.h"
#include "run/machine.h"
#include "run/rows.h"

namespace wafer::run {

using namespace mesh;

namespace {

// A sum along an axis of x's last dimension, each core over its own elements, then the tree: (x) -> ss[rows].
void join_square_sum(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
  const RowView x = rows_of(m, op.in[0], s);
  float* ss = array(m, op.out[0], s);
  const Tree& tree = reduce.forest.trees.front();
  const Cut cut = cut_of(m, op.in[0], static_cast<int>(m.tensor_of(op.in[0]).dims.size()) - 1, reduce.axis);
  std::vector<std::vector<Range>> held;
  for (int p = 0; p < tree.size; p++) held.push_back(ranges_at(cut, x.width, p));
  parallel_for(0, x.rows, kRowGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> own(static_cast<size_t>(tree.size));
    float scratch = 0;
    for (int64_t t = begin; t < end; t++) {
      for (int p = 0; p < tree.size; p++) {
        float sum = 0;
        for (const Range& r : held[static_cast<size_t>(p)])
          for (int64_t i = r.begin; i < r.end; i++) sum = fma(x.row(t)[i], x.row(t)[i], sum);
        own[static_cast<size_t>(p)] = sum;
      }
      join_rows(tree, false, own.data(), 1, &scratch);
      ss[t] = own[static_cast<size_t>(tree.root)];
    }
  });
  finish(m, op.out[0], ss, x.rows, false);
}

Lines input_lines(const Machine& m, const Local& op, Axis axis) {
  const BufferId weights = op.in[0];
  const Cut cut = cut_of(m, weights, 0, axis);
  Lines lines;
  for (int p = 0; p < cut.positions; p++) lines.parts.push_back(ranges_at(cut, m.tensor_of(weights).dims[0].size.fixed, p));
  return lines;
}

// The part of a ring reduction that each output belongs to: what a core has of it is cut anew.
std::vector<int> ring_parts(const Machine& m, const Local& op, Axis axis, int size) {
  const BufferId out = op.out[0];
  const int64_t n = m.tensor_of(out).dims[0].size.fixed;
  std::vector<int> parts(static_cast<size_t>(n), 0);
  const Cut cut = cut_of(m, out, 0, other(axis));
  for (int line = 0; line < cut.positions; line++) {
    const std::vector<Range> held = ranges_at(cut, n, line);
    const int64_t elements = count(held);
    int64_t at = 0;
    int j = 0;
    for (const Range& r : held)
      for (int64_t i = r.begin; i < r.end; i++, at++) {
        while (part(elements, j, size).end <= at) j++;
        parts[static_cast<size_t>(i)] = j;
      }
  }
  return parts;
}

GemvOrder gemv_order(const Machine& m, const Local& op, const Step& join) {
  if (const auto* ring = std::get_if<RingReduce>(&join.what)) {
    Lines lines = input_lines(m, op, ring->axis);
    CHECK(ring->runs.size() == 1, "a product is summed on {} rings of a line", ring->runs.size());
    const int size = static_cast<int>(lines.parts.size());
    return make_ring_order(lines, ring_parts(m, op, ring->axis, size));
  }
  const Reduce& reduce = std::get<Reduce>(join.what);
  return make_gemv_order(input_lines(m, op, reduce.axis), reduce.forest.trees.front());
}

void join_mat_vec(Machine& m, const Partial& partial, const Step& join) {
  const Local& op = std::get<Local>(partial.step->what);
  const auto [at, fresh] = m.gemv_orders.try_emplace({partial.step, &join});
  if (fresh) at->second = gemv_order(m, op, join);
  const Tensor& w = m.tensor_of(op.in[0]);
  const PanelMatrix& panels = m.weights->matrices.at(w.name)[w.copies > 1 ? static_cast<size_t>(partial.scope.layer) : 0];
  float* out = array(m, op.out[0], partial.scope);
  gemv(panels, at->second, m.program().numerics, 1, array(m, op.in[1], partial.scope), panels.k, out, panels.n);
  finish(m, op.out[0], out, panels.n, false);
  if (op.out[0] == m.lowered->placement.decode_head.logits || op.out[0] == m.lowered->placement.prefill_head.logits)
    m.logits_buffer = op.out[0];
}

// Decode: q[q_dim] . k_cache -> s[heads][positions], own dims on each column of a head's run, then the run's tree.
void join_row_dots(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
  const int64_t positions = s.params.cached + s.params.rows, head_dim = op.head_dim;
  const float* q = array(m, op.in[0], s);
  const float* keys = array(m, op.in[1], s);
  float* out = array(m, op.out[0], s);
  const int64_t kv_dim = m.tensor_of(op.in[1]).dims[1].size.fixed, kv_heads = kv_dim / head_dim, heads = kv_heads * op.group;
  const Cut cut = cut_of(m, op.in[1], 1, Axis::x);
  const bool fp16 = is_f16(m, op.out[0]);
  constexpr int64_t kBlock = 256;  // positions at a time, so that the columns' partial sums stay in cache
  parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> own, scratch(kBlock);
    for (int64_t h = begin; h < end; h++) {
      const int64_t kv = h / op.group;
      const Range run = head_run(static_cast<int>(kv_heads), cut.positions, static_cast<int>(kv));
      size_t tree_at = 0;
      while (!(reduce.forest.runs[tree_at] == run)) tree_at++;
      const Tree& tree = reduce.forest.trees[tree_at];
      own.resize(static_cast<size_t>(run.size() * kBlock));
      for (int64_t b = 0; b < positions; b += kBlock) {
        const int64_t n = std::min(kBlock, positions - b);
        for (int64_t c = 0; c < run.size(); c++) {
          float* acc = own.data() + c * n;
          std::fill_n(acc, n, 0.0f);
          for (const Range& r : ranges_at(cut, kv_dim, static_cast<int>(run.begin + c)))
            for (int64_t d = std::max(r.begin, kv * head_dim); d < std::min(r.end, (kv + 1) * head_dim); d++)
              fma_row(m.program().numerics, acc, keys + d * m.capacity + b, q[h * head_dim + d - kv * head_dim], n);
        }
        join_rows(tree, fp16, own.data(), n, scratch.data());
        std::copy_n(own.data() + tree.root * n, n, out + h * positions + b);
      }
    }
  });
  finish(m, op.out[0], out, heads * positions, false);
}

// The runs of heads on a line, by head: in prefill each KV head has one of its own, in decode a line is one run.
struct HeadTree {
  const Tree* tree = nullptr;
  int64_t begin = 0;  // the run's first position
};
HeadTree tree_of_head(const Forest& forest, int64_t heads, int positions, int64_t head) {
  size_t at = 0;
  if (forest.runs.size() > 1) {
    const Range run = head_run(static_cast<int>(heads), positions, static_cast<int>(head));
    while (!(forest.runs[at] == run)) at++;
  }
  return {.tree = &forest.trees[at], .begin = forest.runs[at].begin};
}

// The sums of p: each core over its own keys, ascending, then the tree. Decode: keys along y. Prefill: for each KV head and row, keys along
// x inside the head's run.
void join_exp_sum(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
  const RowView p = rows_of(m, op.out[0], s);
  float* l = array(m, op.out[1], s);
  const int64_t rows = of_chunk(m, op.in[0]) ? s.params.rows : 1, heads = p.rows / rows;
  const Cut cut = cut_of(m, op.out[0], static_cast<int>(m.tensor_of(op.out[0]).dims.size()) - 1, reduce.axis);
  parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> own;
    float scratch = 0;
    for (int64_t h = begin; h < end; h++) {
      const auto [tree, first] = tree_of_head(reduce.forest, heads, cut.positions, h);
      std::vector<std::vector<Range>> held;
      for (int c = 0; c < tree->size; c++) held.push_back(ranges_at(cut, p.width, static_cast<int>(first) + c));
      own.resize(static_cast<size_t>(tree->size));
      for (int64_t r = h * rows; r < (h + 1) * rows; r++) {
        for (int c = 0; c < tree->size; c++) {
          float sum = 0;
          for (const Range& range : held[static_cast<size_t>(c)])
            for (int64_t k = range.begin; k < range.end; k++) sum = sum + p.row(r)[k];
          own[static_cast<size_t>(c)] = sum;
        }
        join_rows(*tree, false, own.data(), 1, &scratch);
        l[r] = own[static_cast<size_t>(tree->root)];
      }
    }
  });
  finish(m, op.out[1], l, p.rows, false);
}

// Decode: p[heads][positions] . v_cache -> o[q_dim], own rows on each core row, then the tree along y.
void join_weigh_rows(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
  const int64_t positions = s.params.cached + s.params.rows, head_dim = op.head_dim;
  const float* p = array(m, op.in[0], s);
  const float* v = array(m, op.in[1], s);
  float* out = array(m, op.out[0], s);
  const int64_t kv_dim = m.tensor_of(op.in[1]).dims[1].size.fixed, heads = kv_dim / head_dim * op.group;
  const Cut cut = cut_of(m, op.in[1], 0, Axis::y);
  const Tree& tree = reduce.forest.trees.front();
  const bool fp16 = is_f16(m, op.out[0]);
  parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> own(static_cast<size_t>(tree.size * head_dim)), scratch(static_cast<size_t>(head_dim));
    for (int64_t h = begin; h < end; h++) {
      std::fill(own.begin(), own.end(), 0.0f);
      for (int i = 0; i < tree.size; i++)
        for (const Range& r : ranges_at(cut, positions, i))
          for (int64_t k = r.begin; k < r.end; k++)
            fma_row(m.program().numerics, own.data() + i * head_dim, v + k * kv_dim + h / op.group * head_dim, p[h * positions + k],
                    head_dim);
      join_rows(tree, fp16, own.data(), head_dim, scratch.data());
      std::copy_n(own.data() + tree.root * head_dim, head_dim, out + h * head_dim);
    }
  });
  finish(m, op.out[0], out, heads * head_dim, false);
}

void join_local_best(Machine& m, const Local& op, const Scope& s) {
  const float* logits = array(m, op.in[0], s);
  const int64_t n = element_count(m, op.in[0], s);
  m.best = static_cast<int32_t>(std::max_element(logits, logits + n) - logits);  // the first of equals
  m.token = m.best;
}

// The partial values of a part, which stop to be partial.
Partial take_partial(Machine& m, const Step& join, const ReducePart& part) {
  const auto at = m.partials.find(part.buffer);
  CHECK(at != m.partials.end(), "{} joins buffer {}, which has no partial values", join.name, m.buffer(part.buffer).name);
  const Partial partial = at->second;
  CHECK(partial.joined_by == part.op, "{} joins by {} what {} leaves to be joined by {}", join.name, name(part.op), partial.step->name,
        name(partial.joined_by));
  m.partials.erase(at);
  return partial;
}

}  // namespace

void run_reduce(Machine& m, const Step& step, const Reduce& reduce) {
  for (const ReducePart& part : reduce.parts) {
    const Partial partial = take_partial(m, step, part);
    const Local& op = std::get<Local>(partial.step->what);
    switch (op.op) {
      case LocalOp::square_sum: join_square_sum(m, op, reduce, partial.scope); break;
      case LocalOp::mat_vec: join_mat_vec(m, partial, step); break;
      case LocalOp::row_dots: join_row_dots(m, op, reduce, partial.scope); break;
      case LocalOp::exp_sum: join_exp_sum(m, op, reduce, partial.scope); break;
      case LocalOp::weigh_rows: join_weigh_rows(m, op, reduce, partial.scope); break;
      case LocalOp::local_best: join_local_best(m, op, partial.scope); break;
      case LocalOp::row_max: break;  // joined as they were made
      case LocalOp::normalise:
      case LocalOp::angles:
      case LocalOp::rotate:
      case LocalOp::store_rows:
      case LocalOp::divide:
      case LocalOp::add:
      case LocalOp::clear:
      case LocalOp::gate_mul:
      case LocalOp::look_up:
      case LocalOp::tile_fma:
      case LocalOp::tile_fma_t: check_failed(__FILE__, __LINE__, "reduce", std::string(name(op.op)) + " has no partial values");
    }
  }
}

void run_ring_reduce(Machine& m, const Step& step, const RingReduce& reduce) {
  for (const ReducePart& part : reduce.parts) {
    const Partial partial = take_partial(m, step, part);
    const LocalOp op = std::get<Local>(partial.step->what).op;
    CHECK(op == LocalOp::mat_vec, "{} on a ring", name(op));
    join_mat_vec(m, partial, step);
  }
}

}  // namespace wafer::run
