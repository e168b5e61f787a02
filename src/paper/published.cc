#include "paper/published.h"

#include <array>
#include <cmath>

#include "kernels/mesh_gemm.h"
#include "kernels/reduce.h"
#include "mesh/builder.h"

namespace wafer {

using namespace mesh;
using namespace kernels;

int published_groups(int P) {
  static constexpr std::array<std::array<int, 2>, 10> kTable = {
      {{240, 15}, {300, 15}, {360, 18}, {420, 20}, {480, 20}, {512, 32}, {540, 20}, {600, 24}, {660, 22}, {720, 24}}};
  for (const auto& [side, groups] : kTable)
    if (side == P) return groups;
  int best = 1;
  for (int g = 1; g <= P; g++)
    if (P % g == 0 && std::abs(g - std::sqrt(P)) < std::abs(best - std::sqrt(P))) best = g;
  return best;
}

Tree published_tree(int P, int groups) {
  Tree t{.size = P};
  const int g = (P + groups - 1) / groups;
  Level inside;
  std::vector<int> roots;
  auto chain = [](int from, int to) {
    Chain c;
    for (int p = from; p != to; p += from < to ? 1 : -1) c.push_back(p);
    c.push_back(to);
    return c;
  };
  for (int begin = 0; begin < P; begin += g) {
    const int end = std::min(begin + g, P), root = begin + (end - begin) / 2;
    roots.push_back(root);
    if (end - 1 > root) inside.push_back(chain(end - 1, root));
    if (begin < root) inside.push_back(chain(begin, root));
  }
  const size_t middle = roots.size() / 2;
  t.root = roots[middle];
  Level between;
  const Chain above(roots.rbegin(), roots.rend() - static_cast<int64_t>(middle)),
      below(roots.begin(), roots.begin() + static_cast<int64_t>(middle) + 1);
  if (above.size() > 1) between.push_back(above);
  if (below.size() > 1) between.push_back(below);
  if (!inside.empty()) t.levels.push_back(inside);
  if (!between.empty()) t.levels.push_back(between);
  return t;
}

namespace {

// A program of one region with one phase, to which steps are added in order.
struct Writer {
  Program p;
  RegionId region{};
  PhaseId phase{};
  Steps steps{};

  Writer(const std::string& name, int P, Extent device_mesh) {
    p.name = name;
    p.numerics = Numerics::fp16;
    p.mesh = device_mesh;
    region = add_region(p, {.name = "layer", .rect = {0, 0, P, P}});
    phase = add_phase(p, "layer");
  }
  Site site() { return {p, region, phase}; }

