#include "plan/placement.h"

#include <algorithm>

#include "base/check.h"
#include "mesh/builder.h"
#include "plan/transition.h"

namespace wafer {

using namespace mesh;  // the words of a placement are the mesh's

WeightTypes uniform_types(TensorType t) { return {t, t, t, t, t, t, t, t, t}; }

int head_region(const PhasePlan& p) {
  for (size_t i = 0; i < p.regions.size(); i++)
    if (p.regions[i].head) return static_cast<int>(i);
  check_failed(__FILE__, __LINE__, "head_region", "a plan without a head region");
}

int region_of_layer(const PhasePlan& p, int layer) {
  for (size_t i = 0; i < p.regions.size(); i++)
    if (layer >= p.regions[i].first_layer && layer < p.regions[i].first_layer + p.regions[i].layers) return static_cast<int>(i);
  check_failed(__FILE__, __LINE__, "region_of_layer", "a layer without a region");
}

int layer_regions(const PhasePlan& p) {
  return static_cast<int>(std::count_if(p.regions.begin(), p.regions.end(), [](const PlacedRegion& r) { return r.layers > 0; }));
}

std::vector<int> line_groups(const Plan& plan, int cores) {
  return plan.groups.empty() ? even_groups(cores, plan.tree_levels) : plan.groups;
}

Dtype weight_dtype(TensorType t, Numerics numerics) {
  switch (t) {
    case TensorType::q8_0: return Dtype::q8_0;
    case TensorType::q4_0: return Dtype::q4_0;
    default: return numerics == Numerics::fp32 ? Dtype::f32 : Dtype::f16;
  }
}

HeadTables head_tables(const ModelConfig& c, int W) {
  const int kv = static_cast<int>(c.kv_heads);
  const int64_t group = c.heads / c.kv_heads, pairs = c.head_dim / 2;
  HeadTables t;
  t.runs = head_runs(kv, W);
  for (int x = 0; x < W; x++) {
    const Range own = heads_at(kv, W, x);
    Range own_pairs{0, pairs};
    if (W >= kv) {
      const Range run = head_run(kv, W, static_cast<int>(own.begin));
      own_pairs = part(pairs, x - run.begin, run.size());
    }
    std::vector<Range> q, k, heads, kv_heads, pair_ranges;
    for (int64_t h = own.begin; h < own.end; h++) {
      for (int64_t m = h * group; m < (h + 1) * group; m++)
        append(q, {m * c.head_dim + 2 * own_pairs.begin, m * c.head_dim + 2 * own_pairs.end});
      append(k, {h * c.head_dim + 2 * own_pairs.begin, h * c.head_dim + 2 * own_pairs.end});
    }
    append(heads, {own.begin * group, own.end * group});
    append(kv_heads, own);
    append(pair_ranges, own_pairs);
    t.q.push_back(q);
    t.kv.push_back(k);
    t.heads.push_back(heads);
    t.kv_heads.push_back(kv_heads);
    t.pairs.push_back(pair_ranges);
  }
  return t;
}

namespace {

// The dtypes of a numerics: what sums deliver, what products read.
Dtype sum_dtype(Numerics n) { return n == Numerics::fp16 ? Dtype::f16 : Dtype::f32; }
Dtype operand_dtype(Numerics n) { return n == Numerics::fp32 ? Dtype::f32 : Dtype::f16; }

struct Tensors {
  OfLayer<TensorId> w;
  TensorId turns, k_cache, v_cache, embedding, output, output_norm;
};

Tensors add_weights(Program& p, const ModelConfig& c, const WeightTypes& types, const Plan& plan) {
  const int layers = static_cast<int>(c.layers);
  const Numerics n = plan.numerics;
  auto matrix = [&](const char* name, int64_t k, int64_t outputs, TensorType type, int copies) {
    return add_tensor(p, {.name = name, .dtype = weight_dtype(type, n), .dims = {dim("in", k), dim("out", outputs)}, .copies = copies});
  };
  auto vector = [&](const char* name, int64_t size, int copies) {
    return add_tensor(p, {.name = name,
                          .dtype = operand_dtype(n) == Dtype::f32 || n == Numerics::mixed ? Dtype::f32 : Dtype::f16,
                          .dims = {dim("dim", size)},
                          .copies = copies});
  };
  Tensors t;
  t.w.attn_norm = vector("attn_norm", c.dim, layers);
  t.w.q = matrix("wq", c.dim, q_width(c), types.q, layers);
  t.w.k = matrix("wk", c.dim, kv_width(c), types.k, layers);
  t.w.v = matrix("wv", c.dim, kv_width(c), types.v, layers);
  t.w.o = matrix("wo", q_width(c), c.dim, types.o, layers);
  t.w.ffn_norm = vector("ffn_norm", c.dim, layers);
  auto experts = [&](const char* name, int64_t k, int64_t outputs, TensorType type) {
    const TensorId id = matrix(name, k, outputs, type, layers);
    if (has_experts(c)) p.tensors[id].dims.push_back(dim("experts", c.experts));
    return id;
  };
  if (has_experts(c)) t.w.router = matrix("router", c.dim, c.experts, TensorType::f16, layers);  // small: not quantised in checkpoints
  t.w.gate = experts("wgate", c.dim, c.ffn, types.gate);
  t.w.up = experts("wup", c.dim, c.ffn, types.up);
  t.w.down = experts("wdown", c.ffn, c.dim, types.down);
  t.turns = add_tensor(p, {.name = "turns", .dtype = Dtype::f32, .dims = {dim("pairs", c.head_dim / 2), dim("hi_lo", 2)}});
  for (TensorId* cache : {&t.k_cache, &t.v_cache})
    *cache = add_tensor(p, {.name = cache == &t.k_cache ? "k_cache" : "v_cache",
                            .dtype = operand_dtype(n),
                            .dims = {dim("positions", SizeKind::positions, plan.context), dim("dims", kv_width(c))},
                            .copies = layers});
  t.embedding = matrix("embedding", c.dim, c.vocab, types.embedding, 1);
  t.output = c.tied_embedding ? t.embedding : matrix("output", c.dim, c.vocab, types.output, 1);
  t.output_norm = vector("output_norm", c.dim, 1);
  return t;
}

// As a buffer lists them.
std::vector<PhaseId> in_order(std::vector<PhaseId> phases) {
  std::sort(phases.begin(), phases.end());
  return phases;
}

// Adds a tensor of activations together with its only buffer in a region.
struct Placer {
  Program& program;
  RegionId region{};
  std::string prefix;
  std::vector<PhaseId> phases{};  // where activations live unless said otherwise

