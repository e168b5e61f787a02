// The commands of waferllm, one a file. main.cc fills these structs from the command line, as text; each command turns its own into
// values, does its work and prints. Bad input is thrown as Error.
#pragma once
#include <string>

#include "cli/arguments.h"
#include "device/device.h"

namespace wafer::cli {

// What `run` and `plan` have in common.
struct PlanArguments {
  std::string model;
  std::string device = kDefaultDevice;
  std::string plan = "waferllm";
  Given numerics;
  Given mesh, prefill_mesh, decode_mesh;
  Given chunk;
  Given groups;
  Given goal;
  Given clock, code_bytes;
  bool json = false;
};

struct RunArguments {
  PlanArguments plan;
  Given prompt, prompt_file, prompt_ids;
  std::string tokens = "128";
  std::string temperature = "0";
  Given top_k, top_p, seed;
  Given logits;
  bool all_logits = false;
  bool token_by_token = false;
  Given threads;
};
void run_command(const RunArguments& arguments);

struct PlanCommandArguments {
  PlanArguments plan;
  Given context;
  bool no_time = false;
  bool roles = false;
};
void plan_command(const PlanCommandArguments& arguments);

struct BenchArguments {
  PlanArguments plan;
  std::string engine = "time";
  Given context, tokens, input, output;
};
// `bench gemm`, `gemv`, `reduce`: one kernel on a mesh of its own.
struct KernelBenchArguments {
  std::string device = kDefaultDevice;
  Given numerics;
  std::string m, k, n, p, words;
  std::string mesh, algorithm, allreduce = "ktree", dtype = "f32", plan = "waferllm";
  Given groups, clock;
  bool broadcast = false, no_broadcast = false, json = false;
};
void bench_gemm_command(const KernelBenchArguments& arguments);
void bench_gemv_command(const KernelBenchArguments& arguments);
void bench_reduce_command(const KernelBenchArguments& arguments);

void bench_decode_command(const BenchArguments& arguments);
void bench_prefill_command(const BenchArguments& arguments);
void bench_e2e_command(const BenchArguments& arguments);
void bench_kv_command(const BenchArguments& arguments);

// `bench paper`, `calibrate`.
struct PaperArguments {
  std::string device = kDefaultDevice;
  Given clock;
  Given tables;
  Given plots;  // a folder
  bool json = false, markdown = false;
};
void bench_paper_command(const PaperArguments& arguments);
void bench_calibrate_command(const PaperArguments& arguments);

struct InspectArguments {
  std::string model;
  bool json = false;
};
void inspect_command(const InspectArguments& arguments);

struct DevicesArguments {
  Given name;
  bool json = false;
};
void devices_command(const DevicesArguments& arguments);

struct TokenizeArguments {
  std::string model;
  bool decode = false;
  bool no_special = false;
  bool bos = false;
};
void tokenize_command(const TokenizeArguments& arguments);

}  // namespace wafer::cli
