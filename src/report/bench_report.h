// What `waferllm bench decode|prefill|e2e` measure and print: cycles of parts of an inference on one plan.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lower/lower.h"
#include "report/placement.h"
#include "search/search.h"
#include "time/request.h"

namespace wafer {

// A model on a device, ready to be timed.
struct BenchSetup {
  ModelConfig model;
  WeightTypes types;
  Device device;
  PlanResult plan;
  Lowered lowered;
};

// Plans (by search where there is a goal), lowers and proves. `part`: "decode" or "prefill" where only that part's bytes count, "" where
// all do. Throws Error where the plan does not fit and no mesh was given, any other rule is broken, or the model has experts.
BenchSetup bench_setup(const ModelConfig& model, const WeightTypes& types, const Device& device, const PlanRequest& request,
                       const std::string& part, std::optional<Goal> goal = std::nullopt);

struct BenchReport {
  std::string what;  // "decode", "prefill"
  PlacementReport placement;
  int64_t tokens = 0;         // decode: 1, at position context - 1; prefill: of the prompt
  time::PartTime layer;       // one of all layers; all chunks of a prefill together
  time::PartTime whole;       // all layers, embedding, hand-overs, LM head, choice
  double timing_seconds = 0;  // of the host, for the cycles alone
  double host_seconds = 0;    // and to plan, place and check
};
BenchReport bench_decode(const BenchSetup& setup);
BenchReport bench_prefill(const BenchSetup& setup, int64_t tokens);
double tokens_per_second(const BenchReport& report);  // of layers alone: tokens * clock / (layers * cycles of one)

struct RequestReport {
  PlacementReport placement;
  int64_t input = 0;   // tokens of the prompt
  int64_t output = 0;  // tokens generated: the first by prefill, each other by a decode step
  time::PartTime prefill, transition, decode;
  double host_seconds = 0;
};
RequestReport bench_request(const BenchSetup& setup, int64_t input, int64_t output);
int64_t cycles(const RequestReport& report);

std::string bench_text(const BenchReport& report);
std::string bench_json(const BenchReport& report);  // one line, as the others
std::string bench_text(const RequestReport& report);
std::string bench_json(const RequestReport& report);

}  // namespace wafer
