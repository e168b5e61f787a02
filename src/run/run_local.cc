// Local steps and folds of run(), on whole tensors. Formulas: docs/design.md, "Numerics".
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/scalar_math.h"
#include "run/machine.h"
#include "run/rows.h"

namespace wafer::run {

using namespace mesh;

namespace {

// A tensor [rows][width], where decode has one row.
struct RowView {
  float* data;
  int64_t rows, width;
  float* row(int64_t i) const { return data + i * width; }
};

RowView rows_of(Machine& m, BufferId buffer, const Scope& s) {
  const size_t dims = m.tensor_of(buffer).dims.size();
  const int64_t width = dim_size(m, buffer, dims - 1, s);
  const int64_t n = element_count(m, buffer, s);
  return {array(m, buffer, s), width == 0 ? 0 : n / width, width};
}

constexpr int64_t kRowGrain = 4;

// ---- local steps -----------------------------------------------------------------------------------------------------------------

void normalise(Machine& m, const Local& op, const Scope& s) {
  const RowView x = rows_of(m, op.in[0], s), out = rows_of(m, op.out[0], s);
  const float* ss = array(m, op.in[1], s);
  const std::string& name = m.tensor_of(op.in[2]).name;
  const std::vector<float>& gain = m.weights->norms.at(name)[m.tensor_of(op.in[2]).copies > 1 ? static_cast<size_t>(s.layer) : 0];
  for (int64_t t = 0; t < x.rows; t++) {
    const float r = rsqrt_f32(ss[t] / static_cast<float>(op.size) + op.epsilon);
    for (int64_t i = 0; i < x.width; i++) out.row(t)[i] = (x.row(t)[i] * r) * gain[static_cast<size_t>(i)];
  }
  finish(m, op.out[0], out.data, out.rows * out.width, true);
}

// (turns) -> angles[rows][pairs][sin, cos], where decode has one row.
void turn_angles(Machine& m, const Local& op, const Scope& s) {
  const std::vector<float>& turns = m.weights->turns;
  const size_t pairs = turns.size() / 2;
  const int64_t n = element_count(m, op.out[0], s), rows = n / static_cast<int64_t>(turns.size());
  float* out = array(m, op.out[0], s);
  for (int64_t t = 0; t < rows; t++)
    for (size_t i = 0; i < pairs; i++) {
      const auto [sin, cos] = sincos_turns(static_cast<float>(s.params.cached + t), turns[2 * i], turns[2 * i + 1]);
      float* pair = out + t * static_cast<int64_t>(turns.size()) + static_cast<int64_t>(2 * i);
      pair[0] = sin;
      pair[1] = cos;
    }
  finish(m, op.out[0], out, n, false);
}

void rotate(Machine& m, const Local& op, const Scope& s) {
  const RowView x = rows_of(m, op.in[0], s), out = rows_of(m, op.out[0], s);
  const float* angles = array(m, op.in[1], s);
  const int64_t heads = x.width / op.head_dim;
  for (int64_t t = 0; t < x.rows; t++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t i = 0; i < op.head_dim; i += 2) {
        const int64_t at = h * op.head_dim + i;
        const float a = x.row(t)[at], b = x.row(t)[at + 1], sin = angles[t * op.head_dim + i], cos = angles[t * op.head_dim + i + 1];
        out.row(t)[at] = fma(a, cos, -(b * sin));
        out.row(t)[at + 1] = fma(a, sin, b * cos);
      }
  finish(m, op.out[0], out.data, out.rows * out.width, true);
}

void store_rows(Machine& m, const Local& op, const Scope& s) {
  const RowView in = rows_of(m, op.in[0], s);
  float* cache = array(m, op.out[0], s);
  const bool by_dims = m.tensor_of(op.out[0]).name == "k_cache";
  std::vector<float> row(static_cast<size_t>(in.width));
  for (int64_t t = 0; t < in.rows; t++) {
    std::copy_n(in.row(t), in.width, row.begin());
    finish(m, op.out[0], row.data(), in.width, true);
    const int64_t position = s.params.cached + t;
    if (by_dims)
      for (int64_t d = 0; d < in.width; d++) cache[d * m.capacity + position] = row[static_cast<size_t>(d)];
    else
      std::copy(row.begin(), row.end(), cache + position * in.width);
  }
}

// Keys that row t of the chunk sees among the scope's keys: those up to its own position.
int64_t visible_keys(const Scope& s, int64_t t) {
  return std::clamp<int64_t>(s.params.cached + t + 1 - chunk_keys(s).begin, 0, chunk_keys(s).size());
}

// Prefill: (s[kv_heads][rows][keys]) -> m[kv_heads][rows].
void row_max(Machine& m, const Local& op, const Scope& s) {
  const RowView scores = rows_of(m, op.in[0], s);
  float* top = array(m, op.out[0], s);
  for (int64_t r = 0; r < scores.rows; r++) {
    const int64_t keys = visible_keys(s, r % s.params.rows);
    for (int64_t k = 0; k < keys; k++) top[r] = std::max(top[r], scores.row(r)[k] * op.scale);
  }
}

void divide(Machine& m, const Local& op, const Scope& s) {
  const RowView o = rows_of(m, op.in[0], s), out = rows_of(m, op.out[0], s);
  const float* l = array(m, op.in[1], s);
  const bool prefill = o.width != out.width || m.tensor_of(op.in[1]).dims.size() == 2;
  if (!prefill) {  // decode: all query heads at once
    for (int64_t i = 0; i < o.width; i++) out.data[i] = o.data[i] * reciprocal_f32(l[i / op.head_dim]);
    finish(m, op.out[0], out.data, out.width, true);
    return;
  }
  // prefill: the current member of each group, o[rows][kv dims], l[kv_heads][rows]
  const int64_t kv_heads = o.width / op.head_dim;
  for (int64_t t = 0; t < o.rows; t++)
    for (int64_t h = 0; h < kv_heads; h++) {
      const float r = reciprocal_f32(l[h * o.rows + t]);
      float* to = out.row(t) + (h * op.group + s.member) * op.head_dim;
      for (int64_t d = 0; d < op.head_dim; d++) to[d] = o.row(t)[h * op.head_dim + d] * r;
      finish(m, op.out[0], to, op.head_dim, true);
    }
}

void add(Machine& m, const Local& op, const Scope& s) {
  const int64_t n = element_count(m, op.out[0], s);
  float* to = array(m, op.out[0], s);
  add_row(is_f16(m, op.out[0]), to, array(m, op.in[0], s), n);
  finish(m, op.out[0], to, n, false);
}

void gate_mul(Machine& m, const Local& op, const Scope& s) {
  const int64_t n = element_count(m, op.out[0], s);
  const float *g = array(m, op.in[0], s), *u = array(m, op.in[1], s);
  float* out = array(m, op.out[0], s);
  parallel_for(0, n, 4096, [&](int64_t begin, int64_t end) { gate_row(g + begin, u + begin, out + begin, end - begin); });
  finish(m, op.out[0], out, n, true);
}

void look_up(Machine& m, const Local& op, const Scope& s) {
  float* x = array(m, op.out[0], s);
  embedding_row(*m.weights, m.token, x);
}

// ---- folds -----------------------------------------------------------------------------------------------------------------------

// A sum along an axis of x's last dimension, each core over its own elements, then the tree: (x) -> ss[rows].
void fold_square_sum(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
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

void fold_mat_vec(Machine& m, const Step& step, const Group& group, const Scope& s) {
  std::vector<GemvOrder>& orders = m.gemv_orders[&step];
  for (size_t i = 0; i + 1 < group.body.size(); i++) {
    const Local& op = std::get<Local>(group.body[i].what);
    if (orders.size() <= i) orders.push_back(gemv_order(m, op, group.body.back()));
    const Tensor& w = m.tensor_of(op.in[0]);
    const PanelMatrix& panels = m.weights->matrices.at(w.name)[w.copies > 1 ? static_cast<size_t>(s.layer) : 0];
    float* out = array(m, op.out[0], s);
    gemv(panels, orders[i], m.program().numerics, 1, array(m, op.in[1], s), panels.k, out, panels.n);
    finish(m, op.out[0], out, panels.n, false);
    if (op.out[0] == m.lowered->placement.decode_head.logits || op.out[0] == m.lowered->placement.prefill_head.logits)
      m.logits_buffer = op.out[0];
  }
}

// Decode: q[q_dim] . k_cache -> s[heads][positions], own dims on each column of a head's run, then the run's tree.
void fold_row_dots(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
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

// Decode: s[heads][positions] -> m[heads]. The largest value does not depend on an order.
void fold_row_max(Machine& m, const Local& op, const Scope& s) {
  const RowView scores = rows_of(m, op.in[0], s);
  float* top = array(m, op.out[0], s);
  for (int64_t h = 0; h < scores.rows; h++)
    for (int64_t k = 0; k < scores.width; k++) top[h] = std::max(top[h], scores.row(h)[k] * op.scale);
}

// p = 2^(s * scale - m) and its sum: each core over its own keys, ascending, then the tree. Decode: heads along no axis, keys along y.
// Prefill: for each KV head and row, keys along x inside the head's run.
void fold_exp_sum(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
  const RowView scores = rows_of(m, op.in[0], s), p = rows_of(m, op.out[0], s);
  const float* top = array(m, op.in[1], s);
  float* l = array(m, op.out[1], s);
  const bool prefill = reduce.axis == Axis::x, fp16 = is_f16(m, op.out[0]);
  const int64_t rows = prefill ? s.params.rows : 1;
  const int64_t heads = scores.rows / rows;
  const int key_dim = static_cast<int>(m.tensor_of(op.in[0]).dims.size()) - 1;
  const Cut cut = cut_of(m, op.in[0], key_dim, reduce.axis);
  parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> own;
    float scratch = 0;
    for (int64_t h = begin; h < end; h++) {
      size_t tree_at = 0;
      if (prefill) {
        const Range run = head_run(static_cast<int>(heads), cut.positions, static_cast<int>(h));
        while (!(reduce.forest.runs[tree_at] == run)) tree_at++;
      }
      const Tree& tree = reduce.forest.trees[tree_at];
      const int64_t base = reduce.forest.runs[tree_at].begin;
      std::vector<std::vector<Range>> held;
      for (int c = 0; c < tree.size; c++) held.push_back(ranges_at(cut, scores.width, static_cast<int>(base) + c));
      own.resize(static_cast<size_t>(tree.size));
      for (int64_t t = 0; t < rows; t++) {
        const int64_t r = h * rows + t, visible = prefill ? visible_keys(s, t) : scores.width;
        exp2_row(fp16, scores.row(r), op.scale, top[r], p.row(r), visible);
        std::fill(p.row(r) + visible, p.row(r) + scores.width, 0.0f);
        for (int c = 0; c < tree.size; c++) {
          float sum = 0;
          for (const Range& range : held[static_cast<size_t>(c)])
            for (int64_t k = range.begin; k < range.end; k++) sum = sum + p.row(r)[k];
          own[static_cast<size_t>(c)] = sum;
        }
        join_rows(tree, false, own.data(), 1, &scratch);
        l[r] = own[static_cast<size_t>(tree.root)];
      }
    }
  });
  finish(m, op.out[1], l, heads * rows, false);
}

// Decode: p[heads][positions] . v_cache -> o[q_dim], own rows on each core row, then the tree along y.
void fold_weigh_rows(Machine& m, const Local& op, const Reduce& reduce, const Scope& s) {
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

void fold_local_best(Machine& m, const Local& op, const Scope& s) {
  const float* logits = array(m, op.in[0], s);
  const int64_t n = element_count(m, op.in[0], s);
  m.best = static_cast<int32_t>(std::max_element(logits, logits + n) - logits);  // the first of equals
  m.token = m.best;
}

}  // namespace

void run_local(Machine& m, const Local& op, const Scope& s) {
  switch (op.op) {
    case LocalOp::normalise: return normalise(m, op, s);
    case LocalOp::angles: return turn_angles(m, op, s);
    case LocalOp::rotate: return rotate(m, op, s);
    case LocalOp::store_rows: return store_rows(m, op, s);
    case LocalOp::row_max: return row_max(m, op, s);
    case LocalOp::divide: return divide(m, op, s);
    case LocalOp::add: return add(m, op, s);
    case LocalOp::gate_mul: return gate_mul(m, op, s);
    case LocalOp::look_up: return look_up(m, op, s);
    case LocalOp::clear:
      for (const BufferId out : op.out) std::fill_n(array(m, out, s), element_count(m, out, s), op.scale);
      return;
    case LocalOp::square_sum:
    case LocalOp::mat_vec:
    case LocalOp::row_dots:
    case LocalOp::exp_sum:
    case LocalOp::weigh_rows:
    case LocalOp::local_best:
    case LocalOp::counted:
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: break;
  }
  check_failed(__FILE__, __LINE__, "op", std::string(name(op.op)) + " stands outside its group");
}

void run_fold(Machine& m, const Step& step, const Group& group, const Scope& s) {
  const Local& first = std::get<Local>(group.body.front().what);
  if (first.op == LocalOp::mat_vec) return fold_mat_vec(m, step, group, s);
  CHECK(std::holds_alternative<Reduce>(group.body.back().what), "{} on a ring", name(first.op));
  const Reduce& reduce = std::get<Reduce>(group.body.back().what);
  switch (first.op) {
    case LocalOp::square_sum: return fold_square_sum(m, first, reduce, s);
    case LocalOp::row_dots: return fold_row_dots(m, first, reduce, s);
    case LocalOp::row_max: return fold_row_max(m, first, s);
    case LocalOp::exp_sum: return fold_exp_sum(m, first, reduce, s);
    case LocalOp::weigh_rows: return fold_weigh_rows(m, first, reduce, s);
    case LocalOp::local_best: return fold_local_best(m, first, s);
    case LocalOp::normalise:
    case LocalOp::mat_vec:
    case LocalOp::angles:
    case LocalOp::rotate:
    case LocalOp::store_rows:
    case LocalOp::divide:
    case LocalOp::add:
    case LocalOp::clear:
    case LocalOp::gate_mul:
    case LocalOp::look_up:
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t:
    case LocalOp::counted: break;
  }
  check_failed(__FILE__, __LINE__, "fold", name(first.op));
}

}  // namespace wafer::run
