// waferllm: the command line. With parse_faults.cc the only file that knows CLI11. Options are taken as text; the commands turn them into
// values, so that every fault in one is told in the same words: what was found, what is taken, what to do.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <new>

#include "base/error.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/parse_faults.h"
#include "report/text.h"

namespace wafer::cli {
namespace {

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

constexpr const char* kPlans = "how the work is laid out: waferllm (default; the only one that makes text)";
constexpr const char* kBenchPlans =
    "how the work is laid out: waferllm (default), or published: the paper's measured kernels, one layer timed on a square mesh that is "
    "given, in fp16; no memory is checked";

// Where nothing is timed, options that only cycles depend on are not offered.
enum class Timed { yes, no };

void add_plan_options(CLI::App* app, PlanArguments& a, const char* plans = kPlans, Timed timed = Timed::yes) {
  text_option(app, "--device", a.device, "NAME", "a device of `waferllm devices`, or the path of a device file (default: wse2)");
  text_option(app, "--plan", a.plan, "PLAN", plans);
  text_option(app, "--numerics", a.numerics, "KIND",
              "mixed: operands fp16, sums fp32 (default); fp16: all in fp16, as the paper runs; fp32: all in fp32, for checking");
  text_option(app, "--mesh", a.mesh, "WxH",
              "cores of every region of both phases, such as 360x360 (default: the planner's choice). A mesh given here is used even "
              "where its cores are too full; a warning says by how much");
  if (timed == Timed::yes)
    text_option(app, "--prefill-mesh", a.prefill_mesh, "WxH", "the same for prefill alone; a head region by itself is decode's");
  text_option(app, "--decode-mesh", a.decode_mesh, "WxH", "the same for decode alone");
  if (timed == Timed::yes) {
    text_option(app, "--chunk", a.chunk, "TOKENS",
                "tokens of a prefill chunk; a prompt that is shorter is one chunk (default: the whole prompt, or as many as fit)");
    text_option(app, "--clock", a.clock, "HZ", "clock of the device, such as 1.1e9 (default: the device file's)");
  }
  text_option(app, "--code-bytes", a.code_bytes, "BYTES", "bytes of each core that code and system take (default: the device file's)");
  app->add_flag("--json", a.json, "one JSON object on stdout and nothing else");
}

void add_goal(CLI::App* app, PlanArguments& a) {
  text_option(
      app, "--goal", a.goal, "GOAL",
      "search meshes, chunks and trees by their cycles: latency, of one request; throughput, of a full pipeline (default: no search, "
      "the smallest mesh that holds the model)");
}

void add_run(CLI::App& app, RunArguments& a) {
  CLI::App* run = app.add_subcommand("run", "write text with a checkpoint, computed on the cores of a device");
  text_option(run, "-m,--model", a.plan.model, "FILE", "the checkpoint, a GGUF file")->required();
  text_option(run, "-p,--prompt", a.prompt, "TEXT", "the prompt; \"\" for none. It is not echoed");
  text_option(run, "-f,--prompt-file", a.prompt_file, "FILE", "the prompt from a file, every byte as it is; - for stdin");
  text_option(
      run, "--prompt-ids", a.prompt_ids, "IDS",
      "the prompt as token ids, with spaces or commas between them, such as \"1 403 407\", or as `tokenize` prints them; no BOS is added");
  text_option(run, "-n,--tokens", a.tokens, "N", "tokens to generate at most (default: 128); 0: prefill alone");
  text_option(run, "--temperature", a.temperature, "T",
              "0: always the likeliest token, chosen on the mesh (default); above: drawn by the host");
  text_option(run, "--top-k", a.top_k, "K", "draw among the K likeliest; 0: all (default). Needs --temperature, as the next two");
  text_option(run, "--top-p", a.top_p, "P", "draw among the likeliest that reach probability P together; 1: all (default)");
  text_option(run, "--seed", a.seed, "S", "the same seed draws the same text (default: 0); not beside --top-k 1, nor is --top-p");
  add_plan_options(run, a.plan);
  add_goal(run, a.plan);
  run->add_flag("--token-by-token", a.token_by_token,
                "feed the prompt through the decode program, one token at a time, instead of prefill");
  text_option(run, "--logits", a.logits, "FILE",
              "write the logits after the prompt and after each token fed back: \"LGT1\", i32 rows, i32 vocabulary, then each row: i32 "
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
              "tokens, prompt and text together, that the KV cache holds (default: the model's context, at most 4096)");
  add_plan_options(plan, a.plan);
  plan->add_flag("--no-time", a.no_time, "placement alone, without cycles");
  plan->add_flag("--roles", a.roles, "the classes of equal cores too: what each does, and its bytes of code");
  add_goal(plan, a.plan);
  plan->footer(
      "A plan that does not fit is an answer: the exit status is 0 and the report says by how much.\n\n"
      "Examples:\n"
      "  waferllm plan -m models/llama3-8b.toml --device wse2 --context 4096\n"
      "  waferllm plan -m models/tinyllama-1.1b.toml --prefill-mesh 400x400 --decode-mesh 300x300 --json | jq .regions\n"
      "  waferllm plan -m models/llama3-8b.toml --goal latency");
  plan->callback([&a] { plan_command(a); });
}

CLI::App* add_bench_of_model(CLI::App* bench, const std::string& name, const std::string& help, BenchArguments& a,
                             void (*command)(const BenchArguments&), const char* plans = kBenchPlans, Timed timed = Timed::yes) {
  CLI::App* app = bench->add_subcommand(name, help);
  text_option(app, "-m,--model", a.plan.model, "FILE", "a checkpoint (GGUF) or a shape (TOML, as in models/)")->required();
  add_plan_options(app, a.plan, plans, timed);
  if (timed == Timed::yes) {
    text_option(app, "--engine", a.engine, "ENGINE", "time: the clocks of every core (default; the only one so far)");
    text_option(
        app, "--groups", a.plan.groups, "G,..",
        "groups of each level of the reduction trees along whole lines: decode's, and those of the LM head after a prompt (default: "
        "even ones of two levels; with --plan published: one number, by default the published one)");
  }
  app->callback([&a, command] { command(a); });
  return app;
}

struct BenchCommands {
  BenchArguments decode, prefill, e2e, kv;
  KernelBenchArguments gemm, gemv, reduce;
  PaperArguments paper, calibrate;
};

// A bench of a device without a model: one kernel, the paper's tables.
template <class Arguments>
CLI::App* add_bench_of_device(CLI::App* bench, const std::string& name, const std::string& help, Arguments& a,
                              void (*command)(const Arguments&)) {
  CLI::App* app = bench->add_subcommand(name, help);
  text_option(app, "--device", a.device, "NAME", "a device of `waferllm devices`, or the path of a device file (default: wse2)");
  text_option(app, "--clock", a.clock, "HZ", "clock of the device, such as 1.1e9 (default: the device file's)");
  app->add_flag("--json", a.json, "one JSON object on stdout and nothing else");
  app->callback([&a, command] { command(a); });
  return app;
}

void add_kernel_benches(CLI::App* bench, BenchCommands& b) {
  CLI::App* gemm = add_bench_of_device(bench, "gemm", "C = A B, A of m x k and B of k x n", b.gemm, bench_gemm_command);
  text_option(gemm, "--m", b.gemm.m, "M", "rows of A and C")->required();
  text_option(gemm, "--k", b.gemm.k, "K", "columns of A, rows of B")->required();
  text_option(gemm, "--n", b.gemm.n, "N", "columns of B and C")->required();
  text_option(gemm, "--mesh", b.gemm.mesh, "WxH", "cores, such as 360x360")->required();
  b.gemm.algorithm = "meshgemm";
  text_option(
      gemm, "--algorithm", b.gemm.algorithm, "NAME",
      "meshgemm (default), cannon, summa or allgather; what one breaks of the device's limits is said, and it is timed all the same");
  text_option(gemm, "--numerics", b.gemm.numerics, "KIND", "fp16 (default), mixed or fp32");

  CLI::App* gemv =
      add_bench_of_device(bench, "gemv", "y = x W, W of k x n, the sums joined along y and sent back", b.gemv, bench_gemv_command);
  text_option(gemv, "--k", b.gemv.k, "K", "elements of x")->required();
  text_option(gemv, "--n", b.gemv.n, "N", "elements of y")->required();
  text_option(gemv, "--mesh", b.gemv.mesh, "WxH", "cores, such as 360x360")->required();
  text_option(gemv, "--allreduce", b.gemv.allreduce, "NAME",
              "how the sums are joined: ktree (default); pipeline, one chain and a multicast; two-phase, chains in groups and of their "
              "heads; ring, "
              "reduce-scatter and allgather");
  text_option(gemv, "--groups", b.gemv.groups, "G,..", "ktree: groups of each level; two-phase: cores of a group (default: even ones)");
  gemv->add_flag("--no-broadcast", b.gemv.no_broadcast, "leave the result at the root's row of cores (ring: in parts on its columns)");
  text_option(gemv, "--plan", b.gemv.plan, "PLAN",
              "waferllm (default), or published: the authors' measured kernel, its groups, roots and machine actions");
  text_option(gemv, "--numerics", b.gemv.numerics, "KIND",
              "fp16 (default), mixed or fp32 (default with pipeline, which is the vendor's demo)");

  CLI::App* reduce = add_bench_of_device(bench, "reduce", "a sum along a line of cores", b.reduce, bench_reduce_command);
  text_option(reduce, "--p", b.reduce.p, "P", "cores of the line")->required();
  text_option(reduce, "--words", b.reduce.words, "N", "elements of every core")->required();
  text_option(reduce, "--dtype", b.reduce.dtype, "TYPE", "f32 (default) or f16");
  b.reduce.algorithm = "ktree";
  text_option(reduce, "--algorithm", b.reduce.algorithm, "NAME",
              "ktree (default), ring: as our kernels do them. chain, two-phase, tree: as the vendor's benchmark does, whose start task "
              "and time stamps "
              "are counted too");
  text_option(reduce, "--groups", b.reduce.groups, "G,..",
              "ktree: groups of each level (default: even ones of two levels); two-phase: cores of a group, a number that must be given");
  reduce->add_flag("--broadcast", b.reduce.broadcast, "send the sum back to every core (ring: without, each keeps its part)");
}

CLI::App* add_bench(CLI::App& app, BenchCommands& b) {
  CLI::App* bench = app.add_subcommand("bench", "cycles of a part of the work on a device, step by step");
  bench->require_subcommand(1);
  CLI::App* decode = add_bench_of_model(bench, "decode", "one token", b.decode, bench_decode_command);
  text_option(decode, "--context", b.decode.context, "N", "the token is the N-th (default: the model's context, at most 4096)");
  add_goal(decode, b.decode.plan);
  CLI::App* prefill = add_bench_of_model(bench, "prefill", "a whole prompt, in chunks", b.prefill, bench_prefill_command);
  text_option(prefill, "--tokens", b.prefill.tokens, "N", "tokens of the prompt (default: the model's context, at most 4096)");
  add_goal(prefill, b.prefill.plan);
  CLI::App* e2e = add_bench_of_model(bench, "e2e", "a request: prefill, transition, decode", b.e2e, bench_e2e_command);
  text_option(e2e, "--input", b.e2e.input, "N", "tokens of the prompt")->required();
  text_option(e2e, "--output", b.e2e.output, "N", "tokens generated")->required();
  add_goal(e2e, b.e2e.plan);
  add_bench_of_model(bench, "kv", "positions of KV cache that fit, by shift and by concat", b.kv, bench_kv_command, kPlans, Timed::no);
  add_kernel_benches(bench, b);
  CLI::App* paper =
      add_bench_of_device(bench, "paper", "the tables of the WaferLLM paper, its numbers and ours, in lines of up to 240 letters", b.paper,
                          bench_paper_command);
  text_option(paper, "--tables", b.paper.tables, "T,..", "some of them only, such as 3,4 (default: all)");
  text_option(paper, "--plots", b.paper.plots, "DIR", "draw tables 3 and 4 and figures 9 and 10 too, as SVG files in DIR; needs gnuplot");
  paper->add_flag("--markdown", b.paper.markdown, "as Markdown, as in docs/paper.md");
  add_bench_of_device(bench, "calibrate", "fit the calibrated constants to the paper's rows again, and leave rows out", b.calibrate,
                      bench_calibrate_command);
  bench->footer(
      "decode and prefill: cycles, seconds and steps are those of one layer, tokens/s of all layers; the whole with embedding, hand-overs "
      "and LM head beside it. Without a mesh the planner's is taken; a mesh given here is used even where its cores are too full. "
      "--plan published times what the paper measured: its kernels on one layer, times the layers, without embedding and LM head; at any "
      "length, past the model's context too, which the report tells.\n\n"
      "Examples:\n"
      "  waferllm bench decode -m models/llama3-8b.toml --mesh 330x330 --context 4096\n"
      "  waferllm bench prefill -m models/llama3-8b.toml --mesh 718x718 --tokens 4096 --json | jq .tokens_per_second\n"
      "  waferllm bench e2e -m models/tinyllama-1.1b.toml --input 1024 --output 1024\n"
      "  waferllm bench decode -m models/llama3-8b.toml --plan published --mesh 420x420\n"
      "  waferllm bench e2e -m models/llama3-8b.toml --plan published --prefill-mesh 660x660 --decode-mesh 360x360 --input 2048 --output "
      "128\n"
      "  waferllm bench kv -m models/llama3-8b.toml --mesh 330x330\n"
      "  waferllm bench gemm --m 2048 --k 2048 --n 2048 --mesh 720x720\n"
      "  waferllm bench gemm --m 2048 --k 2048 --n 2048 --mesh 720x720 --algorithm cannon\n"
      "  waferllm bench gemv --k 16384 --n 16384 --mesh 600x600 --plan published\n"
      "  waferllm bench reduce --p 512 --words 1024 --algorithm two-phase --groups 32\n"
      "  waferllm bench paper --tables 3,4 --plots plots");
  return bench;
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

int parse_and_run(int argc, char** argv) {
  RunArguments run;
  PlanCommandArguments plan;
  BenchCommands bench;
  InspectArguments inspect;
  DevicesArguments devices;
  TokenizeArguments tokenize;
  CLI::App app("LLM inference on wafer-scale chips: a checkpoint and a device go in, text and what lies where come out.", "waferllm");
  app.require_subcommand(1);
  app.get_formatter()->column_width(30);
  add_run(app, run);
  add_plan(app, plan);
  add_bench(app, bench);
  add_inspect(app, inspect);
  add_devices(app, devices);
  add_tokenize(app, tokenize);
  app.footer("`waferllm COMMAND --help` tells more. Exit status: 0 done, 1 a fault of this program, 2 bad input.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    write_out(folded(app.help()));
  } catch (const CLI::ParseError& e) {
    explain_fault(app, {argv + 1, argv + argc}, e.what());
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
    write_err(fmt::format("waferllm: {}\n", e.what()));
    return kBadInput;
  } catch (const std::bad_alloc&) {
    write_err("waferllm: the host has not enough memory for this\n");
  } catch (const std::exception& e) {
    write_err(fmt::format("waferllm: our own fault: {}\n", wafer::escaped(e.what())));
  }
  return kOurFault;
}
