#include "search/estimate.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "time/cost.h"

namespace wafer {

using namespace mesh;

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// What the fullest core of a w x h region holds of a layer.
struct Shares {
  int64_t dim = 0;       // of the residual stream, along y
  int64_t ffn = 0;       // along x
  int64_t pairs = 0;     // rotary pairs of one head, in the narrowest run of columns
  int64_t kv_heads = 0;  // whole or in part
  int64_t group = 0;     // query heads for each
  int64_t vocab = 0;
  int run = 1;  // columns of a head

  int64_t kv() const { return kv_heads * 2 * pairs; }
  int64_t q() const { return group * kv(); }
};

Shares shares(const ModelConfig& c, Extent e) {
  CHECK(!has_experts(c), "{} experts", c.experts);
  Shares s{.dim = ceil_div(c.dim, e.h), .ffn = ceil_div(c.ffn, e.w), .group = c.heads / c.kv_heads, .vocab = ceil_div(c.vocab, e.w)};
  s.run = std::max<int>(1, e.w / static_cast<int>(c.kv_heads));
  s.kv_heads = ceil_div(c.kv_heads, e.w);
  s.pairs = ceil_div(c.head_dim / 2, s.run);
  return s;
}

struct Costs {
  const Device& device;
  Numerics numerics;
  double local(LocalOp op, const time::LocalSize& z) const { return static_cast<double>(time::local_cost(device, numerics, op, z).cycles); }
  double words(int64_t elements) const {
    return static_cast<double>(
        time::stream_cycles(device, time::wavelets(device, numerics == Numerics::fp16 ? Dtype::f16 : Dtype::f32, elements)));
  }
  double operand_words(double elements) const { return numerics == Numerics::fp32 ? elements : std::ceil(elements / 2); }
};

// The local steps of a layer that are no products, for `rows` tokens: they are the same in both phases.
double vector_steps(const Costs& c, const Shares& s, int64_t rows, int64_t dim) {
  double t = 2 * c.local(LocalOp::square_sum, {.rows = rows, .elements = rows * dim});
  t += 2 * c.local(LocalOp::normalise, {.rows = rows, .elements = rows * dim});
  t += 2 * c.local(LocalOp::add, {.elements = rows * dim});
  t += c.local(LocalOp::rotate, {.rows = rows, .elements = rows * s.q()});
  t += c.local(LocalOp::rotate, {.rows = rows, .elements = rows * s.kv()});
  t += c.local(LocalOp::divide, {.rows = rows, .heads = s.kv_heads * s.group, .dims = 2 * s.pairs});
  t += c.local(LocalOp::gate_mul, {.elements = rows * s.ffn});
  return t;
}

// One MeshGEMM on w x h cores, L = max(w, h) compute-shift steps: [rows][k] x [k][n] on a core in each of them, as one product for each
// pair of the logical tiles that lie on it.
double product(const Costs& c, Extent e, int64_t rows, double k, int64_t n) {
  const int64_t L = std::max(e.w, e.h), across = std::min(n, ceil_div(L, e.w)), down = std::min(rows, ceil_div(L, e.h));
  const time::TileRate rate = time::tile_rate(c.device, c.numerics, ceil_div(rows, down));
  const double compute = static_cast<double>(across * down) * k * static_cast<double>(rate.per_k + rate.per_kn * ceil_div(n, across));
  const double shift = c.operand_words(static_cast<double>(rows) * k) + c.operand_words(k * static_cast<double>(n));
  const double fixed =
      static_cast<double>(4 * (time::stream_issue_cycles(c.device) + c.device.task_activation_cycles) + c.device.exchange_step_cycles);
  const double stolen = 2 * shift * static_cast<double>(c.device.background_wavelet_cycles);  // by words in and out
  return static_cast<double>(L) * (fixed + std::max(compute + stolen, shift + static_cast<double>(2 * c.device.ramp_cycles + 1)));
}

// Half a turn of a ring of `steps` positions with a tile of `elements`, nothing beside it.
double alignment(const Costs& c, int64_t steps, double elements) {
  const double hop = static_cast<double>(time::stream_issue_cycles(c.device) + 2 * c.device.ramp_cycles + 2);
  return static_cast<double>(steps) / 2 * (hop + c.operand_words(elements));
}

}  // namespace

double tree_estimate(const Device& d, int cores, const std::vector<int>& groups, double words) {
  if (cores <= 1) return 0;
  const double issue = static_cast<double>(time::stream_issue_cycles(d)), ramps = static_cast<double>(2 * d.ramp_cycles);
  double cycles = 0;
  int members = cores, apart = 1;
  std::vector<int> levels = groups;
  levels.push_back(1);
  for (const int g : levels) {
    const int pieces = std::min(g, members), size = static_cast<int>(ceil_div(members, pieces));
    // Both sides chain to the middle, whose core takes in one vector after the other.
    if (size > 1) cycles += issue + words + (size / 2) * (apart + ramps + 1) + (size > 2 ? issue + words : 0);
    members = pieces;
    apart *= size;
  }
  return cycles + issue + ramps + cores / 2 + words;
}

