// Local steps of run(), on whole tensors. Formulas: docs/design.md, "Numerics".
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/scalar_math.h"
#include "mesh/operations.h"
#include "run/machine.h"
#include "run/rows.h"

namespace wafer::run {

using namespace mesh;

RowView rows_of(Machine& m, BufferId buffer, const Scope& s) {
  const size_t dims = m.tensor_of(buffer).dims.size();
  const int64_t width = dim_size(m, buffer, dims - 1, s);
  const int64_t n = element_count(m, buffer, s);
  return {array(m, buffer, s), width == 0 ? 0 : n / width, width};
}

bool of_chunk(const Machine& m, BufferId scores) { return m.tensor_of(scores).dims.size() == 3; }

int64_t keys_seen(const Machine& m, BufferId scores, const Scope& s, int64_t row) {
  if (!of_chunk(m, scores)) return dim_size(m, scores, 1, s);
  const Range keys = chunk_keys(s);
  return std::clamp<int64_t>(s.params.cached + row % s.params.rows + 1 - keys.begin, 0, keys.size());
}

namespace {

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

// (scores) -> m: joins what m holds. The largest value does not depend on an order, so cores' own maxima are joined at once.
void row_max(Machine& m, const Local& op, const Scope& s) {
  const RowView scores = rows_of(m, op.in[0], s);
  float* top = array(m, op.out[0], s);
  for (int64_t r = 0; r < scores.rows; r++)
    for (int64_t k = 0, keys = keys_seen(m, op.in[0], s, r); k < keys; k++) top[r] = std::max(top[r], scores.row(r)[k] * op.scale);
}

// p = 2^(s * scale - m), 0 where masked. Its sums are joined later.
void exp_sum(Machine& m, const Local& op, const Scope& s) {
  const RowView scores = rows_of(m, op.in[0], s), p = rows_of(m, op.out[0], s);
  const float* top = array(m, op.in[1], s);
  const bool fp16 = is_f16(m, op.out[0]);
  parallel_for(0, scores.rows, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t keys = keys_seen(m, op.in[0], s, r);
      exp2_row(fp16, scores.row(r), op.scale, top[r], p.row(r), keys);
      std::fill(p.row(r) + keys, p.row(r) + scores.width, 0.0f);
    }
  });
}

// What there is to compute at once.
void compute(Machine& m, const Local& op, const Scope& s) {
  switch (op.op) {
    case LocalOp::normalise: return normalise(m, op, s);
    case LocalOp::angles: return turn_angles(m, op, s);
    case LocalOp::rotate: return rotate(m, op, s);
    case LocalOp::store_rows: return store_rows(m, op, s);
    case LocalOp::row_max: return row_max(m, op, s);
    case LocalOp::exp_sum: return exp_sum(m, op, s);
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
    case LocalOp::weigh_rows:
    case LocalOp::local_best: return;  // when it is joined
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: check_failed(__FILE__, __LINE__, "op", std::string(name(op.op)) + " stands outside its product");
  }
}

}  // namespace

void check_operands(const Machine& m, const Step& step, std::span<const BufferId> read, std::span<const BufferId> written) {
  for (const auto& [buffer, partial] : m.partials) {
    const std::string& maker = partial.step->name;
    for (const BufferId id : read)
      CHECK(id != buffer, "{} reads the partial values of buffer {} that {} leaves", step.name, m.buffer(id).name, maker);
    const Local& op = std::get<Local>(partial.step->what);
    for (const BufferId id : written) {
      CHECK(id != buffer || (partial.joined_by == ReduceOp::max && std::holds_alternative<Local>(step.what) &&
                             std::get<Local>(step.what).op == LocalOp::row_max),
            "{} overwrites the partial values of buffer {} that {} leaves", step.name, m.buffer(id).name, maker);
      if (partial.joined_by == ReduceOp::max) continue;  // computed at once
      const TensorId tensor = m.buffer(id).tensor;
      const auto is_read = [&](const std::vector<BufferId>& ids) {
        return std::any_of(ids.begin(), ids.end(), [&](BufferId in) { return in != buffer && m.buffer(in).tensor == tensor; });
      };
      CHECK(!is_read(op.in) && !is_read(op.out), "{} writes buffer {} before what {} makes of it is joined", step.name, m.buffer(id).name,
            maker);
    }
  }
}

void run_local(Machine& m, const Step& step, const Local& op, const Scope& s) {
  check_operands(m, step, op.in, op.out);
  compute(m, op, s);
  if (const std::optional<ReduceOp> join = joined_by(op.op)) m.partials[op.out.back()] = {.step = &step, .scope = s, .joined_by = *join};
}

}  // namespace wafer::run
