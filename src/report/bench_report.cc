#include "report/bench_report.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "lower/request_timer.h"
#include "mesh/locality.h"
#include "report/extrapolation.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

double seconds(int64_t cycles, const Device& d) { return static_cast<double>(cycles) / d.clock_hz; }
double rate(int64_t tokens, int64_t cycles, const Device& d) {
  return cycles > 0 ? static_cast<double>(tokens) * d.clock_hz / static_cast<double>(cycles) : 0;
}

// Without the parts of an inference whose bytes were not counted.
PlacementReport placement_of(const BenchSetup& s) {
  PlacementReport r = placement_report(s.model, s.device, s.plan, &s.lowered.program());
  std::erase_if(r.parts, [](const PartReport& p) { return p.fullest.cores == 0; });
  return r;
}

// ---- text ------------------------------------------------------------------------------------------------------------------------

std::string time_text(int64_t cycles, const Device& d) {
  return fmt::format("{} cycles, {} us", grouped(cycles), significant(1e6 * seconds(cycles, d)));
}

std::string steps_table(const time::PartTime& part, std::string_view title) {
  std::vector<Row> rows = {{std::string(title), "times", "cycles", "share"}};
  const std::vector<int64_t> whole = whole_cycles(part);
  for (size_t i = 0; i < whole.size(); i++)
    rows.push_back({"  " + part.steps[i].name, grouped(std::llround(part.steps[i].count)), grouped(whole[i]),
                    fmt::format("{:.1f}%", part.cycles > 0 ? 100.0 * part.steps[i].cycles / part.cycles : 0)});
  rows.push_back({"  all", "", grouped(cycles_of(part)), "100.0%"});
  return table(rows, "lrrr");
}

std::string setup_text(const PlacementReport& p) {
  const std::vector<Row> rows = {{"trees", p.plan.groups.empty()
                                               ? fmt::format("K = {}, even groups", p.plan.tree_levels)
                                               : fmt::format("{} groups along whole lines of decode", fmt::join(p.plan.groups, ", "))}};
  return placement_text(p) + "\n" + table(rows, "ll");
}

// ---- JSON ------------------------------------------------------------------------------------------------------------------------

Json steps_json(const time::PartTime& part) {
  Json list = Json::array();
  const std::vector<int64_t> whole = whole_cycles(part);
  for (size_t i = 0; i < whole.size(); i++)
    list.push_back({{"name", part.steps[i].name}, {"cycles", whole[i]}, {"count", std::llround(part.steps[i].count)}});
  return list;
}

Json part_json(const time::PartTime& part, int64_t tokens, const Device& d) {
  const int64_t cycles = cycles_of(part);
  Json json = {{"cycles", cycles}, {"seconds", seconds(cycles, d)}};
  if (tokens > 0) json["tokens_per_second"] = rate(tokens, cycles, d);
  json["steps"] = steps_json(part);
  json["extrapolation"] = extrapolation_json(part);
  return json;
}

std::string mesh_of(const PhasePlan& p) { return mesh_text(mesh::extent(p.regions.front().rect)); }

// The configuration, echoed.
Json setup_json(const std::string& what, const PlacementReport& p) {
  return {{"bench", what},
          {"engine", "time"},
          {"model", p.model.name},
          {"leaves_out", left_out(p.model).empty() ? Json(nullptr) : Json(left_out(p.model))},
          {"layers", p.model.layers},
          {"device", p.device.name},
          {"clock_hz", p.device.clock_hz},
          {"plan", p.plan.name},
          {"numerics", name_of(p.plan.numerics)},
          {"context", p.plan.context},
          {"tree_levels", p.plan.tree_levels},
          {"groups", p.plan.groups}};
}

void add_phase(Json& json, const PhasePlan& phase) {
  json["mesh"] = mesh_of(phase);
  json["regions"] = phase.regions.size();
}

}  // namespace

// ---- measuring -------------------------------------------------------------------------------------------------------------------