  BufferId activation(const std::string& name, Dtype type, std::vector<Dim> dims, std::vector<DimCut> cuts, std::vector<PhaseId> live = {},
                      int slots = 1, int copies = 1) {
    const TensorId tensor = shared_tensor(prefix + name, type, std::move(dims), copies);
    program.tensors[tensor].copies_by = LoopVar::chunk;  // activations with several copies: scores, one for each chunk of keys
    return add_buffer(program, {.name = prefix + name,
                                .tensor = tensor,
                                .region = region,
                                .kind = BufferKind::activations,
                                .cuts = std::move(cuts),
                                .copies = copies,
                                .slots = slots,
                                .phases = in_order(live.empty() ? phases : std::move(live))});
  }

  // Regions of one phase run one after the other on the same tensor: the residual stream is one, wherever it is at the moment.
  TensorId shared_tensor(const std::string& name, Dtype type, std::vector<Dim> dims, int copies) {
    for (const TensorId id : program.tensors.ids())
      if (program.tensors[id].name == name) return id;
    return add_tensor(program, {.name = name, .dtype = type, .dims = std::move(dims), .copies = copies});
  }

  BufferId stored(const std::string& name, TensorId tensor, BufferKind kind, std::vector<DimCut> cuts, int first, int copies,
                  std::vector<PhaseId> live, int slots = 1) {
    return add_buffer(program, {.name = prefix + name,
                                .tensor = tensor,
                                .region = region,
                                .kind = kind,
                                .cuts = std::move(cuts),
                                .first_copy = first,
                                .copies = copies,
                                .slots = slots,
                                .phases = in_order(std::move(live))});
  }
};

DimCut cut(int d, Axis axis, Cut c) { return {d, axis, std::move(c)}; }

// The phases through which a region goes, in all of which it keeps what is stored.
std::vector<PhaseId> phases_of(const PlacedRegion& r, const PrefillPhases& ph) {
  std::vector<PhaseId> phases = {ph.move};
  if (r.layers > 0) phases.insert(phases.end(), {ph.rows, ph.attention});
  if (r.head) phases.push_back(ph.head);
  return phases;
}
std::vector<PhaseId> phases_of(const PlacedRegion& r, const DecodePhases& ph) {
  std::vector<PhaseId> phases = {ph.move};
  if (r.layers > 0) phases.push_back(ph.layer);
  if (r.head) phases.push_back(ph.head);
  return phases;
}

DecodeBuffers place_decode(Placer& at, const Tensors& t, const ModelConfig& c, const Plan& plan, const PlacedRegion& r,
                           const DecodePhases& ph) {
  const int W = r.rect.w, H = r.rect.h, first = r.first_layer, n = r.layers;
  const Dtype sum = sum_dtype(plan.numerics), operand = operand_dtype(plan.numerics);
  const HeadTables tables = head_tables(c, W);
  const std::vector<PhaseId> stored_phases = phases_of(r, ph);
  at.phases = {ph.layer};
  const Cut dim_y = parts_cut(H), ffn_x = parts_cut(W), q_x = table_cut(tables.q), kv_x = table_cut(tables.kv),
            heads_x = table_cut(tables.heads);
  auto weights = [&](const char* name, TensorId tensor, std::vector<DimCut> cuts) {
    return at.stored(name, tensor, BufferKind::weights, std::move(cuts), first, n, stored_phases);
  };
  DecodeBuffers b;
  b.w.attn_norm = weights("attn_norm", t.w.attn_norm, {cut(0, Axis::y, dim_y)});
  b.w.q = weights("wq", t.w.q, {cut(0, Axis::y, dim_y), cut(1, Axis::x, q_x)});
  b.w.k = weights("wk", t.w.k, {cut(0, Axis::y, dim_y), cut(1, Axis::x, kv_x)});
  b.w.v = weights("wv", t.w.v, {cut(0, Axis::y, dim_y), cut(1, Axis::x, kv_x)});
  b.w.o = weights("wo", t.w.o, {cut(0, Axis::x, q_x), cut(1, Axis::y, dim_y)});
  b.w.ffn_norm = weights("ffn_norm", t.w.ffn_norm, {cut(0, Axis::y, dim_y)});
  if (has_experts(c)) b.w.router = weights("router", t.w.router, {cut(0, Axis::y, dim_y), cut(1, Axis::x, ffn_x)});
  b.w.gate = weights("wgate", t.w.gate, {cut(0, Axis::y, dim_y), cut(1, Axis::x, ffn_x)});
  b.w.up = weights("wup", t.w.up, {cut(0, Axis::y, dim_y), cut(1, Axis::x, ffn_x)});
  b.w.down = weights("wdown", t.w.down, {cut(0, Axis::x, ffn_x), cut(1, Axis::y, dim_y)});
  b.turns = at.stored("turns", t.turns, BufferKind::weights, {cut(0, Axis::x, table_cut(tables.pairs))}, 0, 1, stored_phases);
  b.k_cache =
      at.stored("k_cache", t.k_cache, BufferKind::cache, {cut(0, Axis::y, shift_cut(H)), cut(1, Axis::x, kv_x)}, first, n, stored_phases);
  b.v_cache =
      at.stored("v_cache", t.v_cache, BufferKind::cache, {cut(0, Axis::y, shift_cut(H)), cut(1, Axis::x, kv_x)}, first, n, stored_phases);

  const Dim d = dim("dim", c.dim), qd = dim("q", q_width(c)), kd = dim("kv", kv_width(c)), f = dim("ffn", c.ffn),
            hd = dim("heads", c.heads);
  const Dim keys = dim("keys", SizeKind::positions, plan.context);
  b.angles = at.activation("angles", Dtype::f32, {dim("pairs", c.head_dim / 2), dim("sin_cos", 2)},
                           {cut(0, Axis::x, table_cut(tables.pairs))}, {ph.layer, ph.move});
  b.x = at.activation("x", sum, {d}, {cut(0, Axis::y, dim_y)}, {ph.layer, ph.move});
  b.ss = at.activation("ss", Dtype::f32, {dim("one", 1)}, {});
  b.xn = at.activation("xn", operand, {d}, {cut(0, Axis::y, dim_y)});
  b.q = at.activation("q", sum, {qd}, {cut(0, Axis::x, q_x)});
  b.k = at.activation("k", sum, {kd}, {cut(0, Axis::x, kv_x)});
  b.v = at.activation("v", sum, {kd}, {cut(0, Axis::x, kv_x)});
  b.q_op = at.activation("q_op", operand, {qd}, {cut(0, Axis::x, q_x)});
  b.k_op = at.activation("k_op", operand, {kd}, {cut(0, Axis::x, kv_x)});
  b.s = at.activation("s", sum, {hd, keys}, {cut(0, Axis::x, heads_x), cut(1, Axis::y, shift_cut(H))});
  b.m = at.activation("m", Dtype::f32, {hd}, {cut(0, Axis::x, heads_x)});
  b.l = at.activation("l", Dtype::f32, {hd}, {cut(0, Axis::x, heads_x)});
  b.p = at.activation("p", operand, {hd, keys}, {cut(0, Axis::x, heads_x), cut(1, Axis::y, shift_cut(H))});
  b.o = at.activation("o", sum, {qd}, {cut(0, Axis::x, q_x)});
  b.o_op = at.activation("o_op", operand, {qd}, {cut(0, Axis::x, q_x)});
  b.h = at.activation("h", sum, {d}, {cut(0, Axis::y, dim_y)});
  std::vector<Dim> inner = {f};
  if (has_experts(c)) {
    inner.push_back(dim("experts_used", c.experts_used));
    b.router = at.activation("router_out", sum, {dim("experts", c.experts)}, {});
  }
  b.g = at.activation("g", sum, inner, {cut(0, Axis::x, ffn_x)});
  b.u = at.activation("u", sum, inner, {cut(0, Axis::x, ffn_x)});
  b.a = at.activation("a", operand, inner, {cut(0, Axis::x, ffn_x)});
  return b;
}

// W_O in prefill: its inputs lie along y in the order in which A's columns (the head runs) are logical positions along x.
Cut o_input_cut(const HeadTables& tables, int W, int H, int64_t q_dim) {
  const int L = std::max(W, H);
  const auto tiles = logical_tiles(table_cut(tables.q), q_dim, L);
  std::vector<std::vector<Range>> rows(static_cast<size_t>(H));
  for (int c = 0; c < H; c++) {
    const Range l = logical_positions(c, H, L);
    for (int64_t i = l.begin; i < l.end; i++)
      for (const Range& r : tiles[static_cast<size_t>(i)]) append(rows[static_cast<size_t>(ring_to_position(c, H))], r);
  }
  return table_cut(std::move(rows));
}

// Bytes of one copy of a matrix on the core that holds most of it: where both of its cuts give most.
int64_t fullest_tile(const Program& p, BufferId buffer) {
  const Buffer& b = p.buffers[buffer];
  const Tensor& t = p.tensors[b.tensor];
  int64_t n = 1;
  for (const DimCut& c : b.cuts) {
    int64_t most = 0;
    for (int at = 0; at < c.cut.positions; at++) most = std::max(most, count_at(c.cut, t.dims[static_cast<size_t>(c.dim)].size.limit, at));
    n *= most;
  }
  return bytes(t.dtype, n);
}

PrefillBuffers place_prefill(Placer& at, const Tensors& t, const ModelConfig& c, const Plan& plan, const PlacedRegion& r,
                             const PrefillPhases& ph) {
  const int W = r.rect.w, H = r.rect.h, L = std::max(W, H), first = r.first_layer, n = r.layers;
  const Dtype sum = sum_dtype(plan.numerics), operand = operand_dtype(plan.numerics);
  const HeadTables tables = head_tables(c, W);
  const Cut ring_y = ring_cut(H, L), ring_x = ring_cut(W, L), q_x = table_cut(tables.q), kv_x = table_cut(tables.kv),
            kv_heads_x = table_cut(tables.kv_heads);
  const Cut keys_y = chunks_cut(H, L, plan.chunk);
  Cut keys_x{.kind = CutKind::runs, .positions = W, .other_side = H, .other_logical = L};
  keys_x.run_positions = tables.runs;
  const std::vector<PhaseId> all = phases_of(r, ph), attention = {ph.attention}, rows_only = {ph.rows};
  auto weights = [&](const char* name, TensorId tensor, std::vector<DimCut> cuts) {
    return at.stored(name, tensor, BufferKind::weights, std::move(cuts), first, n, all);
  };
  // The tile that arrives while the other one is multiplied.
  auto staging = [&](const char* name, TensorId tensor, std::vector<DimCut> cuts, const std::vector<PhaseId>& live) {
    const BufferId id = at.stored(name, tensor, BufferKind::staging, std::move(cuts), first, std::min(1, n), live);
    at.program.buffers[id].limits = staged_limits(at.program.tensors[tensor]);
    return id;
  };
  PrefillBuffers b;
  b.w.attn_norm = weights("attn_norm", t.w.attn_norm, {cut(0, Axis::x, ring_x)});
  b.w.q = weights("wq", t.w.q, {cut(0, Axis::y, ring_y), cut(1, Axis::x, q_x)});
  b.w.k = weights("wk", t.w.k, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)});
  b.w.v = weights("wv", t.w.v, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)});
  b.w.o = weights("wo", t.w.o, {cut(0, Axis::y, o_input_cut(tables, W, H, q_width(c))), cut(1, Axis::x, ring_x)});
  b.w.ffn_norm = weights("ffn_norm", t.w.ffn_norm, {cut(0, Axis::x, ring_x)});
  if (has_experts(c)) b.w.router = weights("router", t.w.router, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)});
  b.w.gate = weights("wgate", t.w.gate, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)});
  b.w.up = weights("wup", t.w.up, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)});
  b.w.down = weights("wdown", t.w.down, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)});
  // As large as the largest tile of any B, on whichever core that is.
  BufferId widest = b.w.q;
  for (const BufferId w : {b.w.k, b.w.v, b.w.o, b.w.gate, b.w.up, b.w.down})
    if (fullest_tile(at.program, w) > fullest_tile(at.program, widest)) widest = w;
  const Buffer of = at.program.buffers[widest];
  b.b_slot = staging("b_slot", of.tensor, of.cuts, rows_only);
  b.turns = at.stored("turns", t.turns, BufferKind::weights, {cut(0, Axis::x, table_cut(tables.pairs))}, 0, 1, all);
  // During prefill the caches hold prompts only.
  auto cache = [&](const char* name, TensorId tensor) {
    const BufferId id = at.stored(name, tensor, BufferKind::cache, {cut(0, Axis::y, keys_y), cut(1, Axis::x, kv_x)}, first, n, all);
    at.program.buffers[id].limits = {plan.max_prompt, kv_width(c)};
    return id;
  };
  b.k_cache = cache("k_cache", t.k_cache);
  b.v_cache = cache("v_cache", t.v_cache);

  const Dim rows = dim("rows", SizeKind::rows, plan.chunk), keys = dim("keys", SizeKind::keys, plan.chunk);
  const Dim d = dim("dim", c.dim), qd = dim("q", q_width(c)), kd = dim("kv", kv_width(c)), f = dim("ffn", c.ffn),
            kvh = dim("kv_heads", c.kv_heads);
  const int score_copies = plan.keep_scores ? static_cast<int>(std::max<int64_t>(1, (plan.max_prompt + plan.chunk - 1) / plan.chunk)) : 1;
  // Turned before the head looks rows up; attention comes between two layers.
  std::vector<PhaseId> angle_phases = {ph.rows, ph.move};
  if (n > 1) angle_phases.push_back(ph.attention);
  if (r.head) angle_phases.push_back(ph.head);
  b.angles = at.activation("angles", Dtype::f32, {rows, dim("pairs", c.head_dim / 2), dim("sin_cos", 2)},
                           {cut(0, Axis::y, ring_y), cut(1, Axis::x, table_cut(tables.pairs))}, std::move(angle_phases));
  // The head looks a row up while those before it lie here already, or is asked for another row of the last layer's.
  const bool first_rows = first == 0 && std::min(plan.chunk, plan.max_prompt) > 1, last_rows = first + n == c.layers;
  std::vector<PhaseId> residual = {ph.rows, ph.attention, ph.move};
  if (r.head && (first_rows || last_rows)) residual.push_back(ph.head);
  b.x = at.activation("x", sum, {rows, d}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)}, std::move(residual));
  b.ss = at.activation("ss", Dtype::f32, {rows}, {cut(0, Axis::y, ring_y)}, rows_only);
  b.xn = at.activation("xn", operand, {rows, d}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)}, rows_only, 2);
  b.q = at.activation("q", sum, {rows, qd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, q_x)}, rows_only);
  b.k = at.activation("k", sum, {rows, kd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)}, rows_only);
  b.v = at.activation("v", sum, {rows, kd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)}, rows_only);
  b.q_op = at.activation("q_op", operand, {rows, qd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, q_x)}, {ph.rows, ph.attention});
  b.k_op = at.activation("k_op", operand, {rows, kd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)}, rows_only);
  // K and V tiles travel along y: the arriving one beside the current one.
  b.kv_slots = at.activation("kv_slots", operand, {keys, kd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)}, attention, 2);
  b.s = at.activation("s", sum, {kvh, rows, keys}, {cut(0, Axis::x, kv_heads_x), cut(1, Axis::y, ring_y), cut(2, Axis::x, keys_x)},
                      attention, 1, score_copies);
  b.partial = at.activation("s_partial", sum, {kvh, rows, keys},
                            {cut(0, Axis::x, kv_heads_x), cut(1, Axis::y, ring_y), cut(2, Axis::x, keys_x)}, attention);
  b.m = at.activation("m", Dtype::f32, {kvh, rows}, {cut(0, Axis::x, kv_heads_x), cut(1, Axis::y, ring_y)}, attention);
  b.l = at.activation("l", Dtype::f32, {kvh, rows}, {cut(0, Axis::x, kv_heads_x), cut(1, Axis::y, ring_y)}, attention);
  b.l_chunk = at.activation("l_chunk", Dtype::f32, {kvh, rows}, {cut(0, Axis::x, kv_heads_x), cut(1, Axis::y, ring_y)}, attention);
  b.p = at.activation("p", operand, {kvh, rows, keys}, {cut(0, Axis::x, kv_heads_x), cut(1, Axis::y, ring_y), cut(2, Axis::x, keys_x)},
                      attention, 2);
  b.o = at.activation("o", sum, {rows, kd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)}, attention);
  b.o_chunk = at.activation("o_chunk", sum, {rows, kd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, kv_x)}, attention);
  b.o_op = at.activation("o_op", operand, {rows, qd}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, q_x)}, {ph.rows, ph.attention}, 2);
  b.h = at.activation("h", sum, {rows, d}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)}, rows_only);
  if (has_experts(c)) b.router = at.activation("router_out", sum, {rows, dim("experts", c.experts)}, {cut(0, Axis::y, ring_y)}, rows_only);
  b.g = at.activation("g", sum, {rows, f}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)}, rows_only);
  b.u = at.activation("u", sum, {rows, f}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)}, rows_only);
  b.a = at.activation("a", operand, {rows, f}, {cut(0, Axis::y, ring_y), cut(1, Axis::x, ring_x)}, rows_only, 2);
  return b;
}