StageEstimate decode_estimate(const ModelConfig& config, const Device& d, const Plan& trees, Extent e, int64_t position) {
  const Costs c{d, trees.numerics};
  const Shares s = shares(config, e);
  const int64_t heads = s.kv_heads * s.group, keys = ceil_div(position + 1, e.h);
  const auto y = [&](double words) { return tree_estimate(d, e.h, line_groups(trees, e.h), words); };
  const auto x = [&](double words) { return tree_estimate(d, e.w, line_groups(trees, e.w), words); };
  const auto times = [&](int64_t k, int64_t n) { return c.local(LocalOp::mat_vec, {.k = k, .n = n}); };

  StageEstimate t;
  t.layer = vector_steps(c, s, 1, s.dim) + 2 * y(1);
  t.layer += times(s.dim, s.q()) + 2 * times(s.dim, s.kv()) + y(c.words(s.q() + 2 * s.kv()));
  t.layer += c.local(LocalOp::row_dots, {.heads = heads, .keys = keys, .dims = 2 * s.pairs});
  t.layer += tree_estimate(d, s.run, even_groups(s.run, trees.tree_levels), c.words(heads * keys));
  t.layer += c.local(LocalOp::row_max, {.rows = 1, .heads = heads, .keys = keys}) + 2 * y(static_cast<double>(heads));
  t.layer += c.local(LocalOp::exp_sum, {.rows = 1, .heads = heads, .keys = keys});
  t.layer += c.local(LocalOp::weigh_rows, {.heads = heads, .keys = keys, .dims = 2 * s.pairs}) + y(c.words(s.q()));
  t.layer += times(s.q(), s.dim) + x(c.words(s.dim));
  t.layer += 2 * times(s.dim, s.ffn) + y(c.words(2 * s.ffn));
  t.layer += times(s.ffn, s.dim) + x(c.words(s.dim));
  t.head = c.local(LocalOp::angles, {.elements = 2 * s.pairs});
  t.head += times(s.dim, s.vocab) + y(1) + y(c.words(s.vocab)) + x(2) + c.local(LocalOp::local_best, {.elements = s.vocab}) + e.w * 6.0;
  t.hand_over = c.words(s.dim) * (e.w + e.h) / 4 + e.w + e.h;
  return t;
}

StageEstimate prefill_estimate(const ModelConfig& config, const Device& d, const Plan& trees, Extent e, int64_t prompt, int64_t chunk) {
  const Costs c{d, trees.numerics};
  const Shares s = shares(config, e);
  const int64_t L = std::max(e.w, e.h), Lrun = std::max<int64_t>(s.run, e.h), dim = ceil_div(config.dim, e.w);
  const int64_t chunks = ceil_div(prompt, chunk), length = std::min(prompt, chunk), rows = ceil_div(length, e.h);
  const auto over = [&](int64_t n, int64_t parts) { return static_cast<double>(n) / static_cast<double>(parts); };

  StageEstimate t;
  double layer = vector_steps(c, s, rows, dim);
  layer += product(c, e, rows, over(config.dim, L), s.q()) + 2 * product(c, e, rows, over(config.dim, L), s.kv());
  layer += product(c, e, rows, over(q_width(config), L), dim);
  layer += 2 * product(c, e, rows, over(config.dim, L), s.ffn) + product(c, e, rows, over(config.ffn, L), dim);
  // A is aligned before Q, O, up and down.
  const double tile = static_cast<double>(rows);
  layer += 2 * alignment(c, L, tile * over(config.dim, L)) + alignment(c, L, tile * over(q_width(config), L)) +
           alignment(c, L, tile * over(config.ffn, L));
  // Attention to one chunk of keys: the heads of a group one after the other.
  const int64_t keys = ceil_div(length, s.run);
  const Extent run{s.run, e.h};
  const double keys_tile = over(length, Lrun), dims = 2.0 * static_cast<double>(s.pairs);
  const double row_sum = 2 * static_cast<double>(time::stream_issue_cycles(d)) + 2 * tile * keys_tile +
                         static_cast<double>(s.run) / 2 * static_cast<double>(2 * d.ramp_cycles + 2);
  double attention = product(c, {std::max(s.run, e.h), e.h}, rows, dims, ceil_div(length, Lrun)) + static_cast<double>(Lrun) * row_sum;
  attention += product(c, run, rows, keys_tile, 2 * s.pairs) + alignment(c, Lrun, tile * keys_tile) + alignment(c, Lrun, keys_tile * dims);
  attention += c.local(LocalOp::exp_sum, {.rows = rows, .heads = 1, .keys = keys});
  attention *= static_cast<double>(s.group * s.kv_heads);
  // Chunk i attends to i + 1 chunks.
  t.layer = static_cast<double>(chunks) * layer + static_cast<double>(chunks * (chunks + 1) / 2) * attention;
  t.head = static_cast<double>(prompt) * 2 * (c.words(dim) + e.w / 4.0);
  t.head += static_cast<double>(chunks) * c.local(LocalOp::angles, {.elements = rows * 2 * s.pairs});
  t.hand_over = static_cast<double>(chunks * rows) * c.words(dim) + e.w + e.h;
  return t;
}

HeldEstimate held_estimate(const ModelConfig& config, Part part, Extent e, int64_t context) {
  Shares s = shares(config, e);
  HeldEstimate held{.head = static_cast<double>(s.dim * s.vocab * (config.tied_embedding ? 1 : 2))};
  int64_t q_rows = s.q(), ffn_rows = s.ffn, dim_columns = s.dim;  // O and down of decode run on the other axis
  if (part == Part::prefill) {
    // The core with most logical positions, each a part of all L.
    const int64_t L = std::max(e.w, e.h), across = ceil_div(L, e.w), down = ceil_div(L, e.h);
    s.dim = ceil_div(down * config.dim, L);
    s.ffn = ceil_div(across * config.ffn, L);
    q_rows = ceil_div(down * q_width(config), L);
    ffn_rows = ceil_div(down * config.ffn, L);
    dim_columns = ceil_div(across * config.dim, L);
  }
  held.layer = static_cast<double>(s.dim * (s.q() + 2 * s.kv()) + q_rows * dim_columns + 2 * s.dim * s.ffn + ffn_rows * dim_columns);
  held.cache = static_cast<double>(2 * ceil_div(context, e.h) * s.kv());
  return held;
}

}  // namespace wafer