BenchSetup bench_setup(const ModelConfig& model, const WeightTypes& types, const Device& device, const PlanRequest& request,
                       const std::string& part, std::optional<Goal> goal) {
  refuse_experts(model);  // before its bytes are judged: they are not why it cannot be timed
  BenchSetup s{.model = model, .types = types, .device = device, .plan = {}, .lowered = {}};
  s.plan = goal ? search_plan(model, types, device, request, *goal).plan : make_plan(model, types, device, request);
  const bool mesh_given = request.prefill_mesh || request.decode_mesh;
  const bool placed = !s.plan.plan.decode.regions.empty() && !s.plan.plan.prefill.regions.empty();
  if (placed) {
    s.lowered = lower(model, types, s.plan.plan, limits_of(device).mesh);
    judge_bytes(s.plan, s.lowered.program(), device, part);
  }
  if (!placed || (!s.plan.fits && !mesh_given))
    throw Error({.where = model.name + " on " + device.name,
                 .found = s.plan.reason,
                 .expected = "a plan that fits",
                 .fix = "use a smaller model, a shorter context, quantised weights or a larger device, or give --mesh to time it anyway"});
  for (const mesh::Diagnostic& d : mesh::prove(s.lowered.program(), limits_of(device)))
    if (d.rule != mesh::Rule::bytes)
      throw Error(
          {.where = d.where, .found = d.text, .expected = "a program that the device can run", .fix = "choose another mesh or device"});
  return s;
}

BenchReport bench_decode(const BenchSetup& s) {
  BenchReport r{.what = "decode", .placement = placement_of(s), .tokens = 1};
  const auto start = std::chrono::steady_clock::now();
  r.whole = request_timer(s.lowered, s.device).decode(s.plan.plan.context - 1, 1);
  r.timing_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  r.layer = layer_part(r.whole, s.model.layers);
  return r;
}

BenchReport bench_prefill(const BenchSetup& s, int64_t tokens) {
  BenchReport r{.what = "prefill", .placement = placement_of(s), .tokens = tokens};
  const auto start = std::chrono::steady_clock::now();
  r.whole = request_timer(s.lowered, s.device).prefill(tokens);
  r.timing_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  r.layer = layer_part(r.whole, s.model.layers);
  return r;
}

double tokens_per_second(const BenchReport& r) { return rate(r.tokens, r.placement.model.layers * cycles_of(r.layer), r.placement.device); }

RequestReport bench_request(const BenchSetup& s, int64_t input, int64_t output) {
  RequestReport r{.placement = placement_of(s), .input = input, .output = output};
  const time::RequestTimer timer = request_timer(s.lowered, s.device);
  r.prefill = timer.prefill(input);
  r.transition = timer.transition(input);
  r.decode = timer.decode(input, output - 1);
  return r;
}

int64_t cycles(const RequestReport& r) { return cycles_of(r.prefill) + cycles_of(r.transition) + cycles_of(r.decode); }

// ---- printing --------------------------------------------------------------------------------------------------------------------

std::string bench_text(const BenchReport& r) {
  const Device& d = r.placement.device;
  const bool prefill = r.what == "prefill";
  const std::string what = prefill ? fmt::format("{} in chunks of {}", counted(r.tokens, "token"), r.placement.plan.chunk)
                                   : fmt::format("a token at position {}", r.placement.plan.context - 1);
  std::vector<Row> rows = {
      {r.what, what},
      {"one layer", time_text(cycles_of(r.layer), d)},
      {"  all layers", fmt::format("{} tokens/s", significant(tokens_per_second(r)))},
      {"whole", fmt::format("{}, {} tokens/s, with embedding, hand-overs, LM head and choice", time_text(cycles_of(r.whole), d),
                            significant(rate(r.tokens, cycles_of(r.whole), d)))},
      {"host", fmt::format("{} s to time it, {} s with planning and checks", significant(r.timing_seconds), significant(r.host_seconds))},
  };
  if (const std::string alike = extrapolation_text(r.whole); !alike.empty()) rows.push_back({"taken as", alike});
  return setup_text(r.placement) + table(rows, "ll") + "\n" + steps_table(r.layer, "steps of one layer") + "\n" +
         steps_table(r.whole, prefill ? "steps of the prompt" : "steps of the token");
}