HeadBuffers place_head(Placer& at, const Tensors& t, const ModelConfig& c, const Plan& plan, const PlacedRegion& r,
                       const std::vector<PhaseId>& stored_phases, PhaseId head, PhaseId move, PhaseId transition, bool host_token) {
  const int W = r.rect.w, H = r.rect.h;
  const Cut dim_y = parts_cut(H), vocab_x = parts_cut(W);
  const Dtype sum = sum_dtype(plan.numerics);
  HeadBuffers b;
  b.embedding =
      at.stored("embedding", t.embedding, BufferKind::weights, {cut(0, Axis::y, dim_y), cut(1, Axis::x, vocab_x)}, 0, 1, stored_phases);
  b.output = c.tied_embedding ? b.embedding
                              : at.stored("output", t.output, BufferKind::weights, {cut(0, Axis::y, dim_y), cut(1, Axis::x, vocab_x)}, 0, 1,
                                          stored_phases);
  b.norm = at.stored("output_norm", t.output_norm, BufferKind::weights, {cut(0, Axis::y, dim_y)}, 0, 1, stored_phases);
  const std::vector<PhaseId> live = {head};
  if (host_token) b.token = at.activation("token", Dtype::i32, {dim("one", 1)}, {}, live);
  b.x = at.activation("head_x", sum, {dim("dim", c.dim)}, {cut(0, Axis::y, dim_y)}, {head, move});
  b.ss = at.activation("head_ss", Dtype::f32, {dim("one", 1)}, {}, live);
  b.xn = at.activation("head_xn", operand_dtype(plan.numerics), {dim("dim", c.dim)}, {cut(0, Axis::y, dim_y)}, live);
  b.logits = at.activation("logits", sum, {dim("vocab", c.vocab)}, {cut(0, Axis::x, vocab_x)}, live);
  // The choice is the next token to embed, and the transition takes the first one along.
  if (!plan.host_choice) b.best = at.activation("best", Dtype::best, {dim("one", 1)}, {}, {head, transition});
  return b;
}

}  // namespace

