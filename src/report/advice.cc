#include "report/advice.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

double prefill_rate(const FasterPlan& p, double hz) {
  return static_cast<double>(p.by.prompt) * hz / static_cast<double>(p.prefill_cycles);
}
double decode_rate(const FasterPlan& p, double hz) { return static_cast<double>(p.by.steps) * hz / static_cast<double>(p.decode_cycles); }

std::string measure_of(const Comparison& by) {
  const std::string prompt = "a prompt of " + counted(by.prompt, "token");
  if (by.steps == 0) return prompt;
  if (by.prompt == 0) return fmt::format("a token at position {}", grouped(by.first));
  return fmt::format("{} and {} of decode", prompt, counted(by.steps, "step"));
}

// So that lines of a report end within 80 letters: its names and the gap take 9.
constexpr size_t kWidth = 71;

}  // namespace

Advice advise(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, const Plan& plan,
              const Comparison& by, std::optional<Goal> goal) {
  Advice out{.clock_hz = device.clock_hz};
  if (by.prompt > 0) out.slow = slow_chunk(config, types, device, request, plan);
  if (goal)
    out.not_looked_for = "--goal has searched";
  else if (request.prefill_mesh || request.decode_mesh)
    out.not_looked_for = "a mesh was given";
  else if (by.prompt == 0 && by.steps == 0)
    out.not_looked_for = "nothing is timed";
  else if (out.slow && request.chunk > 0)
    out.not_looked_for = "--chunk is what makes it slow";
  else
    out.faster = faster_plan(config, types, device, request, plan, by);
  return out;
}

std::string options_of(const FasterPlan& p) {
  const std::string chunk = fmt::format(" --chunk {}", p.chunk);
  if (p.by.steps == 0) return "--mesh " + mesh_text(p.prefill_mesh) + chunk;
  if (p.by.prompt == 0) return "--mesh " + mesh_text(p.decode_mesh);
  return "--prefill-mesh " + mesh_text(p.prefill_mesh) + " --decode-mesh " + mesh_text(p.decode_mesh) + chunk;
}

std::vector<Row> advice_rows(const Advice& a) {
  std::vector<Row> rows;
  if (const auto& f = a.faster) {
    // Options stay whole, to be copied, and rates with what they are of.
    std::vector<std::string> pieces = words_of(fmt::format("{} times for {}:", significant(f->speedup), measure_of(f->by)));
    const bool prefill = f->by.prompt > 0, decode = f->by.steps > 0;
    pieces.push_back(options_of(*f));
    if (prefill)
      pieces.push_back(fmt::format("(prefill {} tokens/s{}", grouped(std::llround(prefill_rate(*f, a.clock_hz))), decode ? "," : ");"));
    if (decode)
      pieces.push_back(fmt::format("{}decode {} tokens/s);", prefill ? "" : "(", grouped(std::llround(decode_rate(*f, a.clock_hz)))));
    pieces.push_back("--goal latency searches further");
    rows = wrapped_rows("faster", pieces, kWidth);
  }
  if (const auto& s = a.slow) {
    const std::string text =
        s->longer_fits ? fmt::format("chunks of {} make prefill about {:.0f} times slower than chunks of {}, which fit on this mesh too",
                                     counted(s->chunk, "token"), s->times, grouped(s->longer))
                       : fmt::format(
                             "chunks of {}, for want of bytes, make prefill about {:.0f} times slower than chunks of {} would be "
                             "on as many cores: give it more cores, or fewer bytes",
                             counted(s->chunk, "token"), s->times, grouped(s->longer));
    for (Row& row : wrapped_rows("slow", words_of(text), kWidth)) rows.push_back(std::move(row));
  }
  return rows;
}

void add_advice(Json& json, const Advice& a) {
  json["faster_plan"] = nullptr;
  json["faster_plan_note"] = a.not_looked_for.empty() ? Json(nullptr) : Json("not looked for: " + a.not_looked_for);
  json["slow_chunk"] = nullptr;
  if (const auto& f = a.faster) {
    const bool prefill = f->by.prompt > 0, decode = f->by.steps > 0;
    json["faster_plan"] = {{"goal", name(Goal::latency)},
                           {"options", options_of(*f)},
                           {"measure", measure_of(f->by)},
                           {"prefill_mesh", prefill ? Json(mesh_text(f->prefill_mesh)) : Json(nullptr)},
                           {"decode_mesh", decode ? Json(mesh_text(f->decode_mesh)) : Json(nullptr)},
                           {"chunk", prefill ? Json(f->chunk) : Json(nullptr)},
                           {"prefill_tokens_per_second", prefill ? Json(prefill_rate(*f, a.clock_hz)) : Json(nullptr)},
                           {"decode_tokens_per_second", decode ? Json(decode_rate(*f, a.clock_hz)) : Json(nullptr)},
                           {"speedup", f->speedup}};
  }
  if (const auto& s = a.slow)
    json["slow_chunk"] = {{"chunk", s->chunk}, {"longer", s->longer}, {"longer_fits", s->longer_fits}, {"times_slower", s->times}};
}

}  // namespace wafer
