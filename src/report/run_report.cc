#include "report/run_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "report/chip_print.h"
#include "report/json_line.h"
#include "report/text.h"

namespace wafer {

std::string run_text(const RunReport& r) {
  const auto prompt = static_cast<int64_t>(r.prompt_tokens.size());
  const std::string how = r.prefill_chunks > 0 ? "in " + counted(r.prefill_chunks, "chunk") : "one by one through decode";
  std::vector<Row> rows = {
      {"text", fmt::format("{} after a prompt of {}{}", counted(static_cast<int64_t>(r.tokens.size()), "token"), prompt,
                           r.stopped ? ", ended by a stop token" : "")},
      {"host", fmt::format("{}, {}, {} s in all", r.isa, counted(r.threads, "thread"), significant(r.seconds))},
      {"  prefill", fmt::format("{} {}, {} s, {} tokens/s", counted(prompt, "token"), how, significant(r.prefill_seconds),
                                per_second(prompt, r.prefill_seconds))},
      {"  decode", r.decode_steps == 0 ? "no step"
                                       : fmt::format("{}, {} s, {} tokens/s", counted(r.decode_steps, "step"),
                                                     significant(r.decode_seconds), per_second(r.decode_steps, r.decode_seconds))},
  };
  rows.push_back({"  report", fmt::format("{} s to time the chip", significant(r.report_seconds))});
  if (r.overflows > 0)
    rows.push_back(
        {"overflow", fmt::format("{} became infinite or NaN in {}", counted(r.overflows, "value"), name_of(r.placement.plan.numerics))});
  std::string text = placement_text(r.placement) + "\n" + chip_text(r.chip) + "\n";
  if (r.chip.request.decode_steps > 0) text += kinds_text(r.chip.decode, "decode's cycles by kind") + "\n";
  return text + table(rows, "ll");
}

std::string run_json(const RunReport& r) {
  using Json = nlohmann::ordered_json;
  const auto rate = [](int64_t things, double seconds) {
    return things > 0 && seconds > 0 ? Json(static_cast<double>(things) / seconds) : Json(nullptr);
  };
  const PlacementReport& p = r.placement;
  Json prefill = prefill_json(p);
  add_prefill_time(prefill, r.chip);
  Json transition = transition_json(p), decode = decode_json(p);
  add_transition_time(transition, r.chip);
  add_decode_time(decode, r.chip);
  Json json = {{"text", r.text},
               {"prompt_tokens", r.prompt_tokens},
               {"tokens", r.tokens},
               {"stopped", r.stopped},
               {"model", p.model.name},
               {"device", p.device.name},
               {"plan", p.plan.name},
               {"numerics", name_of(p.plan.numerics)},
               {"context", p.plan.context},
               {"prefill", prefill},
               {"transition", transition},
               {"decode", decode},
               {"chip", chip_json(r.chip)},
               {"energy_joules", joules_by_power(r.chip)},
               {"energy", energy_json(r.chip)},
               {"memory", memory_json(p)},
               {"colours_max", colours_max(p)},
               {"overflows", r.overflows},
               {"host",
                {{"seconds", r.seconds},
                 {"prefill_seconds", r.prefill_seconds},
                 {"decode_seconds", r.decode_seconds},
                 {"report_seconds", r.report_seconds},
                 {"prefill_tokens_per_second", rate(static_cast<int64_t>(r.prompt_tokens.size()), r.prefill_seconds)},
                 {"decode_tokens_per_second", rate(r.decode_steps, r.decode_seconds)},
                 {"isa", r.isa},
                 {"threads", r.threads}}}};
  add_advice(json, p.advice);
  return json_line(json);
}

}  // namespace wafer
