// One layer of prefill for one chunk of tokens (paper, section 4.1). Tokens lie along y, features along x, both in ring order.
#include <cmath>

#include "kernels/mesh_gemm.h"
#include "kernels/reduce.h"
#include "lower/blocks.h"

namespace wafer::lower_blocks {

using namespace mesh;
using namespace kernels;

namespace {

Step loop(const Site& site, std::string name, LoopVar var, CountKind count, int64_t fixed, Steps body) {
  return {.name = std::move(name), .phase = site.phase, .what = Loop{.var = var, .count = count, .fixed = fixed, .body = std::move(body)}};
}

// Attention of the chunk's rows to the keys of all chunks up to its own. Two passes over the keys: first the largest score of each row,
// then weights and values. The query heads of a group go one after the other; all KV heads work at the same time, each in its run of
// columns.
Steps attention(const Site& site, const ModelConfig& c, const PrefillBuffers& b, const Plan& plan) {
  const Extent e = extent(site);
  const int kv_heads = static_cast<int>(c.kv_heads), group = static_cast<int>(c.heads / c.kv_heads),
            head_dim = static_cast<int>(c.head_dim);
  const float scale = score_scale(c);
  const std::vector<Range> runs = head_runs(kv_heads, e.w);
  const Rings rings = add_rings(site, "head.ring", runs, true);
  const ReduceLine run_line = add_reduce_line(site, "head.tree", Axis::x, run_forest(runs, plan.tree_levels));

  const Step scores =
      gemm_t(site, "scores", rings, {.a = b.q_op, .b = b.k_cache, .partial = b.partial, .c = b.s, .b_slot = b.kv_slots, .heads = kv_heads});
  Steps first_pass = {scores, local(site, "max.own", {.op = LocalOp::row_max, .in = {b.s}, .out = {b.m}, .scale = scale})};
  Steps second_pass;
  if (!plan.keep_scores) second_pass.push_back(scores);
  second_pass.push_back(fold(
      site, "softmax", {local(site, "softmax.exp", {.op = LocalOp::exp_sum, .in = {b.s, b.m}, .out = {b.p, b.l_chunk}, .scale = scale})},
      run_line, {{.buffer = b.l_chunk}}));
  second_pass.push_back(local(site, "softmax.add", {.op = LocalOp::add, .in = {b.l_chunk}, .out = {b.l}}));
  second_pass.push_back(
      mesh_gemm(site, "values", rings,
                {.a = b.p, .b = b.v_cache, .c = b.o_chunk, .b_slot = b.kv_slots, .align_b = AlignB::shifted, .heads = kv_heads}));
  second_pass.push_back(local(site, "values.add", {.op = LocalOp::add, .in = {b.o_chunk}, .out = {b.o}}));

  Steps member;
  member.push_back(local(site, "clear_max", {.op = LocalOp::clear, .out = {b.m}, .scale = -INFINITY}));
  member.push_back(loop(site, "first_pass", LoopVar::chunk, CountKind::chunks, 1, std::move(first_pass)));
  member.push_back(reduce(site, "max", run_line, {{.buffer = b.m, .op = ReduceOp::max}}));
  member.push_back(local(site, "clear_sums", {.op = LocalOp::clear, .out = {b.l, b.o}, .scale = 0.0f}));
  member.push_back(loop(site, "second_pass", LoopVar::chunk, CountKind::chunks, 1, std::move(second_pass)));
  member.push_back(local(site, "divide", {.op = LocalOp::divide, .in = {b.o, b.l}, .out = {b.o_op}, .head_dim = head_dim, .group = group}));
  return {loop(site, "members", LoopVar::member, CountKind::fixed, group, std::move(member))};
}

}  // namespace

Steps prefill_layer(const Placement& placement, Program& program, RegionId region, const PrefillBuffers& b) {
  const ModelConfig& c = placement.config;
  const Plan& plan = placement.plan;
  const Site rows{program, region, placement.prefill_phases.rows};
  const Site heads{program, region, placement.prefill_phases.attention};
  const Extent e = extent(rows);
  const int head_dim = static_cast<int>(c.head_dim);
  const ReduceLine x = add_reduce_line(rows, "x.tree", Axis::x, line_forest(e.w, even_groups(e.w, plan.tree_levels)));
  const Rings rings = add_rings(rows, "ring", {{0, e.w}}, false);

  Steps s;
  append(s, norm(rows, "attn_norm", x, c, {.x = b.x, .ss = b.ss, .gain = b.w.attn_norm, .out = b.xn}));
  s.push_back(mesh_gemm(rows, "q", rings, {.a = b.xn, .b = b.w.q, .c = b.q, .b_slot = b.b_slot}));
  s.push_back(mesh_gemm(rows, "k", rings, {.a = b.xn, .b = b.w.k, .c = b.k, .b_slot = b.b_slot, .a_aligned = true}));
  s.push_back(mesh_gemm(rows, "v", rings, {.a = b.xn, .b = b.w.v, .c = b.v, .b_slot = b.b_slot, .a_aligned = true}));
  s.push_back(local(rows, "rope_q", {.op = LocalOp::rotate, .in = {b.q, b.angles}, .out = {b.q_op}, .head_dim = head_dim}));
  s.push_back(local(rows, "rope_k", {.op = LocalOp::rotate, .in = {b.k, b.angles}, .out = {b.k_op}, .head_dim = head_dim}));
  s.push_back(local(rows, "store_k", {.op = LocalOp::store_rows, .in = {b.k_op}, .out = {b.k_cache}}));
  s.push_back(local(rows, "store_v", {.op = LocalOp::store_rows, .in = {b.v}, .out = {b.v_cache}}));
  append(s, attention(heads, c, b, plan));
  s.push_back(mesh_gemm(rows, "out", rings, {.a = b.o_op, .b = b.w.o, .c = b.h, .b_slot = b.b_slot}));
  s.push_back(local(rows, "residual_1", {.op = LocalOp::add, .in = {b.h}, .out = {b.x}}));
  append(s, norm(rows, "ffn_norm", x, c, {.x = b.x, .ss = b.ss, .gain = b.w.ffn_norm, .out = b.xn}));
  s.push_back(mesh_gemm(rows, "up", rings, {.a = b.xn, .b = b.w.up, .c = b.u, .b_slot = b.b_slot}));
  s.push_back(mesh_gemm(rows, "gate", rings, {.a = b.xn, .b = b.w.gate, .c = b.g, .b_slot = b.b_slot, .a_aligned = true}));
  s.push_back(local(rows, "silu", {.op = LocalOp::gate_mul, .in = {b.g, b.u}, .out = {b.a}}));
  s.push_back(mesh_gemm(rows, "down", rings, {.a = b.a, .b = b.w.down, .c = b.h, .b_slot = b.b_slot}));
  s.push_back(local(rows, "residual_2", {.op = LocalOp::add, .in = {b.h}, .out = {b.x}}));
  return s;
}

}  // namespace wafer::lower_blocks
