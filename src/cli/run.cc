// waferllm run: a prompt in, text out; then the report.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/isa.h"
#include "base/parallel.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/logits_file.h"
#include "cli/output.h"
#include "cli/plan_request.h"
#include "engine/session.h"
#include "report/run_report.h"

namespace wafer::cli {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

// Options that contradict each other, before anything is loaded.
void refuse_conflicts(const RunArguments& a) {
  const int prompts = int{a.prompt.has_value()} + int{a.prompt_file.has_value()} + int{a.prompt_ids.has_value()};
  if (prompts != 1)
    throw Error{{.where = "prompt",
                 .found = prompts == 0 ? "none" : "more than one",
                 .expected = "one of -p, -f and --prompt-ids",
                 .fix = prompts == 0 ? "give -p \"Once upon a time\", or -p \"\" for none" : "leave the others out"}};
  if (a.all_logits && !a.logits)
    throw Error{{.where = "--all-logits", .found = "no --logits beside it", .expected = "--logits FILE, where they go", .fix = "add it"}};
  if (a.token_by_token && (a.plan.prefill_mesh || a.plan.chunk))
    throw Error{{.where = a.plan.prefill_mesh ? "--prefill-mesh" : "--chunk",
                 .found = "--token-by-token beside it, so that the prompt goes through decode",
                 .expected = "one of them",
                 .fix = "leave one of them out"}};
}

constexpr size_t kMostPromptBytes = size_t{1} << 28;  // encode() takes no more

// Pipes too: a FILE, not a map.
std::string read_prompt_file(const std::string& path) {
  const bool from_stdin = path == "-";
  std::FILE* file = from_stdin ? stdin : std::fopen(path.c_str(), "rb");
  std::string text;
  char block[1 << 16];
  for (size_t n = 1; file != nullptr && n > 0 && text.size() <= kMostPromptBytes;)
    text.append(block, n = std::fread(block, 1, sizeof block, file));
  const bool failed = file == nullptr || std::ferror(file) != 0;
  const int fault = errno;
  if (file != nullptr && !from_stdin) std::fclose(file);
  if (failed)
    throw Error{{.where = "-f " + path, .found = std::strerror(fault), .expected = "a text file, or - for stdin", .fix = "check the path"}};
  return text;
}

std::vector<int32_t> prompt_of(const RunArguments& a, const Checkpoint& checkpoint) {
  if (a.prompt_ids) return ids_of("--prompt-ids", *a.prompt_ids, checkpoint.model.config.vocab);
  const Tokenizer& t = checkpoint.tokenizer;
  const std::string text = a.prompt ? *a.prompt : read_prompt_file(*a.prompt_file);
  std::vector<int32_t> ids = encode(t, text, {.add_bos = t.add_bos && t.bos != kNoToken, .parse_special = true});
  if (ids.empty() && t.bos != kNoToken) ids.push_back(t.bos);
  if (ids.empty())
    throw Error{{.where = "prompt",
                 .found = "an empty text, and a vocabulary without BOS",
                 .expected = "at least one token to begin with",
                 .fix = "give some text"}};
  return ids;
}

void refuse_long(int64_t prompt, int64_t tokens, int64_t context) {
  if (prompt > context)
    throw Error{{.where = "prompt",
                 .found = fmt::format("{} tokens", prompt),
                 .expected = fmt::format("at most {}, the model's context", context),
                 .fix = "shorten the prompt"}};
  if (prompt + tokens > context)
    throw Error{{.where = "-n",
                 .found = fmt::format("a prompt of {} and {} tokens to generate, {} in all", prompt, tokens, prompt + tokens),
                 .expected = fmt::format("at most {}, the model's context", context),
                 .fix = context > prompt ? fmt::format("give -n {} or less, or shorten the prompt", context - prompt)
                                         : "shorten the prompt, or give -n 0"}};
}

SamplerOptions sampler_of(const RunArguments& a) {
  SamplerOptions options{.temperature = real_of("--temperature", a.temperature)};
  if (a.top_k) options.top_k = integer_of("--top-k", *a.top_k, 0, kMostTokens);
  if (a.top_p) options.top_p = real_of("--top-p", *a.top_p);
  if (a.seed) options.seed = seed_of("--seed", *a.seed);
  validate(options);
  return options;
}

// Options of drawing where nothing is drawn.
void refuse_idle_sampling(const RunArguments& a, const GenerateOptions& generation) {
  struct Idle {
    const char* option;
    const Given& value;
  };
  for (const auto& [option, value] : {Idle{"--top-k", a.top_k}, Idle{"--top-p", a.top_p}, Idle{"--seed", a.seed}}) {
    if (!value) continue;
    if (generation.sampler.temperature == 0)
      throw Error{{.where = option,
                   .found = wafer::quoted(*value) + " at temperature 0, where the likeliest token is taken and nothing is drawn",
                   .expected = "a --temperature above 0 beside it",
                   .fix = "add one, such as --temperature 0.8, or leave the option out"}};
    if (generation.max_tokens == 0)
      throw Error{{.where = option,
                   .found = wafer::quoted(*value) + " beside -n 0, so that nothing is drawn",
                   .expected = "tokens to generate",
                   .fix = "give a larger -n, or leave the option out"}};
  }
  if (generation.sampler.top_k != 1) return;
  for (const auto& [option, value] : {Idle{"--top-p", a.top_p}, Idle{"--seed", a.seed}})
    if (value)
      throw Error{{.where = option,
                   .found = wafer::quoted(*value) + " beside --top-k 1, with which the likeliest token is taken and nothing is drawn",
                   .expected = "a draw among two tokens at least",
                   .fix = "give a larger --top-k, or leave one of the two options out"}};
}

// Prints each token's text as soon as it is known to be whole characters, and keeps it for the report.
struct TextOut {
  const Tokenizer& tokenizer;
  bool print = true;
  Decoding decoding = {};
  Utf8Stream stream = {};
  std::string text = {};
};

void put(TextOut& out, std::string_view characters) {
  out.text += characters;
  if (out.print && !characters.empty()) write_out(characters);
}

void put_token(TextOut& out, int32_t token) { put(out, push(out.stream, next_piece(out.tokenizer, out.decoding, token))); }

// The prompt is not printed, but the text goes on from it: a space between the two is kept, and a character that the prompt's last bytes
// only begin comes out whole.
void go_on_from(TextOut& out, std::span<const int32_t> prompt) {
  for (const int32_t token : prompt) push(out.stream, next_piece(out.tokenizer, out.decoding, token));
}

// A text that ends inside a line is ended on stdout, so that what follows on a terminal begins on its own; it is no part of the text.
void end_text(TextOut& out) {
  put(out, flush(out.stream));
  if (out.print && !out.text.empty() && !out.text.ends_with('\n')) write_out("\n");
}

}  // namespace

