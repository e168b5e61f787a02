#include "paper/published_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "paper/published.h"
#include "plan/planner.h"
#include "report/json_line.h"
#include "report/kernel_report.h"
#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNoMemory = "the plan published checks no memory; the paper timed one layer and multiplied";

double seconds(int64_t cycles, const Device& d) { return static_cast<double>(cycles) / d.clock_hz; }
double rate(int64_t tokens, int64_t cycles, const Device& d) {
  return cycles > 0 ? static_cast<double>(tokens) * d.clock_hz / static_cast<double>(cycles) : 0;
}
mesh::Extent square(int side) { return {side, side}; }

// Sides that do not divide by the groups have fewer and a shorter last one.
int cores_of_group(int side, int groups) { return (side + groups - 1) / groups; }
int real_groups(int side, int groups) {
  const int g = cores_of_group(side, groups);
  return (side + g - 1) / g;
}

// The kernels of prefill were published for WSE-2 only; those of decode for both.
const char* kernels_of(const std::string& what, const Device& d) {
  return what == "decode" && published_kernels(d) == PublishedKernels::rewritten_routes ? "WSE-3" : "WSE-2";
}

void check_sizes(const std::string& what, const ModelConfig& m, const Device& device, int side, int64_t positions) {
  const mesh::Extent most = limits_of(device).mesh;
  if (side > most.w || side > most.h)
    throw Error({.where = what,
                 .found = "a mesh of " + mesh_text(square(side)),
                 .expected = fmt::format("at most {} on {}, which has {} cores", mesh_text(square(std::min(most.w, most.h))), device.name,
                                         mesh_text(most)),
                 .fix = "give a smaller mesh"});
  const auto [d, s, f] = published_tiles(m, side, positions);
  const int64_t tile = std::max({d * d, d * f, d * s, what == "prefill" ? s * std::max(s, f) : 0});
  if (tile > kPublishedTile)
    throw Error({.where = what,
                 .found = fmt::format("a matrix of {} elements on each of {} cores", tile, mesh_text(square(side))),
                 .expected = fmt::format("at most {}, some hundred times what a core holds", kPublishedTile),
                 .fix = "give a larger mesh or fewer positions"});
}

// ---- text ------------------------------------------------------------------------------------------------------------------------

std::vector<Row> head_rows(const ModelConfig& m, const Device& d, int64_t positions, const std::string& kernels) {
  std::vector<Row> rows = {{"model", fmt::format("{}: {}, dim {}, ffn {}", m.name, counted(m.layers, "layer"), m.dim, m.ffn)},
                           {"device", fmt::format("{}: {} cores, {:.2f} GHz", d.name, mesh_text(limits_of(d).mesh), d.clock_hz / 1e9)},
                           {"plan", fmt::format("published, numerics fp16: the authors' measured kernels, {}", kernels)},
                           {"memory", kNoMemory}};
  if (positions > m.context)
    rows.push_back({"context", fmt::format("{}, past the {} of the model, on which these kernels do not depend",
                                           counted(positions, "position"), grouped(m.context))});
  if (const std::string as = taken_as(m); !as.empty()) rows.insert(rows.begin() + 1, Row{"", as});
  return rows;
}

std::string steps_table(const time::TimeReport& t) {
  std::vector<Row> rows = {{"steps of one layer", "times", "cycles", "share"}};
  for (const time::StepTime& s : t.steps)
    rows.push_back({"  " + s.name, grouped(s.count), grouped(s.cycles),
                    fmt::format("{:.1f}%", 100.0 * static_cast<double>(s.cycles) / static_cast<double>(std::max<int64_t>(1, t.cycles)))});
  rows.push_back({"  all", "", grouped(t.cycles), "100.0%"});
  return table(rows, "lrrr");
}

// ---- JSON ------------------------------------------------------------------------------------------------------------------------

Json head_json(const std::string& what, const ModelConfig& m, const Device& d) {
  return {{"bench", what},       {"engine", "time"},
          {"model", m.name},     {"leaves_out", left_out(m).empty() ? Json(nullptr) : Json(left_out(m))},
          {"layers", m.layers},  {"model_context", m.context},
          {"device", d.name},    {"clock_hz", d.clock_hz},
          {"plan", "published"}, {"numerics", name_of(Numerics::fp16)}};
}

void end_json(Json& json, double host_seconds) {
  json["memory"] = nullptr;
  json["memory_note"] = kNoMemory;
  json["host_seconds"] = host_seconds;
}

