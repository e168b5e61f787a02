// waferllm: the command line. The only file that knows CLI11. Options are taken as text; the commands turn them into values, so that
// every fault in one is told in the same words: what was found, what is taken, what to do.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <new>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/gguf.h"
#include "text/utf8.h"

namespace wafer::cli {
namespace {

constexpr const char* kCommands = "run, plan, inspect, devices or tokenize";
constexpr int kDone = 0, kOurFault = 1, kBadInput = 2;

CLI::Option* text_option(CLI::App* app, const std::string& names, std::string& target, const std::string& value, const std::string& help) {
  return app
      ->add_option_function<std::string>(
          names, [&target](const std::string& text) { target = text; }, help)
      ->type_name(value);
}
CLI::Option* text_option(CLI::App* app, const std::string& names, Given& target, const std::string& value, const std::string& help) {
  return app
      ->add_option_function<std::string>(
          names, [&target](const std::string& text) { target = text; }, help)
      ->type_name(value);
}

void add_plan_options(CLI::App* app, PlanArguments& a) {
  text_option(app, "--device", a.device, "NAME", "a device of `waferllm devices`, or the path of a device file (default: wse2)");
  text_option(app, "--plan", a.plan, "PLAN", "how the work is laid out: waferllm (default; the only one so far)");
  text_option(app, "--numerics", a.numerics, "KIND",
              "mixed: operands fp16, sums fp32 (default); fp16: all in fp16, as the paper runs;\nfp32: all in fp32, for checking");
  text_option(app, "--mesh", a.mesh, "WxH",
              "cores of every region of both phases, such as 360x360 (default: the planner's choice).\nA mesh given here is used even "
              "where its cores are too full; a warning says by how much");
  text_option(app, "--prefill-mesh", a.prefill_mesh, "WxH", "the same for prefill alone");
  text_option(app, "--decode-mesh", a.decode_mesh, "WxH", "the same for decode alone");
  text_option(app, "--chunk", a.chunk, "TOKENS", "tokens of a prefill chunk (default: the whole prompt, or as many as fit)");
  text_option(app, "--clock", a.clock, "HZ", "clock of the device, such as 1.1e9 (default: the device file's)");
  text_option(app, "--code-bytes", a.code_bytes, "BYTES", "bytes of each core that code and system take (default: the device file's)");
  app->add_flag("--json", a.json, "one JSON object on stdout and nothing else");
}

void add_run(CLI::App& app, RunArguments& a) {
  CLI::App* run = app.add_subcommand("run", "write text with a checkpoint, computed on the cores of a device");
  text_option(run, "-m,--model", a.plan.model, "FILE", "the checkpoint, a GGUF file")->required();
  text_option(run, "-p,--prompt", a.prompt, "TEXT", "the prompt; \"\" for none. It is not echoed");
  text_option(run, "-f,--prompt-file", a.prompt_file, "FILE", "the prompt from a file, every byte as it is; - for stdin");
  text_option(run, "--prompt-ids", a.prompt_ids, "IDS", "the prompt as token ids, such as \"1 403 407\"; no BOS is added");
  text_option(run, "-n,--tokens", a.tokens, "N", "tokens to generate at most (default: 128); 0: prefill alone");
  text_option(run, "--temperature", a.temperature, "T",
              "0: always the likeliest token, chosen on the mesh (default); above: drawn by the host");
  text_option(run, "--top-k", a.top_k, "K", "draw among the K likeliest; 0: all (default)");
  text_option(run, "--top-p", a.top_p, "P", "draw among the likeliest that reach probability P together; 1: all (default)");
  text_option(run, "--seed", a.seed, "S", "the same seed draws the same text (default: 0)");
  add_plan_options(run, a.plan);
  run->add_flag("--token-by-token", a.token_by_token,
                "feed the prompt through the decode program, one token at a time, instead of prefill");
  text_option(run, "--logits", a.logits, "FILE",
              "write the logits after the prompt and after each token fed back:\n\"LGT1\", i32 rows, i32 vocabulary, then each row: i32 "
              "position, i32 token, f32 logits");
  run->add_flag("--all-logits", a.all_logits, "in that file every position of the prompt too");
  text_option(run, "--threads", a.threads, "T", "threads of the host (default: one for each CPU); they change no bit of the result");
  run->footer(
      "The text alone goes to stdout, the report to stderr.\n\n"
      "Examples:\n"
      "  waferllm run -m model.gguf -p \"Once upon a time\" -n 200\n"
      "  waferllm run -m model.gguf -p \"Once\" --temperature 0.8 --top-p 0.9 --seed 7 --mesh 64x64\n"
      "  waferllm run -m model.gguf --prompt-ids \"1 403\" -n 0 --numerics fp32 --logits out.bin --all-logits\n"
      "  waferllm run -m model.gguf -f prompt.txt --json | jq .memory");
  run->callback([&a] { run_command(a); });
}

void add_plan(CLI::App& app, PlanCommandArguments& a) {
  CLI::App* plan =
      app.add_subcommand("plan", "show where a model's layers and bytes lie on a device, whether they fit, and what a token costs");
  text_option(plan, "-m,--model", a.plan.model, "FILE", "a checkpoint (GGUF) or a shape (TOML, as in models/)")->required();
  text_option(plan, "--context", a.context, "N",
              "tokens, prompt and text together, that the KV cache holds\n(default: the model's context, at most 4096)");
  add_plan_options(plan, a.plan);
  plan->add_flag("--no-time", a.no_time, "placement alone, without cycles");
  plan->footer(
      "A plan that does not fit is an answer: the exit status is 0 and the report says by how much.\n\n"
      "Examples:\n"
      "  waferllm plan -m models/llama3-8b.toml --device wse2 --context 4096\n"
      "  waferllm plan -m models/llama3-8b.toml --prefill-mesh 660x660 --decode-mesh 360x360 --json | jq .regions");
  plan->callback([&a] { plan_command(a); });
}

void add_inspect(CLI::App& app, InspectArguments& a) {
  CLI::App* inspect = app.add_subcommand("inspect", "show what a model's file holds: config, tokenizer, tensors");
  text_option(inspect, "MODEL,-m,--model", a.model, "", "a checkpoint (GGUF) or a shape (TOML)")->required();
  inspect->add_flag("--json", a.json, "one JSON object");
  inspect->footer("Example:\n  waferllm inspect model.gguf --json | jq .totals");
  inspect->callback([&a] { inspect_command(a); });
}

void add_devices(CLI::App& app, DevicesArguments& a) {
  CLI::App* devices = app.add_subcommand("devices", "list the devices, or every number of one with unit and source");
  text_option(devices, "NAME", a.name, "", "a device, or the path of a device file; without it all devices are listed");
  devices->add_flag("--json", a.json, "one JSON object");
  devices->footer("Examples:\n  waferllm devices\n  waferllm devices wse2");
  devices->callback([&a] { devices_command(a); });
}

void add_tokenize(CLI::App& app, TokenizeArguments& a) {
  CLI::App* tokenize = app.add_subcommand("tokenize", "turn text into token ids, or ids into text, line by line");
  text_option(tokenize, "-m,--model", a.model, "FILE", "the checkpoint whose tokenizer is used")->required();
  tokenize->add_flag("--decode", a.decode, "stdin holds arrays of ids, stdout gets strings");
  tokenize->add_flag("--no-special", a.no_special, "special tokens in a text are plain text; with --decode: they are left out");
  tokenize->add_flag("--bos", a.bos, "put BOS first");
  tokenize->footer(
      "One JSON value a line on stdin and on stdout: strings to arrays of ids, or with --decode the other way.\n"
      "Bytes that are no UTF-8 come back as U+FFFD.\n\n"
      "Examples:\n"
      "  echo '\"Once upon a time\"' | waferllm tokenize -m model.gguf --bos\n"
      "  echo '[1, 403, 407]' | waferllm tokenize -m model.gguf --decode");
  tokenize->callback([&a] { tokenize_command(a); });
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  while (text.ends_with(' ') || text.ends_with('.')) text.pop_back();
  return to_valid_utf8(text);
}

int parse_and_run(int argc, char** argv) {
  RunArguments run;
  PlanCommandArguments plan;
  InspectArguments inspect;
  DevicesArguments devices;
  TokenizeArguments tokenize;
  CLI::App app("LLM inference on wafer-scale chips: a checkpoint and a device go in, text and what lies where come out.", "waferllm");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  add_run(app, run);
  add_plan(app, plan);
  add_inspect(app, inspect);
  add_devices(app, devices);
  add_tokenize(app, tokenize);
  app.footer("`waferllm COMMAND --help` tells more. Exit status: 0 done, 1 a fault of this program, 2 bad input.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    write_out(app.help());
  } catch (const CLI::ParseError& e) {
    const auto chosen = app.get_subcommands();
    if (chosen.empty())
      throw Error{{.where = "command line",
                   .found = argc > 1 ? wafer::quoted(argv[1]) : "no command",
                   .expected = kCommands,
                   .fix = "see waferllm --help"}};
    write_err(fmt::format("waferllm: {}; see waferllm {} --help\n", one_line(e.what()), chosen.front()->get_name()));
    return kBadInput;
  }
  return kDone;
}

// Descriptors 0, 1 and 2 are taken by something, so that no file opened later becomes stdout or stderr. What was closed stays unwritable.
void occupy_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) != fd) std::_Exit(kOurFault);
}

}  // namespace
}  // namespace wafer::cli

int main(int argc, char** argv) {
  using namespace wafer::cli;
  occupy_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a write tells of a reader that has hung up
  try {
    return parse_and_run(argc, argv);
  } catch (const wafer::Error& e) {
    write_err(fmt::format("waferllm: {}\n", wafer::to_valid_utf8(e.what())));
    return kBadInput;
  } catch (const std::bad_alloc&) {
    write_err("waferllm: the host has not enough memory for this\n");
  } catch (const std::exception& e) {
    write_err(fmt::format("waferllm: our own fault: {}\n", one_line(e.what())));
  }
  return kOurFault;
}
