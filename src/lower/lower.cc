#include "lower/lower.h"

#include "kernels/transfer.h"
#include "lower/blocks.h"
#include "mesh/builder.h"

namespace wafer {

using namespace mesh;
using namespace kernels;
using namespace lower_blocks;

namespace {

struct Lowering {
  Placement& at;
  Program& program;

  Site prefill_site(size_t region, PhaseId phase) const { return {program, at.prefill_regions[region], phase}; }
  Site decode_site(size_t region, PhaseId phase) const { return {program, at.decode_regions[region], phase}; }

  MoveId move(const std::string& name, MoveKind kind, BufferId source, BufferId destination) {
    return add_move(program, {.name = name, .kind = kind, .source = source, .destination = destination});
  }

  static Step send_from(const Site& site, MoveId id) { return send(site, id, move_routes(site)); }
  static Step receive_at(const Site& site, MoveId id) { return receive(site, id, move_routes(site)); }

  static Step layers(const PlacedRegion& r, PhaseId phase, Steps body) {
    return {.name = "layers",
            .phase = phase,
            .what = Loop{.var = LoopVar::layer, .begin = r.first_layer, .fixed = r.layers, .body = std::move(body)}};
  }

  // Sine and cosine of the token's angles, or of a chunk's rows', once for all layers of a region; while it waits for its first values.
  static Step turn_angles(PhaseId phase, BufferId turns, BufferId angles) {
    return {.name = "angles", .phase = phase, .what = Local{.op = LocalOp::angles, .in = {turns}, .out = {angles}}};
  }

  static Step for_rows(PhaseId phase, Steps body) {
    return {.name = "rows", .phase = phase, .what = Loop{.var = LoopVar::row, .count = CountKind::rows, .body = std::move(body)}};
  }

  // The regions of a phase that hold layers, in the order of the layers.
  static std::vector<size_t> layer_regions(const PhasePlan& p) {
    std::vector<size_t> out;
    for (size_t i = 0; i < p.regions.size(); i++)
      if (p.regions[i].layers > 0) out.push_back(i);
    return out;
  }

  void add_prefill_entries() {
    const PhasePlan& plan = at.plan.prefill;
    const std::vector<size_t> order = layer_regions(plan);
    const size_t head = static_cast<size_t>(head_region(plan));
    std::vector<Steps> lists(plan.regions.size());
    const PhaseId move_phase = at.prefill_phases.move;
    const HeadBuffers& hb = at.prefill_head;
    const HeadSteps head_parts = head_steps(prefill_site(head, at.prefill_phases.head), at.config, hb, hb.token, at.plan);

    for (const size_t r : order) lists[r].push_back(turn_angles(move_phase, at.prefill[r].turns, at.prefill[r].angles));
    // token ids enter at the head region; each row goes to its place in the first region's layout
    const MoveId embed = move("embedding", MoveKind::row_in, hb.x, at.prefill[order.front()].x);
    const Step send_row = send_from(prefill_site(head, move_phase), embed),
               receive_row = receive_at(prefill_site(order.front(), move_phase), embed);
    Steps rows = {{.name = "token.from_host", .phase = at.prefill_phases.head, .what = Host{.to_host = false, .buffer = hb.token}}};
    lower_blocks::append(rows, head_parts.embed_at_owner);
    rows.push_back(send_row);
    if (head == order.front()) {
      rows.push_back(receive_row);
      lists[head].push_back(for_rows(move_phase, std::move(rows)));
    } else {
      lists[head].push_back(for_rows(move_phase, std::move(rows)));
      lists[order.front()].push_back(for_rows(move_phase, {receive_row}));
    }
    MoveId incoming;  // from the region before
    for (size_t i = 0; i < order.size(); i++) {
      const size_t r = order[i];
      if (i > 0) lists[r].push_back(receive_at(prefill_site(r, move_phase), incoming));
      lists[r].push_back(layers(plan.regions[r], at.prefill_phases.rows, prefill_layer(at, program, at.prefill_regions[r], at.prefill[r])));
      if (i + 1 == order.size()) continue;
      incoming = move("hand_over." + std::to_string(i), MoveKind::relay, at.prefill[r].x, at.prefill[order[i + 1]].x);
      lists[r].push_back(send_from(prefill_site(r, move_phase), incoming));
    }
    std::vector<BufferId> stored, caches;
    for (const size_t r : order) {
      append(stored, weights_of(at.prefill[r].w));
      stored.push_back(at.prefill[r].turns);
      append(caches, {at.prefill[r].k_cache, at.prefill[r].v_cache});
    }
    const BufferId last = at.prefill[order.back()].x;
    append(stored, caches);
    stored.push_back(hb.embedding);
    append(caches, {last});
    add_entry("prefill", at.prefill_regions, lists, std::move(stored), std::move(caches));

    // one row of the last region through the head
    std::vector<Steps> row_lists(plan.regions.size());
    const MoveId out = move("last_row", MoveKind::row_out, last, hb.x);
    row_lists[order.back()].push_back(send_from(prefill_site(order.back(), move_phase), out));
    row_lists[head].push_back(receive_at(prefill_site(head, move_phase), out));
    lower_blocks::append(row_lists[head], head_parts.choose);
    add_entry("row", at.prefill_regions, row_lists, {last, hb.norm, hb.output}, chosen(hb));
  }

