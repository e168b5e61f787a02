#include "report/search_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/text.h"

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShown = 4;  // of each phase

bool taken(const SearchResult& r, const Timed& t) {
  const Plan& p = r.plan.plan;
  const PhasePlan& phase = t.part == Part::prefill ? p.prefill : p.decode;
  return !phase.regions.empty() && mesh::extent(phase.regions.front().rect) == t.mesh && phase.regions.size() == t.plan.regions.size() &&
         (t.part == Part::prefill ? p.chunk == t.chunk && p.keep_scores == t.keep_scores : p.groups == t.groups);
}

std::string how(const Timed& t) {
  if (t.part == Part::prefill) return fmt::format("chunks of {}", t.chunk);
  return t.groups.empty() ? "even groups" : fmt::format("groups {}", fmt::join(t.groups, ", "));
}

}  // namespace

std::string search_text(const SearchResult& r, const Device& device) {
  const auto seconds = [&](int64_t cycles) { return significant(static_cast<double>(cycles) / device.clock_hz); };
  const std::string what = fmt::format("a prompt of {} and {}{}", counted(r.prompt, "token"), counted(r.generated, "token"),
                                       r.goal == Goal::latency ? ", one request alone" : ", every region at work on another request");
  std::string text = table(
      {{"search", fmt::format("for {}: {}", name(r.goal), what)},
       {"tried", fmt::format("{}, {} timed, in {} s", counted(r.candidates, "candidate"), r.prefill.size() + r.decode.size(),
                             significant(r.host_seconds))},
       {"refused", fmt::format("{} by bytes, {} by colours or other rules, {} by the way from prefill to decode",
                               grouped(r.refused.too_many_bytes), grouped(r.refused.too_many_colours), grouped(r.refused.transition))},
       {"measure", r.sampled
                       ? "a token exactly; a prompt by its first and last chunk and the first steps of each product, 10 to 15 % too long"
                       : "a token exactly; a prompt by its first and last chunk"},
       {"taken", r.request_cycles == 0
                     ? "nothing: no pair of phases fits"
                     : fmt::format("{} cycles a request, {} s; without search {}", grouped(r.request_cycles), seconds(r.request_cycles),
                                   r.default_cycles > 0 ? grouped(r.default_cycles) : "none fits")}},
      "ll");
  std::vector<Row> rows = {{"phase", "mesh", "regions", "", "cycles", "of a stage", ""}};
  for (const std::vector<Timed>* list : {&r.prefill, &r.decode})
    for (size_t i = 0; i < list->size(); i++) {
      const Timed& t = (*list)[i];
      const bool mark = taken(r, t);
      if (i >= kShown && !mark && !t.by_rule) continue;
      rows.push_back({t.part == Part::prefill ? "prefill" : "decode", mesh_text(t.mesh), grouped(t.regions), how(t), grouped(t.cycles),
                      grouped(t.stage_cycles),
                      mark && t.by_rule ? "taken, as without search"
                      : mark            ? "taken"
                      : t.by_rule       ? "without search"
                                        : ""});
    }
  return text + "\n" + table(rows, "lrrlrrl");
}

Json search_json(const SearchResult& r) {
  Json best = Json::array();
  for (const std::vector<Timed>* list : {&r.prefill, &r.decode})
    for (const Timed& t : *list) {
      Json row = {{"phase", t.part == Part::prefill ? "prefill" : "decode"}, {"mesh", mesh_text(t.mesh)}, {"regions", t.regions}};
      if (t.part == Part::prefill)
        row["chunk"] = t.chunk;
      else
        row["groups"] = t.groups;
      row["cycles"] = t.cycles;
      row["stage_cycles"] = t.stage_cycles;
      row["taken"] = taken(r, t);
      row["without_search"] = t.by_rule;
      best.push_back(row);
    }
  return {{"goal", name(r.goal)},
          {"prompt", r.prompt},
          {"tokens", r.generated},
          {"candidates", r.candidates},
          {"timed", r.prefill.size() + r.decode.size()},
          {"refused", {{"bytes", r.refused.too_many_bytes}, {"colours", r.refused.too_many_colours}, {"transition", r.refused.transition}}},
          {"prefill_sampled", r.sampled},
          {"cycles", r.request_cycles > 0 ? Json(r.request_cycles) : Json(nullptr)},
          {"cycles_without_search", r.default_cycles > 0 ? Json(r.default_cycles) : Json(nullptr)},
          {"best", best},
          {"host_seconds", r.host_seconds}};
}

}  // namespace wafer
