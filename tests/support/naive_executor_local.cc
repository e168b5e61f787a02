// The local steps: what one core computes from what it holds. Formulas of mesh/program.h, LocalOp.
#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "base/scalar_math.h"
#include "support/naive_executor_state.h"

namespace wafer::naive {
namespace {

// The operands of one core in a local step.
struct Core {
  State& state;
  const Local& op;
  const Context& context;
  int x = 0, y = 0;
  std::vector<CoreTile> in, out;
};

void square_sum(Core& c) {
  const CoreTile& x = c.in[0];
  for (int64_t r : x.own_rows()) {
    float sum = 0;
    for (int64_t i : x.own.back()) sum = fma(x.read_row(r, i), x.read_row(r, i), sum);
    c.out[0].write({r}, sum);
  }
}

void normalise(Core& c) {
  const CoreTile &x = c.in[0], &sums = c.in[1], &gain = c.in[2];
  for (int64_t row : c.out[0].own_rows()) {
    const float mean = sums.read({row}) / static_cast<float>(c.op.size);
    const float r = rsqrt_f32(mean + c.op.epsilon);
    for (int64_t i : c.out[0].own.back()) {
      const float scaled = x.read_row(row, i) * r;
      c.out[0].write_row(row, i, scaled * gain.read({i}));
    }
  }
}

void mat_vec(Core& c) {
  const CoreTile &w = c.in[0], &x = c.in[1];
  const std::vector<int64_t>& ks = w.own[0];
  for (int64_t n : c.out[0].own[0]) {
    const auto weight = [&](size_t i) -> const Element& { return w.element({ks[i], n}); };
    const auto input = [&](size_t i) { return x.read({ks[i]}); };
    c.out[0].write({n}, dot(c.state, ks, weight, input, 0.0f));
  }
}

// Angles of decode are [pairs][2], of prefill [rows][pairs][2].
void turn_angles(Core& c) {
  const CoreTile& turns = c.in[0];
  CoreTile& out = c.out[0];
  const int64_t cached = c.context.params.cached;
  const bool rows = out.own.size() == 3;
  for (int64_t pair : turns.own[0]) {
    const auto angle = [&](int64_t row) {
      return sincos_turns(static_cast<float>(cached + row), turns.read({pair, 0}), turns.read({pair, 1}));
    };
    if (!rows) {
      out.write({pair, 0}, angle(0).sin);
      out.write({pair, 1}, angle(0).cos);
      continue;
    }
    for (int64_t row : out.own[0]) {
      out.write({row, pair, 0}, angle(row).sin);
      out.write({row, pair, 1}, angle(row).cos);
    }
  }
}

void rotate(Core& c) {
  const CoreTile &in = c.in[0], &angles = c.in[1];
  CoreTile& out = c.out[0];
  for (int64_t row : out.own_rows()) {
    for (int64_t i : out.own.back()) {
      if (i % 2 != 0) continue;
      const int64_t pair = i % c.op.head_dim / 2;
      const bool rows = angles.own.size() == 3;
      const float sin = rows ? angles.read({row, pair, 0}) : angles.read({pair, 0});
      const float cos = rows ? angles.read({row, pair, 1}) : angles.read({pair, 1});
      const float a = in.read_row(row, i), b = in.read_row(row, i + 1);
      const float b_sin = b * sin, b_cos = b * cos;
      out.write_row(row, i, fma(a, cos, -b_sin));
      out.write_row(row, i + 1, fma(a, sin, b_cos));
    }
  }
}

void store_rows(Core& c) {
  const CoreTile& in = c.in[0];
  CoreTile& cache = c.out[0];
  const int64_t cached = c.context.params.cached;
  if (cached == 0) cache.holding.clear();  // of an earlier prompt
  for (int64_t position : cache.own[0])
    if (position >= cached)
      for (int64_t i : cache.own[1]) cache.write({position, i}, in.read_row(position - cached, i));
}

void row_dots(Core& c) {
  const CoreTile &q = c.in[0], &keys = c.in[1];
  for (int64_t h : c.out[0].own[0])
    for (int64_t t : c.out[0].own[1]) {
      float s = 0;
      for (int64_t i : q.own[0])
        if (i / c.op.head_dim == h)
          s = multiply_add(c.state, q.read({i}), keys.read({t, h / c.op.group * c.op.head_dim + i % c.op.head_dim}), s);
      c.out[0].write({h, t}, s);
    }
}

// Scores of prefill are [kv_heads][rows][keys of the chunk], of decode [heads][keys].
bool is_prefill(const CoreTile& scores) { return scores.sizes.size() == 3; }

float score(const CoreTile& s, int64_t h, int64_t row, int64_t key) { return is_prefill(s) ? s.read({h, row, key}) : s.read({h, key}); }

bool masked(const Core& c, const CoreTile& s, int64_t row, int64_t key) {
  return is_prefill(s) && c.context.chunk * c.context.params.chunk + key > c.context.params.cached + row;
}

template <class RowOfHead>
void for_heads_and_rows(const CoreTile& s, RowOfHead f) {
  for (int64_t h : s.own[0]) {
    if (!is_prefill(s)) {
      f(h, 0);
      continue;
    }
    for (int64_t row : s.own[1]) f(h, row);
  }
}

void row_max(Core& c) {
  const CoreTile& s = c.in[0];
  CoreTile& m = c.out[0];
  for_heads_and_rows(s, [&](int64_t h, int64_t row) {
    float max = is_prefill(s) ? m.read({h, row}) : m.read({h});
    for (int64_t key : s.own.back()) {
      if (masked(c, s, row, key)) continue;
      const float v = score(s, h, row, key) * c.op.scale;
      if (v > max) max = v;
    }
    is_prefill(s) ? m.write({h, row}, max) : m.write({h}, max);
  });
}

void exp_sum(Core& c) {
  const CoreTile &s = c.in[0], &m = c.in[1];
  CoreTile &p = c.out[0], &l = c.out[1];
  const Dtype operand = c.state.tensor(p.buffer).dtype;
  for_heads_and_rows(s, [&](int64_t h, int64_t row) {
    const float max = is_prefill(s) ? m.read({h, row}) : m.read({h});
    float sum = 0;
    for (int64_t key : s.own.back()) {
      const float scaled = score(s, h, row, key) * c.op.scale;
      const float weight = masked(c, s, row, key) ? 0.0f : rounded(operand, exp2_f32(scaled - max));
      is_prefill(s) ? p.write({h, row, key}, weight) : p.write({h, key}, weight);
      sum = sum + weight;
    }
    is_prefill(s) ? l.write({h, row}, sum) : l.write({h}, sum);
  });
}

void weigh_rows(Core& c) {
  const CoreTile &p = c.in[0], &values = c.in[1];
  for (int64_t i : c.out[0].own[0]) {
    const int64_t h = i / c.op.head_dim;
    float o = 0;
    for (int64_t t : values.own[0])
      o = multiply_add(c.state, p.read({h, t}), values.read({t, h / c.op.group * c.op.head_dim + i % c.op.head_dim}), o);
    c.out[0].write({i}, o);
  }
}

void divide(Core& c) {
  const CoreTile &o = c.in[0], &l = c.in[1];
  CoreTile& out = c.out[0];
  if (!o.has_rows()) {
    for (int64_t i : out.own[0]) out.write({i}, o.read({i}) * reciprocal_f32(l.read({i / c.op.head_dim})));
    return;
  }
  for (int64_t row : o.own[0])
    for (int64_t i : o.own[1]) {
      const int64_t h = i / c.op.head_dim, to = h * c.op.group + c.context.member;
      out.write({row, to * c.op.head_dim + i % c.op.head_dim}, o.read({row, i}) * reciprocal_f32(l.read({h, row})));
    }
}

template <class F>
void for_own(const CoreTile& t, F f) {
  if (t.sizes.size() == 1) {
    for (int64_t i : t.own[0]) f({i});
  } else {
    for (int64_t i : t.own[0])
      for (int64_t j : t.own[1]) f({i, j});
  }
}

void add(Core& c) {
  for_own(c.out[0], [&](std::initializer_list<int64_t> i) { c.out[0].write(i, c.out[0].read(i) + c.in[0].read(i)); });
}

void clear(Core& c) {
  for (CoreTile& out : c.out) for_own(out, [&](std::initializer_list<int64_t> i) { out.write(i, c.op.scale); });
}

void gate_mul(Core& c) {
  for_own(c.out[0], [&](std::initializer_list<int64_t> i) {
    const float silu = silu_f32(c.in[0].read(i));
    c.out[0].write(i, silu * c.in[1].read(i));
  });
}

void local_best(Core& c) {
  const CoreTile& logits = c.in[0];
  float best = -INFINITY, index = INFINITY;
  for (int64_t i : logits.own[0]) {
    const float v = logits.read({i});
    if (v > best || (v == best && static_cast<float>(i) < index)) {
      best = v;
      index = static_cast<float>(i);
    }
  }
  c.out[0].holding.put(0, {.value = best, .scale = index});
}

void look_up(Core& c) {
  const CoreTile& table = c.in[0];
  const Element& id = c.in[1].element({0});
  const int64_t token = static_cast<int64_t>(c.state.tensor(c.in[1].buffer).dtype == Dtype::best ? id.scale : id.value);
  if (std::find(table.own[1].begin(), table.own[1].end(), token) == table.own[1].end()) return;
  for (int64_t i : c.out[0].own[0]) {
    const Element& e = table.element({i, token});
    c.out[0].write({i}, e.quantised ? e.scale * e.value : e.value);
  }
}

void dispatch(Core& c) {
  switch (c.op.op) {
    case LocalOp::square_sum: return square_sum(c);
    case LocalOp::normalise: return normalise(c);
    case LocalOp::mat_vec: return mat_vec(c);
    case LocalOp::angles: return turn_angles(c);
    case LocalOp::rotate: return rotate(c);
    case LocalOp::store_rows: return store_rows(c);
    case LocalOp::row_dots: return row_dots(c);
    case LocalOp::row_max: return row_max(c);
    case LocalOp::exp_sum: return exp_sum(c);
    case LocalOp::weigh_rows: return weigh_rows(c);
    case LocalOp::divide: return divide(c);
    case LocalOp::add: return add(c);
    case LocalOp::clear: return clear(c);
    case LocalOp::gate_mul: return gate_mul(c);
    case LocalOp::local_best: return local_best(c);
    case LocalOp::look_up: return look_up(c);
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: c.state.fail("a tile product outside its group");
  }
}

// Steps that add to what `out` holds, or write a part of it.
bool keeps_out(const Core& c) {
  switch (c.op.op) {
    case LocalOp::store_rows:
    case LocalOp::row_max:
    case LocalOp::add: return true;
    case LocalOp::divide: return c.context.member > 0;
    default: return false;
  }
}

bool writes_all(const Core& c) {
  return c.op.op != LocalOp::look_up && (c.op.op != LocalOp::divide || c.context.member == c.op.group - 1 || !c.in[0].has_rows());
}

}  // namespace

void run_local(State& state, const Local& op, RegionId region, const Context& context) {
  const Rect r = state.rect(region);
  for (const BufferId b : op.in)
    if (state.aligned[b]) state.fail(fmt::format("buffer {} is read where its tiles lie aligned for a product", state.buffer(b).name));
  for (const BufferId b : op.in) check_replicas(state, b, context);
  for (const BufferId b : op.out) state.aligned[b] = false;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) {
      Core core{.state = state, .op = op, .context = context, .x = x, .y = y, .in = {}, .out = {}};
      for (const BufferId b : op.in) core.in.push_back(core_tile(state, b, x, y, context));
      for (const BufferId b : op.out) core.out.push_back(core_tile(state, b, x, y, context));
      if (!keeps_out(core))
        for (CoreTile& out : core.out) out.holding.clear();
      dispatch(core);
      if (writes_all(core))
        for (const CoreTile& out : core.out) out.check_complete();
    }
}

}  // namespace wafer::naive