  void add_decode_entry() {
    const PhasePlan& plan = at.plan.decode;
    const std::vector<size_t> order = layer_regions(plan);
    const size_t head = static_cast<size_t>(head_region(plan));
    std::vector<Steps> lists(plan.regions.size());
    const PhaseId move_phase = at.decode_phases.move;
    const HeadBuffers& hb = at.decode_head;
    // The mesh embeds what it chose in the step before.
    const HeadSteps head_parts =
        head_steps(decode_site(head, at.decode_phases.head), at.config, hb, at.plan.host_choice ? hb.token : hb.best, at.plan);

    if (at.plan.host_choice)
      lists[head].push_back(
          {.name = "token.from_host", .phase = at.decode_phases.head, .what = Host{.to_host = false, .buffer = hb.token}});
    lower_blocks::append(lists[head], head_parts.embed_on_all);
    MoveId incoming = move("embedding", MoveKind::relay, hb.x, at.decode[order.front()].x);
    lists[head].push_back(send_from(decode_site(head, move_phase), incoming));
    for (size_t i = 0; i < order.size(); i++) {
      const size_t r = order[i];
      lists[r].push_back(turn_angles(move_phase, at.decode[r].turns, at.decode[r].angles));
      lists[r].push_back(receive_at(decode_site(r, move_phase), incoming));
      lists[r].push_back(layers(plan.regions[r], at.decode_phases.layer,
                                decode_layer(decode_site(r, at.decode_phases.layer), at.config, at.decode[r], at.plan)));
      const BufferId next = i + 1 < order.size() ? at.decode[order[i + 1]].x : hb.x;
      incoming = move(i + 1 < order.size() ? "hand_over." + std::to_string(i) : "last_row", MoveKind::relay, at.decode[r].x, next);
      lists[r].push_back(send_from(decode_site(r, move_phase), incoming));
    }
    lists[head].push_back(receive_at(decode_site(head, move_phase), incoming));
    lower_blocks::append(lists[head], head_parts.choose);
    std::vector<BufferId> stored, left;
    for (const size_t r : order) {
      append(stored, weights_of(at.decode[r].w));
      append(stored, {at.decode[r].turns, at.decode[r].k_cache, at.decode[r].v_cache});
      append(left, {at.decode[r].k_cache, at.decode[r].v_cache});
    }
    append(stored, {hb.embedding, hb.norm});
    if (hb.output != hb.embedding) stored.push_back(hb.output);
    if (!at.plan.host_choice) stored.push_back(hb.best);
    append(left, chosen(hb));
    add_entry("decode", at.decode_regions, lists, std::move(stored), std::move(left));
  }

  static void append(std::vector<BufferId>& to, const std::vector<BufferId>& more) { to.insert(to.end(), more.begin(), more.end()); }
  static std::vector<BufferId> weights_of(const LayerWeights& w) {
    return {w.attn_norm, w.q, w.k, w.v, w.o, w.ffn_norm, w.gate, w.up, w.down};
  }
  // What the head leaves: logits, for a host that wants them, and the choice.
  std::vector<BufferId> chosen(const HeadBuffers& b) const {
    return at.plan.host_choice ? std::vector{b.logits} : std::vector{b.logits, b.best};
  }

  void add_entry(const std::string& name, const std::vector<RegionId>& regions, std::vector<Steps>& lists, std::vector<BufferId> inputs,
                 std::vector<BufferId> outputs) {
    Entry e{.name = name, .lists = {}, .inputs = std::move(inputs), .outputs = std::move(outputs)};
    for (size_t i = 0; i < lists.size(); i++)
      if (!lists[i].empty()) e.lists.push_back({.region = regions[i], .steps = std::move(lists[i])});
    program.entries.push_back(std::move(e));
  }
};

}  // namespace

Lowered lower(const ModelConfig& config, const WeightTypes& types, const Plan& plan, Extent device_mesh) {
  refuse_experts(config);
  Lowered out{.placement = place(config, types, plan, device_mesh)};
  Lowering lowering{out.placement, out.placement.program};
  lowering.add_prefill_entries();
  out.placement.program.entries.push_back(transition(out.placement));
  lowering.add_decode_entry();
  return out;
}

}  // namespace wafer
