#include "engine/session.h"

#include <fmt/format.h>

#include <chrono>

#include "base/check.h"
#include "base/error.h"
#include "mesh/locality.h"

namespace wafer {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_program(const Session& session) {
  for (const mesh::Diagnostic& d : mesh::prove(session.lowered->program(), limits_of(session.device)))
    if (d.rule != mesh::Rule::bytes)
      throw Error(
          {.where = d.where, .found = d.text, .expected = "a program that the device can run", .fix = "choose another mesh or device"});
}

void check_prompt(const Session& session, std::span<const int32_t> prompt, int64_t max_tokens) {
  if (prompt.empty())
    throw Error(
        {.where = "prompt", .found = "no token", .expected = "at least one", .fix = "give a prompt; this model puts no BOS before it"});
  const int64_t vocab = session.model.config.vocab, context = session.plan.plan.context;
  for (size_t i = 0; i < prompt.size(); i++)
    if (prompt[i] < 0 || prompt[i] >= vocab)
      throw Error({.where = fmt::format("prompt, token {}", i),
                   .found = fmt::format("id {}", prompt[i]),
                   .expected = fmt::format("0 to {}", vocab - 1),
                   .fix = "use ids of this model's vocabulary"});
  if (const int64_t most = session.plan.plan.max_prompt; static_cast<int64_t>(prompt.size()) > most)
    throw Error({.where = "prompt",
                 .found = fmt::format("{} tokens", prompt.size()),
                 .expected = fmt::format("at most {}, for which the session was planned", most),
                 .fix = "open a session for longer prompts"});
  if (static_cast<int64_t>(prompt.size()) + max_tokens > context)
    throw Error({.where = "prompt",
                 .found = fmt::format("{} tokens and {} to generate", prompt.size(), max_tokens),
                 .expected = fmt::format("at most {} positions", context),
                 .fix = "shorten the prompt or ask for fewer tokens"});
}

// One generation: where it stands, and what has been chosen.
struct Run {
  Session& session;
  const GenerateOptions& options;
  Generation out;
  Sampler sampler;
  int64_t cached = 0;  // positions in the cache

  mesh::Params params(int64_t rows, int64_t row = 0) const {
    return {.cached = cached, .rows = rows, .row = row, .chunk = session.plan.plan.chunk};
  }

  // Progress inside a chunk of a prefill: the share of its layers.
  void report_layers(double share) const {
    if (!options.progress || options.token_by_token) return;
    const double n = static_cast<double>(out.prompt.size()),
                 rows = std::min(static_cast<double>(session.plan.plan.chunk), n - static_cast<double>(cached));
    options.progress("prefill", (static_cast<double>(cached) + share * rows) / n);
  }

  void report_logits(int64_t position, int32_t token) const {
    if (options.on_logits) options.on_logits(position, token, run::logits(*session.machine));
  }

  int32_t choose() {
    return session.plan.plan.host_choice ? sample(sampler, run::logits(*session.machine)) : run::chosen(*session.machine);
  }

  void prefill(std::span<const int32_t> prompt) {
    const int64_t n = static_cast<int64_t>(prompt.size()), chunk = session.plan.plan.chunk;
    while (cached < n) {
      const int64_t rows = std::min(chunk, n - cached);
      run::run(*session.machine, "prefill", params(rows), prompt.subspan(static_cast<size_t>(cached), static_cast<size_t>(rows)));
      out.prefill_chunks++;
      const bool last = cached + rows == n;
      for (int64_t row = options.all_logits ? 0 : rows - 1; row < rows; row++) {
        if (!options.all_logits && !last) break;
        run::run(*session.machine, "row", params(rows, row), {});
        report_logits(cached + row, prompt[static_cast<size_t>(cached + row)]);
      }
      cached += rows;
      if (options.progress) options.progress("prefill", static_cast<double>(cached) / static_cast<double>(n));
    }
    run::run(*session.machine, "transition", params(0), {});
  }