struct Named {
  const char* name;
  int64_t value;
};
std::array<Named, 6> all_actions(const time::TimeReport& t) {
  time::Actions a;
  for (const time::StepTime& s : t.steps) a = a + s.actions;
  return {{{"stream_ops", a.stream_ops},
           {"descriptor_loads", a.descriptor_loads},
           {"descriptor_edits", a.descriptor_edits},
           {"tasks", a.tasks},
           {"route_changes", a.route_changes},
           {"scalar_calls", a.scalar_calls}}};
}

// What `tokens` (0: no rate) took of `all` cycles.
Json part_json(int64_t cycles, int64_t tokens, int64_t all, const Device& d) {
  Json json = {{"cycles", cycles}, {"seconds", seconds(cycles, d)}};
  if (tokens > 0) json["tokens_per_second"] = rate(tokens, cycles, d);
  json["share"] = static_cast<double>(cycles) / static_cast<double>(std::max<int64_t>(1, all));
  return json;
}

}  // namespace

// ---- measuring -------------------------------------------------------------------------------------------------------------------

PublishedLayerReport bench_published_decode(const ModelConfig& model, const Device& device, int side, int groups, int64_t context) {
  check_sizes("decode", model, device, side, context);
  PublishedLayerReport r{.what = "decode", .model = model, .device = device, .side = side, .groups = groups, .positions = context};
  if (r.groups == 0) r.groups = published_groups(side);
  r.layer = published_decode_layer(model, side, context, device, r.groups);
  return r;
}

PublishedLayerReport bench_published_prefill(const ModelConfig& model, const Device& device, int side, int64_t tokens) {
  check_sizes("prefill", model, device, side, tokens);
  PublishedLayerReport r{.what = "prefill", .model = model, .device = device, .side = side, .positions = tokens};
  r.layer = published_prefill_layer(model, side, tokens, device);
  return r;
}

PublishedRequestReport bench_published_request(const ModelConfig& model, const Device& device, const PublishedRequest& request) {
  check_sizes("prefill", model, device, request.prefill_side, request.input);
  check_sizes("decode", model, device, request.decode_side, request.input + request.output);
  PublishedRequestReport r{.model = model, .device = device, .request = request};
  PublishedLayers layers{.device = device};
  r.time = published_request(model, request, layers);
  return r;
}

double tokens_per_second(const PublishedLayerReport& r) {
  return rate(r.what == "prefill" ? r.positions : 1, r.model.layers * r.layer.cycles, r.device);
}

// ---- printing --------------------------------------------------------------------------------------------------------------------

std::string bench_text(const PublishedLayerReport& r) {
  const bool prefill = r.what == "prefill";
  const auto [d, s, f] = published_tiles(r.model, r.side, r.positions);
  const CoreShares shares = core_shares(r.layer);
  std::vector<Row> rows = head_rows(r.model, r.device, r.positions, std::string("those for ") + kernels_of(r.what, r.device));
  rows.push_back({"mesh", fmt::format("{} cores for a layer, each with {} of dim, {} of positions, {} of ffn (padded)",
                                      mesh_text(square(r.side)), d, s, f)});
  if (!prefill)
    rows.push_back({"trees", fmt::format("{} of {} on each line", counted(real_groups(r.side, r.groups), "group"),
                                         counted(cores_of_group(r.side, r.groups), "core"))});
  rows.push_back({r.what, prefill ? counted(r.positions, "token") : fmt::format("a token at position {}", r.positions - 1)});
  rows.push_back(
      {"one layer", fmt::format("{} cycles, {} us", grouped(r.layer.cycles), significant(1e6 * seconds(r.layer.cycles, r.device)))});
  rows.push_back({"  all layers", fmt::format("{} tokens/s, one layer times {}", significant(tokens_per_second(r)), r.model.layers)});
  rows.push_back({"cores", fmt::format("compute {:.0f} %, communicate {:.0f} %, wait {:.0f} %", 100 * shares.compute,
                                       100 * shares.communicate, 100 * shares.wait)});
  rows.push_back({"host", fmt::format("{} s to time it", significant(r.host_seconds))});
  std::vector<Row> actions = {{"machine actions of one layer", "all cores", "a core"}};
  for (const auto& [name, value] : all_actions(r.layer))
    actions.push_back({std::string("  ") + name, grouped(value),
                       significant(static_cast<double>(value) / (static_cast<double>(r.side) * static_cast<double>(r.side)))});
  return table(rows, "ll") + "\n" + table(actions, "lrr") + "\n" + steps_table(r.layer);
}

