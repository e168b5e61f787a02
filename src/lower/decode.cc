// One layer of decode (paper, section 4.2). Activations of width dim lie along y, whole along x; head dims and ffn lie along x, whole along
// y.
#include <cmath>

#include "kernels/reduce.h"
#include "kernels/transfer.h"
#include "lower/blocks.h"

namespace wafer::lower_blocks {

using namespace mesh;
using namespace kernels;

Steps decode_layer(const Site& site, const ModelConfig& c, const DecodeBuffers& b, const Plan& plan) {
  const Extent e = extent(site);
  const int group = static_cast<int>(c.heads / c.kv_heads), head_dim = static_cast<int>(c.head_dim);
  const float scale = score_scale(c);
  const ReduceLine y = add_reduce_line(site, "y.tree", Axis::y, line_forest(e.h, line_groups(plan, e.h)));
  const ReduceLine x = add_reduce_line(site, "x.tree", Axis::x, line_forest(e.w, line_groups(plan, e.w)));
  const ReduceLine head =
      add_reduce_line(site, "head.tree", Axis::x, run_forest(head_runs(static_cast<int>(c.kv_heads), e.w), plan.tree_levels));
  const std::vector<RouteId> kv_up = add_kv_shift_routes(site);

  Steps s;
  // x -> q, k, v
  append(s, norm(site, "attn_norm", y, c, {.x = b.x, .ss = b.ss, .gain = b.w.attn_norm, .out = b.xn}));
  s.push_back(mesh_gemv(site, "qkv", b.xn, {{b.w.q, b.q}, {b.w.k, b.k}, {b.w.v, b.v}}, y));
  s.push_back(local(site, "rope_q", {.op = LocalOp::rotate, .in = {b.q, b.angles}, .out = {b.q_op}, .head_dim = head_dim}));
  s.push_back(local(site, "rope_k", {.op = LocalOp::rotate, .in = {b.k, b.angles}, .out = {b.k_op}, .head_dim = head_dim}));
  // the cache makes room, then takes the new row
  s.push_back(kv_shift(site, "kv_shift", {b.k_cache, b.v_cache}, kv_up));
  s.push_back(local(site, "store_k", {.op = LocalOp::store_rows, .in = {b.k_op}, .out = {b.k_cache}}));
  s.push_back(local(site, "store_v", {.op = LocalOp::store_rows, .in = {b.v}, .out = {b.v_cache}}));
  // attention: own positions on every row, own dims on every column
  s.push_back(fold(site, "scores",
                   {local(site, "scores.dots",
                          {.op = LocalOp::row_dots, .in = {b.q_op, b.k_cache}, .out = {b.s}, .head_dim = head_dim, .group = group})},
                   head, {{.buffer = b.s, .op = ReduceOp::add}}));
  s.push_back(local(site, "clear_max", {.op = LocalOp::clear, .out = {b.m}, .scale = -INFINITY}));
  s.push_back(fold(site, "max", {local(site, "max.own", {.op = LocalOp::row_max, .in = {b.s}, .out = {b.m}, .scale = scale})}, y,
                   {{.buffer = b.m, .op = ReduceOp::max}}));
  s.push_back(fold(site, "softmax",
                   {local(site, "softmax.exp", {.op = LocalOp::exp_sum, .in = {b.s, b.m}, .out = {b.p, b.l}, .scale = scale})}, y,
                   {{.buffer = b.l, .op = ReduceOp::add}}));
  s.push_back(fold(site, "values",
                   {local(site, "values.weigh",
                          {.op = LocalOp::weigh_rows, .in = {b.p, b.v_cache}, .out = {b.o}, .head_dim = head_dim, .group = group})},
                   y, {{.buffer = b.o, .op = ReduceOp::add}}));
  s.push_back(local(site, "divide", {.op = LocalOp::divide, .in = {b.o, b.l}, .out = {b.o_op}, .head_dim = head_dim, .group = group}));
  s.push_back(mesh_gemv(site, "out", b.o_op, {{b.w.o, b.h}}, x));
  s.push_back(local(site, "residual_1", {.op = LocalOp::add, .in = {b.h}, .out = {b.x}}));
  // feed-forward
  append(s, norm(site, "ffn_norm", y, c, {.x = b.x, .ss = b.ss, .gain = b.w.ffn_norm, .out = b.xn}));
  s.push_back(mesh_gemv(site, "gate_up", b.xn, {{b.w.gate, b.g}, {b.w.up, b.u}}, y));
  s.push_back(local(site, "silu", {.op = LocalOp::gate_mul, .in = {b.g, b.u}, .out = {b.a}}));
  s.push_back(mesh_gemv(site, "down", b.a, {{b.w.down, b.h}}, x));
  s.push_back(local(site, "residual_2", {.op = LocalOp::add, .in = {b.h}, .out = {b.x}}));
  return s;
}

}  // namespace wafer::lower_blocks
