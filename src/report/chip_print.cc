#include "report/chip_print.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "report/extrapolation.h"
#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

std::string whole(double n) { return grouped(std::llround(n)); }

double share_of(double part, double all) { return all > 0 ? part / all : 0; }

Row part_row(const std::string& name, const ChipTime& t, double cycles, const CoreCycles& cores, const std::string& rate) {
  const double all = cores.total();
  return {name,
          whole(cycles),
          significant(cycles / t.clock_hz),
          rate,
          percent(share_of(cores.compute, all)),
          percent(share_of(cores.communicate, all)),
          percent(share_of(cores.wait, all))};
}

// "each of 183 positions timed", "33 of 199 positions timed, ..."
std::string positions_text(const ChipTime& t) {
  if (t.positions_checked == 0) return "every position timed";
  return fmt::format("{} positions timed, linear between; at {} drawn at random the cycles differ by at most {}", t.positions_timed,
                     t.positions_checked, percent(t.largest_error));
}

std::string decode_text(const ChipTime& t) {
  const InferenceRequest& r = t.request;
  if (r.decode_steps == 1) return fmt::format("{} cycles at position {}", grouped(t.last_cycles), first_position(r));
  return fmt::format("{} cycles a token, {} at position {} to {} at position {}", whole(cycles_per_token(t)), grouped(t.first_cycles),
                     first_position(r), grouped(t.last_cycles), first_position(r) + r.decode_steps - 1);
}

std::string joules_text(const ChipTime& t) {
  const time::Energy e = energy_of(t);
  return fmt::format("{} J by activity (all assumed): multiply-adds {}, ramps {}, hops {}, actions {}, idle chip {}",
                     significant(e.total()), significant(e.multiply_adds), significant(e.ramps), significant(e.hops),
                     significant(e.actions), significant(e.idle));
}

Json shares_json(const CoreCycles& c) {
  const double all = c.total();
  return {{"computing", share_of(c.compute, all)}, {"communicating", share_of(c.communicate, all)}, {"waiting", share_of(c.wait, all)}};
}

Json steps_json(const PartTime& part) {
  Json list = Json::array();
  for (const StepCycles& s : part.steps)
    list.push_back({{"name", s.name},
                    {"kind", name(s.kind)},
                    {"count", std::llround(s.count)},
                    {"cycles", std::llround(s.cycles)},
                    {"share", share_of(s.cycles, part.cycles)}});
  return list;
}

void add_part(Json& json, const PartTime& part, const ChipTime& t) {
  json["cycles"] = std::llround(part.cycles);
  json["seconds"] = part.cycles / t.clock_hz;
  json["shares"] = shares_json(part.cores);
  json["joules"] = {{"power", t.power_watts * part.cycles / t.clock_hz}, {"activity", part.energy.total()}};
  json["steps"] = steps_json(part);
  json["extrapolation"] = extrapolation_json(part);
}

}  // namespace

std::string percent(double share) {
  const double p = 100 * share;
  return p == 0 ? "0 %" : p < 0.01 ? "< 0.01 %" : p < 1 ? fmt::format("{:.2f} %", p) : fmt::format("{:.1f} %", p);
}

std::string chip_text(const ChipTime& t) {
  const InferenceRequest& r = t.request;
  std::vector<Row> rows = {{"chip", "cycles", "seconds", "tokens/s", "compute", "transfer", "wait"}};
  if (r.token_by_token) rows.push_back(part_row("  transition", t, t.transition.cycles, t.transition.cores, ""));
  rows.push_back(part_row(r.token_by_token ? "  prompt" : "  prefill", t, t.prefill.cycles, t.prefill.cores,
                          significant(prefill_tokens_per_second(t))));
  if (!r.token_by_token) rows.push_back(part_row("  transition", t, t.transition.cycles, t.transition.cores, ""));
  if (r.decode_steps > 0)
    rows.push_back(part_row("  decode", t, t.decode.cycles, t.decode.cores, significant(decode_tokens_per_second(t))));
  rows.push_back(part_row("  all", t, cycles_of(t), core_cycles_of(t), ""));
  std::vector<Row> notes;
  std::string alike;
  for (const auto& [part, title] : {std::pair(&t.prefill, r.token_by_token ? "prompt" : "prefill"), std::pair(&t.transition, "transition"),
                                    std::pair(&t.decode, "decode")})
    if (part->extrapolated_cycles > 0)
      alike += fmt::format("{}{} {}", alike.empty() ? "" : ", ", title, percent(share_of(part->extrapolated_cycles, part->cycles)));
  if (!alike.empty()) notes.push_back({"  turns", turns_taken_alike() + ": " + alike});
  if (t.chunks > t.chunks_timed) notes.push_back({"  chunks", fmt::format("{} of {} timed, linear between", t.chunks_timed, t.chunks)});
  if (r.decode_steps > 0) {
    notes.push_back({"  token", decode_text(t)});
    if (r.decode_steps > 1) notes.push_back({"", positions_text(t)});
    notes.push_back(
        {"  host link ", fmt::format("{} tokens/s with a round trip of {} s for each token",
                                     significant(decode_tokens_per_second_with_host(t)), significant(t.host_round_trip_seconds))});
  } else if (r.token_by_token && t.positions_checked > 0) {
    notes.push_back({"  prompt", positions_text(t)});
  }
  notes.push_back({"  energy    ", fmt::format("{} J by chip power, {} W", significant(joules_by_power(t)), significant(t.power_watts))});
  notes.push_back({"", joules_text(t)});
  return table(rows, "lrrrrrr") + table(notes, "ll");
}

