#include "plan/transition.h"

#include <algorithm>
#include <numeric>

#include "mesh/builder.h"

namespace wafer {

using namespace mesh;

// In turn: each region, of the phase with more of them, is as far with its own layers as all others. A core then holds about the same parts
// of what it holds before and of what it holds after, and so no more than the larger of the two.
std::vector<int> transition_order(const Plan& plan, int layers) {
  std::vector<int> order(static_cast<size_t>(layers));
  std::iota(order.begin(), order.end(), 0);
  if (!plan.regions_in_turn) return order;
  const PhasePlan& more = layer_regions(plan.prefill) > layer_regions(plan.decode) ? plan.prefill : plan.decode;
  const auto done = [&](int layer) {  // of its region's layers, when it moves
    const PlacedRegion& r = more.regions[static_cast<size_t>(region_of_layer(more, layer))];
    return static_cast<double>(layer - r.first_layer) / r.layers;
  };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return done(a) < done(b); });
  return order;
}

// In turn: after a quarter, when the head's region has lost a quarter of what it had and the others have not yet got much of theirs.
int layers_before_head(const Plan& plan, int layers) { return plan.regions_in_turn ? layers / 4 : layers; }

std::vector<int64_t> staged_limits(const Tensor& weights) {
  if (weights.dims.size() < 3) return {};
  return {weights.dims[0].size.limit, weights.dims[1].size.limit, 1};
}

namespace {

// The tensors of a layer as they move in the transition: one list after the other.
template <class Buffers>
std::vector<std::vector<BufferId>> moved_in_turn(const Buffers& b) {
  return {{b.w.attn_norm, b.w.router, b.w.q},
          {b.w.k},
          {b.w.v},
          {b.w.o},
          {b.w.ffn_norm, b.w.gate},
          {b.w.up},
          {b.w.down},
          {b.k_cache},
          {b.v_cache}};
}

}  // namespace

void place_transition(Program& p, const Placement& at, const Plan& plan) {
  const PhaseId transition = at.transition_phase;
  const size_t tensors = moved_in_turn(DecodeBuffers{}).size();
  const int layers = static_cast<int>(at.config.layers), steps = plan.regions_in_turn ? static_cast<int>(tensors) : 1;
  p.phases[transition].moments = layers * steps + 1;
  std::vector<int> first_moment(static_cast<size_t>(layers));
  const int before_head = layers_before_head(plan, layers), head_moment = steps * before_head;
  int moved = 0;
  for (const int layer : transition_order(plan, layers)) {
    first_moment[static_cast<size_t>(layer)] = steps * moved + (moved < before_head ? 0 : 1);
    moved++;
  }
  const auto moments = [&](const PlacedRegion& r, size_t tensor) {
    std::vector<int> out;
    for (int l = r.first_layer; l < r.first_layer + r.layers; l++)
      out.push_back(first_moment[static_cast<size_t>(l)] + std::min(static_cast<int>(tensor), steps - 1));
    return out;
  };
  const auto moves = [&](BufferId id, PhaseId Buffer::*when, std::vector<int> at_moments) {
    if (!id.exists()) return;  // dense models have no router, a phase that is looked at by itself no head
    p.buffers[id].*when = transition;
    p.buffers[id].moments = std::move(at_moments);
  };
  const auto layer_moves = [&](const auto& buffers, const PlacedRegion& r, PhaseId Buffer::*when) {
    const auto lists = moved_in_turn(buffers);
    for (size_t t = 0; t < tensors; t++)
      for (const BufferId id : lists[t]) moves(id, when, moments(r, t));
  };
  const auto head_moves = [&](const HeadBuffers& b, PhaseId Buffer::*when) {
    for (const BufferId id : {b.embedding, b.output, b.norm}) moves(id, when, {head_moment});
  };
  for (size_t r = 0; r < at.prefill.size(); r++)
    if (plan.prefill.regions[r].layers > 0) layer_moves(at.prefill[r], plan.prefill.regions[r], &Buffer::leaves_in);
  for (size_t r = 0; r < at.decode.size(); r++) {
    const PlacedRegion& region = plan.decode.regions[r];
    if (region.layers == 0) continue;
    layer_moves(at.decode[r], region, &Buffer::arrives_in);
    moves(at.decode[r].turns, &Buffer::arrives_in, {head_moment});  // each phase has its own: they do not move
    const auto lists = moved_in_turn(at.decode[r]);
    for (size_t t = 0; t < tensors; t++) {
      const Buffer of = p.buffers[lists[t].back()];
      const Tensor& tensor = p.tensors[of.tensor];
      const BufferId id = add_buffer(p, {.name = "staging." + tensor.name,
                                         .tensor = of.tensor,
                                         .region = at.decode_regions[r],
                                         .kind = BufferKind::staging,
                                         .cuts = of.cuts,
                                         .first_copy = region.first_layer,
                                         .limits = staged_limits(tensor),
                                         .phases = {transition}});
      if (!plan.regions_in_turn) continue;
      p.buffers[id].moments = moments(region, t);
      if (region.head && of.tensor == p.buffers[at.decode[r].w.down].tensor)
        p.buffers[id].moments.push_back(head_moment);  // for its pieces
    }
  }
  head_moves(at.prefill_head, &Buffer::leaves_in);
  head_moves(at.decode_head, &Buffer::arrives_in);
}

}  // namespace wafer
