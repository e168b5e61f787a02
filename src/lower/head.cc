// The head region: embedding, final norm, LM head, greedy choice (docs/design.md, "Llama on the mesh"). dim lies along y, the
// vocabulary along x.
#include "kernels/reduce.h"
#include "kernels/transfer.h"
#include "lower/blocks.h"

namespace wafer::lower_blocks {

using namespace mesh;
using namespace kernels;

HeadSteps head_steps(const Site& site, const ModelConfig& c, const HeadBuffers& b, BufferId token, const Plan& plan) {
  const Extent e = extent(site);
  const ReduceLine y = add_reduce_line(site, "head.y.tree", Axis::y, line_forest(e.h, line_groups(plan, e.h)));
  const ReduceLine x = add_reduce_line(site, "head.x.tree", Axis::x, line_forest(e.w, line_groups(plan, e.w)));
  const std::vector<RouteId> relay = add_relay_routes(site, "head.row", Axis::x);

  HeadSteps s;
  s.embed_at_owner.push_back(local(site, "look_up", {.op = LocalOp::look_up, .in = {b.embedding, token}, .out = {b.x}}));
  s.embed_on_all = s.embed_at_owner;
  s.embed_on_all.push_back(multicast(site, "embedding.cast", Axis::x, b.x, relay));

  append(s.choose, norm(site, "final_norm", y, c, {.x = b.x, .ss = b.ss, .gain = b.norm, .out = b.xn}));
  s.choose.push_back(mesh_gemv(site, "logits", b.xn, {{b.output, b.logits}}, y));
  if (plan.host_choice) {
    s.choose.push_back({.name = "logits.to_host", .phase = site.phase, .what = Host{.to_host = true, .buffer = b.logits}});
  } else {
    s.choose.push_back(fold(site, "choice", {local(site, "choice.own", {.op = LocalOp::local_best, .in = {b.logits}, .out = {b.best}})}, x,
                            {{.buffer = b.best, .op = ReduceOp::best}}));
    s.choose.push_back({.name = "token.to_host", .phase = site.phase, .what = Host{.to_host = true, .buffer = b.best}});
  }
  return s;
}

}  // namespace wafer::lower_blocks