std::string bench_json(const PublishedLayerReport& r) {
  const bool prefill = r.what == "prefill";
  const auto [d, s, f] = published_tiles(r.model, r.side, r.positions);
  Json json = head_json(r.what, r.model, r.device);
  json["kernels"] = kernels_of(r.what, r.device);
  if (!prefill) json["context"] = r.positions;
  json["mesh"] = mesh_text(square(r.side));
  if (prefill) {
    json["tokens"] = r.positions;
  } else {
    json["groups"] = {real_groups(r.side, r.groups)};
    json["position"] = r.positions - 1;
  }
  json["per_core"] = {{"d", d}, {"s", s}, {"f", f}};
  json["cycles"] = r.layer.cycles;
  json["seconds"] = seconds(r.layer.cycles, r.device);
  json["tokens_per_second"] = tokens_per_second(r);
  json["steps"] = Json::array();
  for (const time::StepTime& step : r.layer.steps)
    json["steps"].push_back({{"name", step.name}, {"cycles", step.cycles}, {"count", step.count}});
  for (const auto& [name, value] : all_actions(r.layer)) json["actions"][name] = value;
  const CoreShares shares = core_shares(r.layer);
  json["shares"] = {{"compute", shares.compute}, {"communicate", shares.communicate}, {"wait", shares.wait}};
  end_json(json, r.host_seconds);
  return json_line(json);
}

std::string bench_text(const PublishedRequestReport& r) {
  const int64_t all = whole(r.time);
  const PublishedRequest& q = r.request;
  std::vector<Row> head =
      head_rows(r.model, r.device, q.input + q.output,
                fmt::format("prefill's for {}, decode's for {}", kernels_of("prefill", r.device), kernels_of("decode", r.device)));
  head.push_back({"prefill", mesh_text(square(q.prefill_side)) + " cores for a layer"});
  head.push_back({"decode", fmt::format("{} cores for a layer, trees of {}", mesh_text(square(q.decode_side)),
                                        counted(published_groups(q.decode_side), "group"))});
  head.push_back({"host", fmt::format("{} s to time it", significant(r.host_seconds))});
  std::vector<Row> rows = {{"part", "tokens", "cycles", "ms", "share", "tokens/s"}};
  const auto row = [&](const std::string& name, int64_t tokens, int64_t cycles) {
    rows.push_back({name, tokens > 0 ? grouped(tokens) : "", grouped(cycles), significant(1e3 * seconds(cycles, r.device)),
                    fmt::format("{:.1f}%", 100.0 * static_cast<double>(cycles) / static_cast<double>(all)),
                    tokens > 0 ? significant(rate(tokens, cycles, r.device)) : ""});
  };
  row("prefill", q.input, r.time.prefill);
  row("transition", 0, r.time.transition);
  row("decode", q.output, r.time.decode);
  row("whole", q.output, all);
  return table(head, "ll") + "\n" + table(rows, "lrrrrr");
}

std::string bench_json(const PublishedRequestReport& r) {
  const int64_t all = whole(r.time);
  const PublishedRequest& q = r.request;
  Json json = head_json("e2e", r.model, r.device);
  json["kernels"] = {{"prefill", kernels_of("prefill", r.device)}, {"decode", kernels_of("decode", r.device)}};
  json["groups"] = {published_groups(q.decode_side)};
  json["prefill_mesh"] = mesh_text(square(q.prefill_side));
  json["decode_mesh"] = mesh_text(square(q.decode_side));
  json["input"] = q.input;
  json["output"] = q.output;
  json["cycles"] = all;
  json["seconds"] = seconds(all, r.device);
  json["tokens_per_second"] = tokens_per_second(q, r.time, r.device);
  json["steps"] = {{{"name", "prefill"}, {"cycles", r.time.prefill}},
                   {{"name", "transition"}, {"cycles", r.time.transition}},
                   {{"name", "decode"}, {"cycles", r.time.decode}}};
  json["prefill"] = part_json(r.time.prefill, q.input, all, r.device);
  json["transition"] = part_json(r.time.transition, 0, all, r.device);
  json["decode"] = part_json(r.time.decode, q.output, all, r.device);
  end_json(json, r.host_seconds);
  return json_line(json);
}

}  // namespace wafer
