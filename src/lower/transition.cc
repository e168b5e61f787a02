// From the prefill placement to the decode placement: every layer's tiles and KV, then the head, over the mesh and in place.
#include <algorithm>
#include <map>

#include "kernels/transfer.h"
#include "lower/blocks.h"
#include "mesh/builder.h"

namespace wafer::lower_blocks {

using namespace mesh;
using namespace kernels;

namespace {

std::vector<std::pair<BufferId, BufferId>> layer_pairs(const PrefillBuffers& p, const DecodeBuffers& d) {
  return {{p.w.attn_norm, d.w.attn_norm}, {p.w.q, d.w.q},       {p.w.k, d.w.k},   {p.w.v, d.w.v},       {p.w.o, d.w.o},
          {p.w.ffn_norm, d.w.ffn_norm},   {p.w.gate, d.w.gate}, {p.w.up, d.w.up}, {p.w.down, d.w.down}, {p.k_cache, d.k_cache},
          {p.v_cache, d.v_cache}};
}

}  // namespace

Entry transition(Placement& at) {
  Program& program = at.program;
  std::map<RegionId, Steps> lists;
  Entry entry{.name = "transition", .lists = {}};
  const auto once = [](std::vector<BufferId>& list, BufferId b) {
    if (std::find(list.begin(), list.end(), b) == list.end()) list.push_back(b);
  };
  auto add = [&](BufferId source, BufferId destination, int copy) {
    const Buffer &from = program.buffers[source], &to = program.buffers[destination];
    once(entry.inputs, source);
    once(entry.outputs, destination);
    const RegionId source_region = from.region, destination_region = to.region;
    const std::string name =
        "transition." + program.tensors[from.tensor].name + (from.copies > 1 || from.first_copy > 0 ? "." + std::to_string(copy) : "");
    const MoveId move =
        add_move(program, {.name = name, .kind = MoveKind::relay, .source = source, .destination = destination, .copy = copy});
    const Site out{program, source_region, at.transition_phase}, in{program, destination_region, at.transition_phase};
    lists[source_region].push_back(send(out, move, move_routes(out)));
    lists[destination_region].push_back(receive(in, move, move_routes(in)));
  };
  const auto head = [&] {
    add(at.prefill_head.embedding, at.decode_head.embedding, 0);
    if (at.prefill_head.output != at.prefill_head.embedding) add(at.prefill_head.output, at.decode_head.output, 0);
    add(at.prefill_head.norm, at.decode_head.norm, 0);
    if (!at.plan.host_choice) add(at.prefill_head.best, at.decode_head.best, 0);  // the first token to decode
  };
  const int layers = static_cast<int>(at.config.layers);
  int before_head = layers_before_head(at.plan, layers);
  for (const int layer : transition_order(at.plan, layers)) {
    if (before_head-- == 0) head();
    const PrefillBuffers& p = at.prefill[static_cast<size_t>(region_of_layer(at.plan.prefill, layer))];
    const DecodeBuffers& d = at.decode[static_cast<size_t>(region_of_layer(at.plan.decode, layer))];
    for (const auto& [source, destination] : layer_pairs(p, d)) add(source, destination, layer);
  }
  if (before_head == 0) head();
  for (auto& [region, steps] : lists) entry.lists.push_back({.region = region, .steps = std::move(steps)});
  return entry;
}

}  // namespace wafer::lower_blocks