void run_command(const RunArguments& a) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  refuse_published(a.plan, "it makes no text");
  refuse_conflicts(a);
  SessionOptions options{.device = a.plan.device,
                         .goal = goal_of(a.plan),
                         .plan = plan_request(a.plan),
                         .clock_hz = clock_of(a.plan),
                         .code_bytes = code_bytes_of(a.plan)};
  GenerateOptions generation{.max_tokens = integer_of("-n", a.tokens, 0, kMostTokens),
                             .sampler = sampler_of(a),
                             .all_logits = a.all_logits,
                             .token_by_token = a.token_by_token};
  refuse_idle_sampling(a, generation);
  if (a.threads) set_thread_count(static_cast<int>(integer_of("--threads", *a.threads, 1, 1024)));
  const Isa isa = current_isa();

  Progress progress;
  options.progress = generation.progress = [&](const std::string& what, std::optional<double> share) { progress.show(what, share); };
  if (kind_of(a.plan.model) == ModelKind::shape)
    throw Error{{.where = a.plan.model,
                 .found = "a shape, which has no weights",
                 .expected = "a GGUF checkpoint",
                 .fix = "name a .gguf file, or use `waferllm plan`, which needs no weights"}};
  Checkpoint checkpoint = load_checkpoint(a.plan.model);
  const ModelConfig config = checkpoint.model.config;
  const std::vector<int32_t> prompt = prompt_of(a, checkpoint);
  const auto prompt_length = static_cast<int64_t>(prompt.size());
  refuse_long(prompt_length, generation.max_tokens, config.context);
  options.plan.context = prompt_length + generation.max_tokens;
  options.plan.max_prompt = prompt_length;
  options.plan.host_choice = generation.sampler.temperature > 0 || a.token_by_token;  // the host feeds the next token
  Session session = open_session(std::move(checkpoint), options);
  if (!session.plan.fits) {
    progress.clear();
    write_err(fmt::format("waferllm: warning: does not fit: {}; goes on, because the mesh was given\n", escaped(session.plan.reason)));
  }

  std::optional<LogitsFile> logits;
  if (a.logits) {
    logits = open_logits_file(*a.logits, a.plan.model, config.vocab);
    generation.on_logits = [&](int64_t position, int32_t token, std::span<const float> values) {
      add_row(*logits, position, token, values);
    };
  }
  TextOut out{.tokenizer = session.tokenizer, .print = !a.plan.json};
  go_on_from(out, prompt);
  const bool seen = out.print && ::isatty(STDOUT_FILENO) == 1;  // text that streams to a terminal is its own progress
  int64_t count = 0;
  generation.on_token = [&](int32_t token) {
    if (seen) progress.stop();
    put_token(out, token);
    progress.show("tokens", static_cast<double>(++count) / static_cast<double>(generation.max_tokens));
  };
  const Generation result = generate(session, prompt, generation);
  progress.stop();
  end_text(out);
  if (logits) finish(*logits);

  const auto seconds_since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  const double seconds = seconds_since(start);
  const Clock::time_point report_start = Clock::now();
  const mesh::Program& program = session.lowered->program();
  std::optional<Working> working(std::in_place, "timing the chip");
  ChipTime chip = time_inference(program, session.plan.plan, session.device,
                                 {.prompt = prompt_length,
                                  .head_rows = a.all_logits ? prompt_length : 1,
                                  .token_by_token = a.token_by_token,
                                  .decode_steps = result.decode_steps});
  RunReport report{.text = out.text,
                   .prompt_tokens = result.prompt,
                   .tokens = result.tokens,
                   .stopped = result.stopped,
                   .placement = placement_report(config, session.device, session.plan, &program),
                   .chip = std::move(chip),
                   .prefill_chunks = result.prefill_chunks,
                   .decode_steps = result.decode_steps,
                   .overflows = result.overflows,
                   .isa = isa_name(isa),
                   .threads = thread_count(),
                   .seconds = seconds,
                   .prefill_seconds = result.prefill_seconds,
                   .decode_seconds = result.decode_seconds};
  if (!a.token_by_token) {
    const Comparison by{.prompt = prompt_length, .steps = result.decode_steps, .first = prompt_length, .cycles = cycles_of(report.chip)};
    report.placement.advice = advise(config, types_of(session.model), session.device, options.plan, session.plan.plan, by, options.goal);
  }
  report.report_seconds = seconds_since(report_start);
  working.reset();
  if (a.plan.json)
    write_out(run_json(report) + "\n");
  else
    write_err("\n" + run_text(report));
}

}  // namespace wafer::cli