std::string kinds_text(const PartTime& part, const std::string& title) {
  std::vector<Row> rows = {{title, "cycles", "share"}};
  for (const StepCycles& s : by_kind(part))
    if (s.cycles > 0) rows.push_back({"  " + s.name, whole(s.cycles), percent(share_of(s.cycles, part.cycles))});
  return table(rows, "lrr");
}

std::string steps_text(const PartTime& part, const std::string& title) {
  std::vector<Row> rows = {{title, "kind", "times", "cycles", "share"}};
  for (const StepCycles& s : part.steps)
    rows.push_back({"  " + s.name, name(s.kind), whole(s.count), whole(s.cycles), percent(share_of(s.cycles, part.cycles))});
  rows.push_back({"  all", "", "", whole(part.cycles), "100 %"});
  return table(rows, "llrrr");
}

void add_prefill_time(Json& json, const ChipTime& t) {
  json["cycles"] = std::llround(t.prefill.cycles);
  json["seconds"] = t.prefill.cycles / t.clock_hz;
  json["tokens_per_second"] = prefill_tokens_per_second(t);
  add_part(json, t.prefill, t);
  json["chunks"] = t.chunks;
  json["chunks_timed"] = t.chunks_timed;
}

void add_transition_time(Json& json, const ChipTime& t) { add_part(json, t.transition, t); }

void add_decode_time(Json& json, const ChipTime& t) {
  const InferenceRequest& r = t.request;
  if (r.decode_steps > 0) {
    const double exact = cycles_per_token(t);
    json["cycles_per_token"] = exact == std::floor(exact) ? Json(std::llround(exact)) : Json(exact);
    json["tokens_per_second"] = decode_tokens_per_second(t);
    json["tokens_per_second_with_host_link"] = decode_tokens_per_second_with_host(t);
    json["first"] = {{"position", first_position(r)}, {"cycles", t.first_cycles}};
    json["last"] = {{"position", first_position(r) + r.decode_steps - 1}, {"cycles", t.last_cycles}};
  }
  json["tokens"] = r.decode_steps;
  json["positions_timed"] = t.positions_timed;
  json["positions_checked"] = t.positions_checked;
  json["largest_interpolation_error"] = t.largest_error;
  add_part(json, t.decode, t);
}

Json chip_json(const ChipTime& t) {
  return {{"clock_hz", t.clock_hz},
          {"host_round_trip_seconds", t.host_round_trip_seconds},
          {"cycles", std::llround(cycles_of(t))},
          {"seconds", seconds_of(t)},
          {"shares", shares_json(core_cycles_of(t))}};
}

Json energy_json(const ChipTime& t) {
  const time::Energy e = energy_of(t);
  return {
      {"power_watts", t.power_watts},
      {"joules_by_power", joules_by_power(t)},
      {"joules_by_activity", e.total()},
      {"activity", {{"multiply_adds", e.multiply_adds}, {"ramps", e.ramps}, {"hops", e.hops}, {"actions", e.actions}, {"idle", e.idle}}}};
}

Json kinds_json(const PartTime& part) {
  Json list = Json::array();
  for (const StepCycles& s : by_kind(part))
    list.push_back({{"kind", s.name}, {"cycles", std::llround(s.cycles)}, {"share", share_of(s.cycles, part.cycles)}});
  return list;
}

}  // namespace wafer
