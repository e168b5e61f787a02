// Decode of a whole model through the mesh program, beside what the memory allows: bench_decode [rounds] [MODEL.gguf [WxH]]
//
// Without a model: the shape of TinyLlama 1.1B with 4 of its 22 layers, F16 zeros (speed does not depend on values), on 360x360 cores of
// wse2. Each round times a pure read of as much memory as a decode step reads, then a step; the ratio compares neighbours in time.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/isa.h"
#include "base/parallel.h"
#include "lower/lower.h"
#include "plan/planner.h"
#include "run/run.h"
#include "support/gguf_writer.h"

namespace wafer {
namespace {

constexpr int64_t kPrompt = 16;

double seconds_of(const std::function<void()>& fn) {
  const auto start = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string write_model() {
  ModelConfig c = small_config();
  c.name = "tinyllama-1.1b, 4 layers";
  c.layers = 4;
  c.dim = 2048;
  c.heads = 32;
  c.kv_heads = 4;
  c.head_dim = 64;
  c.ffn = 5632;
  c.vocab = 32000;
  c.context = 2048;
  c.weights = TensorType::f16;
  const std::string path =
      (std::filesystem::temp_directory_path() /
       fmt::format("waferllm_bench_{}.gguf", static_cast<long>(std::chrono::system_clock::now().time_since_epoch().count())))
          .string();
  const std::string bytes = write(zero_llama(c));
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

// What a decode step reads: every matrix but the embedding, of which it takes one row (all of it, if tied).
int64_t bytes_read(const Model& m) {
  int64_t n = static_cast<int64_t>(m.output.bytes.size());
  for (const LayerTensors& l : m.layers)
    for (const TensorView* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) n += static_cast<int64_t>(t->bytes.size());
  return n;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

int run_bench(int rounds, const std::string& path, mesh::Extent mesh) {
  const Model model = load_model(path);
  const Device device = load_device("wse2");
  const PlanRequest request{.context = kPrompt + 2 * rounds + 2, .max_prompt = kPrompt, .prefill_mesh = mesh, .decode_mesh = mesh};
  const PlanResult plan = make_plan(model.config, types_of(model), device, request);
  const Lowered lowered = lower(model.config, types_of(model), plan.plan, limits_of(device).mesh);
  const double pack_seconds = seconds_of([&] { (void)run::pack_model(model, Numerics::mixed); });
  auto machine = run::make_machine(lowered, run::pack_model(model, Numerics::mixed));
  const std::vector<int32_t> prompt(kPrompt, 1);
  const double prefill_seconds =
      seconds_of([&] { run::run(*machine, "prefill", {.cached = 0, .rows = kPrompt, .chunk = plan.plan.chunk}, prompt); });
  run::run(*machine, "row", {.cached = 0, .rows = kPrompt, .row = kPrompt - 1, .chunk = plan.plan.chunk}, {});

  const int64_t bytes = bytes_read(model);
  std::vector<uint64_t> memory(static_cast<size_t>(bytes) / 8, 1);
  std::atomic<uint64_t> sink{0};
  std::vector<double> read_rate, step_rate, ratio;
  int64_t cached = kPrompt;
  for (int r = 0; r < rounds + 1; r++) {
    const double read = seconds_of([&] {
      parallel_for(0, static_cast<int64_t>(memory.size()) / 8, 1 << 16, [&](int64_t begin, int64_t end) {
        uint64_t sum = 0;
        for (int64_t i = begin; i < end; i++) sum += memory[static_cast<size_t>(8 * i)];  // one word of every cache line
        sink += sum;
      });
    });
    const int32_t token = run::chosen(*machine);
    const double step =
        seconds_of([&] { run::run(*machine, "decode", {.cached = cached++, .rows = 1, .chunk = plan.plan.chunk}, std::span(&token, 1)); });
    if (r == 0) continue;  // a warm-up
    read_rate.push_back(static_cast<double>(bytes) / read / 1e9);
    step_rate.push_back(static_cast<double>(bytes) / step / 1e9);
    ratio.push_back(read / step);
  }
  std::sort(ratio.begin(), ratio.end());
  fmt::print("decode of {} ({:.2f} GB a token) on {}x{} cores, {}, {} threads\n", model.config.name, static_cast<double>(bytes) / 1e9,
             mesh.w, mesh.h, isa_name(current_isa()), thread_count());
  fmt::print("  memory read   {:6.1f} GB/s (median of {})\n", median(read_rate), rounds);
  fmt::print("  decode        {:6.1f} GB/s, {:.2f} tokens/s\n", median(step_rate), median(step_rate) * 1e9 / static_cast<double>(bytes));
  fmt::print("  decode / read {:6.0f} % ({:.0f} to {:.0f} %)\n", 100 * median(ratio), 100 * ratio.front(), 100 * ratio.back());
  fmt::print("  packing       {:6.2f} s, prefill of {} tokens {:.2f} s\n", pack_seconds, kPrompt, prefill_seconds);
  return 0;
}

}  // namespace
}  // namespace wafer

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  const bool own_model = argc <= 2;
  wafer::mesh::Extent mesh{360, 360};
  if (argc > 3 && std::sscanf(argv[3], "%dx%d", &mesh.w, &mesh.h) != 2) return 2;
  const std::string path = own_model ? wafer::write_model() : argv[2];
  int status = 2;
  try {
    status = wafer::run_bench(std::max(1, rounds), path, mesh);
  } catch (const wafer::Error& e) {
    fmt::print(stderr, "bench_decode: {}\n", e.what());
  }
  if (own_model) std::filesystem::remove(path);
  return status;
}