  void step(int32_t token, bool report) {
    run::run(*session.machine, "decode", params(1), std::span(&token, 1));
    if (report) report_logits(cached, token);
    cached++;
  }

  void feed_one_by_one(std::span<const int32_t> prompt) {
    CHECK(session.plan.plan.host_choice, "the prompt's tokens come from the host");
    run::run(*session.machine, "transition", params(0), {});
    for (size_t i = 0; i < prompt.size(); i++) {
      step(prompt[i], options.all_logits || i + 1 == prompt.size());
      if (options.progress) options.progress("prompt", static_cast<double>(i + 1) / static_cast<double>(prompt.size()));
    }
  }

  void decode() {
    while (static_cast<int64_t>(out.tokens.size()) < options.max_tokens) {
      const int32_t token = choose();
      if (is_stop(session.tokenizer, token)) {
        out.stopped = true;
        return;
      }
      out.tokens.push_back(token);
      if (options.on_token) options.on_token(token);
      if (static_cast<int64_t>(out.tokens.size()) == options.max_tokens) return;
      step(token, true);
      out.decode_steps++;
    }
  }
};

}  // namespace

Checkpoint load_checkpoint(const std::string& path) {
  const Gguf gguf = load_gguf(path);
  return {.model = load_model(gguf), .tokenizer = load_tokenizer(gguf)};
}

Session open_session(Checkpoint checkpoint, const SessionOptions& options) {
  Session s{.device = load_device(options.device), .model = std::move(checkpoint.model), .tokenizer = std::move(checkpoint.tokenizer)};
  if (options.clock_hz) set_device_field(s.device, "clock_hz", *options.clock_hz, "--clock");
  if (options.code_bytes) set_device_field(s.device, "code_and_system_bytes", static_cast<double>(*options.code_bytes), "--code-bytes");
  const WeightTypes types = types_of(s.model);
  if (options.progress) options.progress(options.goal ? "searching a plan" : "laying out the model", {});
  s.plan = options.goal ? search_plan(s.model.config, types, s.device, options.plan, *options.goal).plan
                        : make_plan(s.model.config, types, s.device, options.plan);
  const bool mesh_given = options.plan.prefill_mesh || options.plan.decode_mesh;
  if (!s.plan.fits && (!mesh_given || s.plan.plan.decode.regions.empty()))
    throw Error({.where = s.model.config.name + " on " + s.device.name,
                 .found = s.plan.reason,
                 .expected = "a plan that fits",
                 .fix = "use a smaller model, a shorter context, quantised weights or a larger device"});
  s.lowered = std::make_shared<const Lowered>(lower(s.model.config, types, s.plan.plan, limits_of(s.device).mesh));
  check_program(s);
  auto packed = run::pack_model(s.model, options.plan.numerics, [&](double share) {
    if (options.progress) options.progress("weights", share);
  });
  s.machine = run::make_machine(*s.lowered, std::move(packed));
  return s;
}

Generation generate(Session& session, std::span<const int32_t> prompt, const GenerateOptions& options) {
  check_prompt(session, prompt, options.max_tokens);
  Run run{
      .session = session, .options = options, .out = {.prompt = {prompt.begin(), prompt.end()}}, .sampler = make_sampler(options.sampler)};
  run::set_layer_progress(*session.machine, [&](double share) { run.report_layers(share); });
  const auto start = std::chrono::steady_clock::now();
  options.token_by_token ? run.feed_one_by_one(prompt) : run.prefill(prompt);
  run.out.prefill_seconds = seconds_since(start);
  run::set_layer_progress(*session.machine, {});
  const auto decode_start = std::chrono::steady_clock::now();
  run.decode();
  run.out.decode_seconds = seconds_since(decode_start);
  run.out.overflows = run::overflow_count(*session.machine);
  return std::move(run.out);
}

}  // namespace wafer