std::string bench_json(const BenchReport& r) {
  const Device& d = r.placement.device;
  const bool prefill = r.what == "prefill";
  Json json = setup_json(r.what, r.placement);
  add_phase(json, prefill ? r.placement.plan.prefill : r.placement.plan.decode);
  if (prefill) {
    json["tokens"] = r.tokens;
    json["chunk"] = r.placement.plan.chunk;
    json["keep_scores"] = r.placement.plan.keep_scores;
  } else {
    json["position"] = r.placement.plan.context - 1;
  }
  json["cycles"] = cycles_of(r.layer);
  json["seconds"] = seconds(cycles_of(r.layer), d);
  json["tokens_per_second"] = tokens_per_second(r);
  json["steps"] = steps_json(r.layer);
  json["extrapolation"] = extrapolation_json(r.whole);
  json[prefill ? "prompt" : "token"] = part_json(r.whole, r.tokens, d);
  json["memory"] = memory_json(r.placement);
  json["colours_max"] = colours_max(r.placement);
  json["timing_seconds"] = r.timing_seconds;
  add_advice(json, r.placement.advice);
  json["host_seconds"] = r.host_seconds;
  return json_line(json);
}

std::string bench_text(const RequestReport& r) {
  const Device& d = r.placement.device;
  const int64_t all = cycles(r);
  std::vector<Row> rows = {{"part", "tokens", "cycles", "ms", "share", "tokens/s"}};
  const auto row = [&](const std::string& name, int64_t tokens, int64_t c) {
    rows.push_back({name, tokens > 0 ? grouped(tokens) : "", grouped(c), significant(1e3 * seconds(c, d)),
                    fmt::format("{:.1f}%", 100.0 * static_cast<double>(c) / static_cast<double>(all)),
                    tokens > 0 && c > 0 ? significant(rate(tokens, c, d)) : ""});
  };
  row("prefill", r.input, cycles_of(r.prefill));
  row("transition", 0, cycles_of(r.transition));
  row("decode", r.output - 1, cycles_of(r.decode));
  row("whole", r.output, all);
  std::vector<Row> host = {{"host", fmt::format("{} s to time it", significant(r.host_seconds))}};
  for (const auto& [part, title] :
       {std::pair(&r.prefill, "prefill"), std::pair(&r.transition, "transition"), std::pair(&r.decode, "decode")})
    if (const std::string alike = extrapolation_text(*part); !alike.empty()) host.push_back({title, alike});
  return setup_text(r.placement) + table(host, "ll") + "\n" + table(rows, "lrrrrr");
}

std::string bench_json(const RequestReport& r) {
  const Device& d = r.placement.device;
  const int64_t all = cycles(r);
  Json json = setup_json("e2e", r.placement);
  json["prefill_mesh"] = mesh_of(r.placement.plan.prefill);
  json["decode_mesh"] = mesh_of(r.placement.plan.decode);
  json["chunk"] = r.placement.plan.chunk;
  json["input"] = r.input;
  json["output"] = r.output;
  json["cycles"] = all;
  json["seconds"] = seconds(all, d);
  json["tokens_per_second"] = rate(r.output, all, d);
  json["steps"] = {{{"name", "prefill"}, {"cycles", cycles_of(r.prefill)}},
                   {{"name", "transition"}, {"cycles", cycles_of(r.transition)}},
                   {{"name", "decode"}, {"cycles", cycles_of(r.decode)}}};
  json["prefill"] = part_json(r.prefill, r.input, d);
  json["transition"] = part_json(r.transition, 0, d);
  json["decode"] = part_json(r.decode, r.output - 1, d);
  json["memory"] = memory_json(r.placement);
  json["colours_max"] = colours_max(r.placement);
  add_advice(json, r.placement.advice);
  json["host_seconds"] = r.host_seconds;
  return json_line(json);
}

}  // namespace wafer