Placement place(const ModelConfig& config, const WeightTypes& types, const Plan& plan, Extent device_mesh) {
  CHECK(plan.chunk >= 1 && plan.context >= 1, "chunk {}, context {}", plan.chunk, plan.context);
  Placement out{.config = config, .plan = plan};
  Program& p = out.program;
  p.name = config.name;
  p.numerics = plan.numerics;
  p.mesh = device_mesh;
  out.prefill_phases = {add_phase(p, "prefill.rows"), add_phase(p, "prefill.attention"), add_phase(p, "prefill.head"),
                        add_phase(p, "prefill.move")};
  out.transition_phase = add_phase(p, "transition");
  out.decode_phases = {add_phase(p, "decode.layer"), add_phase(p, "decode.head"), add_phase(p, "decode.move")};
  const Tensors tensors = add_weights(p, config, types, plan);

  const PrefillPhases& pp = out.prefill_phases;
  for (size_t i = 0; i < plan.prefill.regions.size(); i++) {
    const PlacedRegion& r = plan.prefill.regions[i];
    const RegionId region = add_region(p, {.name = "prefill." + std::to_string(i), .rect = r.rect});
    out.prefill_regions.push_back(region);
    Placer at{.program = p, .region = region, .prefix = "prefill."};
    out.prefill.push_back(r.layers > 0 ? place_prefill(at, tensors, config, plan, r, pp) : PrefillBuffers{});
    if (r.head) out.prefill_head = place_head(at, tensors, config, plan, r, phases_of(r, pp), pp.head, pp.move, out.transition_phase, true);
  }
  const DecodePhases& dp = out.decode_phases;
  for (size_t i = 0; i < plan.decode.regions.size(); i++) {
    const PlacedRegion& r = plan.decode.regions[i];
    const RegionId region = add_region(p, {.name = "decode." + std::to_string(i), .rect = r.rect});
    out.decode_regions.push_back(region);
    Placer at{.program = p, .region = region, .prefix = "decode."};
    out.decode.push_back(r.layers > 0 ? place_decode(at, tensors, config, plan, r, dp) : DecodeBuffers{});
    if (r.head)
      out.decode_head =
          place_head(at, tensors, config, plan, r, phases_of(r, dp), dp.head, dp.move, out.transition_phase, plan.host_choice);
  }
  place_transition(p, out, plan);
  return out;
}

}  // namespace wafer
