// Text and JSON of a placement.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/placement.h"
#include "report/text.h"
#include "report/wafer_map.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

const PhasePlan& phase_plan(const PlacementReport& r, std::string_view part) { return part == "prefill" ? r.plan.prefill : r.plan.decode; }

const PartReport* part_named(const PlacementReport& r, std::string_view name) {
  const auto at = std::find_if(r.parts.begin(), r.parts.end(), [&](const PartReport& p) { return p.name == name; });
  return at == r.parts.end() ? nullptr : &*at;
}

// ---- text ------------------------------------------------------------------------------------------------------------------------

std::string layers_text(const PlacedRegion& r) {
  const std::string head = r.head ? "embedding and LM head" : "";
  if (r.layers == 0) return head.empty() ? "nothing" : head;
  const std::string layers =
      r.layers == 1 ? fmt::format("layer {}", r.first_layer) : fmt::format("layers {}-{}", r.first_layer, r.first_layer + r.layers - 1);
  return head.empty() ? layers : layers + ", " + head;
}

std::string phase_text(const PhasePlan& phase) {
  if (phase.regions.empty()) return "no regions";
  const mesh::Rect first = phase.regions.front().rect;
  const std::string mesh = mesh_text(mesh::extent(first));
  if (phase.regions.size() == 1) return fmt::format("one region of {} cores at ({},{})", mesh, first.x, first.y);
  int fewest = 0, most = 0;
  int64_t with_layers = 0;
  for (const PlacedRegion& r : phase.regions) {
    if (r.layers == 0) continue;
    fewest = with_layers == 0 ? r.layers : std::min(fewest, r.layers);
    most = std::max(most, r.layers);
    with_layers++;
  }
  const std::string layers = fewest == most ? counted(most, "layer") : fmt::format("{} to {} layers", fewest, most);
  const PlacedRegion& of_head = phase.regions[static_cast<size_t>(head_region(phase))];
  std::string head;
  if (with_layers < static_cast<int64_t>(phase.regions.size())) head = ", one of embedding and LM head alone";
  if (mesh::extent(of_head.rect) != mesh::extent(first)) head += fmt::format(" ({})", mesh_text(mesh::extent(of_head.rect)));
  return fmt::format("{} of {} cores: {} of {}{}", counted(static_cast<int64_t>(phase.regions.size()), "region"), mesh, with_layers, layers,
                     head);
}

std::string config_text(const ModelConfig& c) {
  const std::string experts = has_experts(c) ? fmt::format("{} experts ({} a token) of ", c.experts, c.experts_used) : "";
  return fmt::format("{}, {}, dim {}, {} heads on {} KV heads of {}, {}ffn {}, vocabulary {}, {}", c.architecture,
                     counted(c.layers, "layer"), c.dim, c.heads, c.kv_heads, c.head_dim, experts, c.ffn, grouped(c.vocab),
                     name_of(c.weights));
}

// Rows: kinds of bytes; columns: prefill, transition, decode.
std::string bytes_table(const PlacementReport& r) {
  std::vector<Row> rows(1, {"bytes of the fullest core"});
  for (const PartReport& part : r.parts) rows[0].push_back(part.name);
  const auto row = [&](const std::string& name, auto value) {
    Row cells = {name};
    for (const PartReport& part : r.parts) cells.push_back(value(part));
    rows.push_back(std::move(cells));
  };
  for (int k = 0; k < mesh::kBufferKinds; k++)
    row(fmt::format("  {}", mesh::name(static_cast<mesh::BufferKind>(k))),
        [&](const PartReport& p) { return grouped(p.fullest.fullest.by_kind[static_cast<size_t>(k)]); });
  row("  code and system", [](const PartReport& p) { return grouped(p.fullest.fullest.code); });
  row("  all", [](const PartReport& p) { return grouped(p.fullest.fullest.total()); });
  rows.back().push_back(fmt::format("of {}", grouped(r.device.sram_bytes_per_core)));
  row("  lies at", [](const PartReport& p) { return fmt::format("({},{})", p.fullest.x, p.fullest.y); });
  row("mean of its region", [](const PartReport& p) { return grouped(std::llround(p.fullest.mean)); });
  for (int k = 0; k < mesh::kBufferKinds; k++)
    row(fmt::format("  {}", mesh::name(static_cast<mesh::BufferKind>(k))),
        [&](const PartReport& p) { return grouped(std::llround(p.fullest.mean_by_kind[static_cast<size_t>(k)])); });
  if (r.routed) {
    row("colours", [](const PartReport& p) { return fmt::format("{}", p.colours); });
    rows.back().push_back(fmt::format("of {}", r.device.free_colours.size()));
  }
  return table(rows, "lrrrl");
}

std::string fits_text(const PlacementReport& r) {
  if (!r.fits) return fmt::format("no: {}", r.reason);
  return fmt::format("yes; with {} bytes of code and system on a core: {}", grouped(r.device.code_and_system_bytes_measured),
                     r.fits_with_measured_code ? "yes" : "no");
}

// ---- JSON ------------------------------------------------------------------------------------------------------------------------

Json mesh_json(const PhasePlan& phase) {
  return phase.regions.empty() ? Json(nullptr) : Json(mesh_text(mesh::extent(phase.regions.front().rect)));
}