  void counted(std::string name, Work work) { steps.push_back({.name = std::move(name), .phase = phase, .what = Opaque{std::move(work)}}); }
  // A vector of n fp16 elements on every core.
  BufferId vector(const std::string& name, int64_t n) {
    const TensorId tensor = add_tensor(p, {.name = name, .dtype = Dtype::f16, .dims = {dim("n", n)}});
    return add_buffer(p, {.name = name, .tensor = tensor, .region = region, .kind = BufferKind::partials, .phases = {phase}});
  }
  // Every operation is synchronous. The compiler loads the descriptors that the source gives directly: two an operation, on the average.
  void allreduce(const std::string& name, const ReduceLine& line, int64_t n, ReduceOp op = ReduceOp::add, int broadcast_operations = 2) {
    Step step = reduce(site(), name, line, {{.buffer = vector(name, n), .op = op}});
    std::get<Reduce>(step.what).issue = add_issue(p, {.first = {.tasks = 0, .descriptor_loads = 3, .descriptor_edits = 1},
                                                      .later = {.tasks = 0, .descriptor_loads = 2, .descriptor_edits = 0},
                                                      .broadcast_operations = broadcast_operations});
    steps.push_back(std::move(step));
  }
};

VectorWork each(int64_t count, int64_t n, VectorUnit unit) { return {.count = count, .elements = n, .unit = unit}; }
VectorWork map(int64_t count, int64_t n, VectorUnit unit) { return {.count = count, .elements = n, .unit = unit, .map = true}; }

constexpr int64_t kRewrittenColours = 5;  // rewritten one after the other at each change of axis

constexpr VectorUnit kFma = VectorUnit::multiply_add, kAdd = VectorUnit::add, kMul = VectorUnit::multiply, kMove = VectorUnit::move,
                     kMax = VectorUnit::max;

// The authors' GEMV routine: k inputs, n outputs a core.
Work gemv(int64_t k, int64_t n) { return {.descriptor_loads = 4, .descriptor_edits = 8, .vectors = {each(1, n, kMove), map(k, n, kFma)}}; }
Work rms_norm_before(int64_t d) { return {.descriptor_loads = 5, .descriptor_edits = 2, .vectors = {each(1, d, kMul), each(1, d, kAdd)}}; }
Work rms_norm_after(int64_t d) {
  return {
      .descriptor_loads = 4, .descriptor_edits = 2, .reciprocals = 2, .square_roots = 1, .vectors = {each(1, d, kMul), map(1, d, kMul)}};
}
Work rotate(int64_t d) { return {.descriptor_loads = 18, .descriptor_edits = 5, .vectors = {each(6, d / 2, kMul)}}; }

}  // namespace

PublishedTiles published_tiles(const ModelConfig& c, int P, int64_t positions) {
  refuse_experts(c);
  return {.d = padded(c.dim, P) / P, .s = padded(positions, P) / P, .f = padded(c.ffn, P) / P};
}

PublishedKernels published_kernels(const Device& device) {
  return device.published_kernels == "rewritten-routes" ? PublishedKernels::rewritten_routes : PublishedKernels::fixed_routes;
}

Program published_decode(const ModelConfig& c, int P, int groups, int64_t context, Extent device_mesh, PublishedKernels kernels) {
  const auto [d, s, f] = published_tiles(c, P, context);
  Writer w("published decode", P, device_mesh);
  const Tree tree = published_tree(P, groups);
  const ReduceLine x = add_reduce_line(w.site(), "x", Axis::x, {.runs = {{0, P}}, .trees = {tree}});
  const ReduceLine y = add_reduce_line(w.site(), "y", Axis::y, {.runs = {{0, P}}, .trees = {tree}});
  const bool rewritten = kernels == PublishedKernels::rewritten_routes;
  auto sum = [&](const std::string& name, const ReduceLine& line, int64_t n, ReduceOp op = ReduceOp::add) {
    w.allreduce(name, line, n, op, rewritten ? 1 : 2);
  };
  auto change_axis = [&](const std::string& name) {
    if (rewritten) w.counted(name, {.route_changes = kRewrittenColours});
  };
  w.counted("attn_norm.square", rms_norm_before(d));
  sum("attn_norm.sum", y, 1);
  w.counted("attn_norm", rms_norm_after(d));
  for (const char* name : {"q", "k", "v"}) w.counted(name, gemv(d, d));
  sum("qkv.sum", y, 3 * d);
  change_axis("routes_scores");
  for (const char* name : {"rope_q", "rope_k"}) w.counted(name, rotate(d));
  w.counted("scores", gemv(d, s));
  sum("scores.sum", x, s);
  w.counted("scores.scale", {.descriptor_loads = 2, .vectors = {each(1, s, kMul)}});
  change_axis("routes_softmax");
  w.counted("softmax.max", {.descriptor_loads = 2, .descriptor_edits = 2, .vectors = {each(1, s, kMax)}});
  sum("max", y, rewritten ? 1 : 2, ReduceOp::max);  // on WSE-2 unpacked: a wavelet an element
  w.counted("softmax.exp", {.descriptor_loads = 2,
                            .descriptor_edits = 2,
                            .reciprocals = s,
                            .vectors = {map(1, s, kAdd), map(3 * s, 1, kMul), each(1, s, kAdd)}});
  sum("softmax.sum", y, 1);
  w.counted("softmax.scale", {.descriptor_loads = 2, .descriptor_edits = 1, .reciprocals = 1, .vectors = {map(1, s, kMul)}});
  w.counted("values", gemv(s, d));
  sum("values.sum", y, d);
  change_axis("routes_out");
  w.counted("out", gemv(d, d));
  sum("out.sum", x, d);
  w.counted("residual_1", {.descriptor_loads = 3, .vectors = {each(1, d, kAdd)}});
  change_axis("routes_ffn");
  w.counted("ffn_norm.square", rms_norm_before(d));
  sum("ffn_norm.sum", y, 1);
  w.counted("ffn_norm", rms_norm_after(d));
  for (const char* name : {"up", "gate"}) w.counted(name, gemv(d, f));
  sum("up_gate.sum", y, 2 * f);
  w.counted("silu",
            {.descriptor_loads = 3, .reciprocals = 2 * d, .vectors = {map(6 * d, 1, kMul), each(1, f, kMul)}});  // d elements, as published
  change_axis("routes_down");
  w.counted("down", gemv(f, d));
  sum("down.sum", x, d);
  w.counted("residual_2", {.descriptor_loads = 3, .vectors = {each(1, d, kAdd)}});
  change_axis("routes_next_layer");
  w.p.entries = {{.name = "layer", .lists = {{.region = w.region, .steps = std::move(w.steps)}}}};
  return w.p;
}

Program published_prefill(const ModelConfig& c, int P, int64_t tokens, Extent device_mesh) {
  const auto [d, s, f] = published_tiles(c, P, tokens);
  Writer w("published prefill", P, device_mesh);
  const Site site = w.site();
  const Rings rings = add_rings(site, "ring", {{0, P}}, true);
  const ReduceLine line = add_reduce_line(site, "x", Axis::x, {.runs = {{0, P}}, .trees = {two_sided_chain(P, P / 2)}});
  auto matrix = [&](const std::string& name, int64_t rows, int64_t columns) {
    const TensorId tensor = add_tensor(
        w.p,
        {.name = name,
         .dtype = Dtype::f16,
         .dims = {{.name = "rows", .size = {.kind = SizeKind::fixed, .fixed = rows * P, .limit = rows * P}}, dim("columns", columns * P)}});
    return add_buffer(w.p,
                      {.name = name,
                       .tensor = tensor,
                       .region = w.region,
                       .cuts = {{.dim = 0, .axis = Axis::y, .cut = ring_cut(P, P)}, {.dim = 1, .axis = Axis::x, .cut = ring_cut(P, P)}},
                       .phases = {w.phase}});
  };
  const BufferId x = matrix("x", s, d), wd = matrix("w_dd", d, d), wdf = matrix("w_df", d, f), wfd = matrix("w_fd", f, d),
                 q = matrix("q", s, d), k = matrix("k", s, d), v = matrix("v", s, d), scores = matrix("s", s, s), h = matrix("h", s, f);
  const BufferId partial = matrix("partial", s, s);
  auto gemm = [&](const char* name, BufferId a, BufferId b, BufferId out, bool aligned) {
    w.steps.push_back(mesh_gemm(site, name, rings, {.a = a, .b = b, .c = out, .a_aligned = aligned}));
  };
  auto norm = [&](const std::string& name) {
    w.counted(name + ".square",
              {.descriptor_loads = 5, .descriptor_edits = 3, .vectors = {each(1, s * d, kMul), each(1, s, kMove), each(d, s, kAdd)}});
    w.allreduce(name + ".sum", line, s);
    w.counted(name,
              {.descriptor_loads = 5, .descriptor_edits = 2, .reciprocals = 2 * s, .square_roots = s, .vectors = {each(2 * d, s, kMul)}});
  };
  norm("attn_norm");
  gemm("q", x, wd, q, false);
  gemm("k", x, wd, k, true);
  gemm("v", x, wd, v, true);
  for (const char* name : {"rope_q", "rope_k"})
    w.counted(name, {.descriptor_loads = 14 * (d / 2), .descriptor_edits = 1 + 2 * (d / 2), .vectors = {each(6 * (d / 2), s, kMul)}});
  w.steps.push_back(gemm_t(site, "scores", rings, {.a = q, .b = k, .partial = partial, .c = scores, .heads = 1}));
  w.counted("softmax.max",
            {.descriptor_loads = 7, .descriptor_edits = 2, .vectors = {each(1, s * s, kMul), each(2, s, kMove), each(s, s, kMax)}});
  w.allreduce("max", line, 2 * s, ReduceOp::max);
  w.counted("softmax.exp",
            {.descriptor_loads = 4, .descriptor_edits = 2, .exponentials = s * s, .vectors = {each(s, s, kAdd), each(s, s, kAdd)}});
  w.allreduce("softmax.sum", line, s);
  w.counted("softmax.scale", {.descriptor_loads = 3, .descriptor_edits = 1, .reciprocals = s, .vectors = {each(s, s, kMul)}});
  gemm("values", scores, v, x, false);
  gemm("out", x, wd, q, false);
  norm("ffn_norm");
  gemm("up", x, wdf, h, false);
  gemm("gate", x, wdf, h, true);
  w.counted("silu", {.descriptor_loads = 3, .reciprocals = s * f, .exponentials = s * f, .vectors = {each(1, s * f, kMul)}});
  gemm("down", h, wfd, x, false);
  w.counted("residual", {.descriptor_loads = 3, .vectors = {each(1, s * d, kAdd)}});
  w.p.entries = {{.name = "layer", .lists = {{.region = w.region, .steps = std::move(w.steps)}}}};
  return w.p;
}

}  // namespace wafer