Json part_bytes_json(const PartReport& part) {
  Json bytes = Json::object();
  for (int k = 0; k < mesh::kBufferKinds; k++)
    bytes[mesh::name(static_cast<mesh::BufferKind>(k))] = part.fullest.fullest.by_kind[static_cast<size_t>(k)];
  bytes["code_and_system"] = part.fullest.fullest.code;
  bytes["total"] = part.fullest.fullest.total();
  bytes["mean"] = part.fullest.mean;
  Json by_kind = Json::object();
  for (int k = 0; k < mesh::kBufferKinds; k++)
    by_kind[mesh::name(static_cast<mesh::BufferKind>(k))] = part.fullest.mean_by_kind[static_cast<size_t>(k)];
  bytes["mean_by_kind"] = by_kind;
  bytes["x"] = part.fullest.x;
  bytes["y"] = part.fullest.y;
  bytes["phase"] = part.phase;
  return bytes;
}

void add_part(Json& json, const PlacementReport& r, std::string_view name) {
  const PartReport* part = part_named(r, name);
  json["bytes"] = part ? part_bytes_json(*part) : Json(nullptr);
  json["colours"] = part && r.routed ? Json(part->colours) : Json(nullptr);
}

}  // namespace

std::string placement_text(const PlacementReport& r) {
  const PhasePlan &prefill = r.plan.prefill, &decode = r.plan.decode;
  std::vector<Row> rows = {
      {"model", fmt::format("{}: {}", r.model.name, config_text(r.model))},
      {"device", fmt::format("{}: {} cores of {} bytes, {} GHz", r.device.name,
                             mesh_text({static_cast<int>(r.device.mesh_width), static_cast<int>(r.device.mesh_height)}),
                             grouped(r.device.sram_bytes_per_core), significant(r.device.clock_hz / 1e9))},
      {"plan", fmt::format("{}, numerics {}, KV cache for {}", r.plan.name, name_of(r.plan.numerics), counted(r.plan.context, "position"))},
  };
  if (const std::string as = taken_as(r.model); !as.empty()) rows.insert(rows.begin() + 1, Row{"", as});
  if (!r.parts.empty()) {
    rows.push_back({"prefill", fmt::format("{}; chunks of {}", phase_text(prefill), counted(r.plan.chunk, "token"))});
    rows.push_back({"decode", phase_text(decode)});
  }
  rows.push_back({"fits", fits_text(r)});
  for (const Row& row : advice_rows(r.advice)) rows.push_back(row);
  for (const std::string& fault : r.faults) rows.push_back({"fault", fault});
  std::string text = table(rows, "ll");
  if (r.parts.empty()) return text;
  return text + "\n" + bytes_table(r);
}

std::string regions_text(const PlacementReport& r) {
  std::vector<Row> rows = {{"phase", "map", "x", "y", "cores", "holds"}};
  for (const std::string_view part : {"prefill", "decode"}) {
    size_t i = 0;
    for (const PlacedRegion& p : phase_plan(r, part).regions)
      rows.push_back({std::string(part), std::string(1, map_letter(i++)), fmt::format("{}", p.rect.x), fmt::format("{}", p.rect.y),
                      mesh_text(mesh::extent(p.rect)), layers_text(p)});
  }
  return table(rows, "llrrrl");
}

Json regions_json(const PlacementReport& r) {
  Json list = Json::array();
  for (const std::string_view part : {"prefill", "decode"})
    for (const PlacedRegion& p : phase_plan(r, part).regions)
      list.push_back({{"phase", part},
                      {"x", p.rect.x},
                      {"y", p.rect.y},
                      {"width", p.rect.w},
                      {"height", p.rect.h},
                      {"layers", p.layers},
                      {"first_layer", p.first_layer},
                      {"head", p.head}});
  return list;
}

Json prefill_json(const PlacementReport& r) {
  Json json = {{"mesh", mesh_json(r.plan.prefill)},
               {"regions", r.plan.prefill.regions.size()},
               {"chunk", r.plan.chunk},
               {"cycles", nullptr},
               {"seconds", nullptr},
               {"tokens_per_second", nullptr}};
  add_part(json, r, "prefill");
  return json;
}

Json transition_json(const PlacementReport& r) {
  Json json = {{"cycles", nullptr}};
  add_part(json, r, "transition");
  return json;
}

Json decode_json(const PlacementReport& r) {
  Json json = {{"mesh", mesh_json(r.plan.decode)},
               {"regions", r.plan.decode.regions.size()},
               {"cycles_per_token", nullptr},
               {"tokens_per_second", nullptr}};
  add_part(json, r, "decode");
  return json;
}

Json memory_json(const PlacementReport& r) {
  const PartReport* part = fullest_part(r);
  Json json = {{"fits", r.fits},
               {"fits_with_measured_code", r.fits_with_measured_code},
               {"sram_bytes_per_core_max", part ? Json(part->fullest.fullest.total()) : Json(nullptr)},
               {"sram_bytes_per_core_mean", part ? Json(part->fullest.mean) : Json(nullptr)},
               {"sram_limit", r.device.sram_bytes_per_core},
               {"code_and_system_bytes", r.device.code_and_system_bytes},
               {"code_and_system_bytes_measured", r.device.code_and_system_bytes_measured}};
  if (!r.fits) {
    json["excess_bytes"] = part ? Json(r.excess_bytes) : Json(nullptr);
    json["reason"] = r.reason;
  }
  if (r.whole) {
    const int64_t need = r.whole->weights + r.whole->kv_cache;
    json["whole"] = {{"weights", r.whole->weights},
                     {"kv_cache", r.whole->kv_cache},
                     {"needed", need},
                     {"device", r.whole->device},
                     {"excess", std::max<int64_t>(0, need - r.whole->device)}};
  }
  return json;
}

}  // namespace wafer
