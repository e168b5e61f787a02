// What the commands that bench parts of an inference share, whatever the plan.
#pragma once
#include <chrono>
#include <cstdint>

#include "cli/commands.h"
#include "cli/output.h"

namespace wafer::cli {

constexpr int64_t kDefaultContext = 4096;  // documented in --help

void check_engine(const BenchArguments& arguments);

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Notes how long it took, and prints. Requires: `report` has host_seconds, bench_json() and bench_text().
template <class Report>
void print(const BenchArguments& a, Report& report, std::chrono::steady_clock::time_point start) {
  report.host_seconds = seconds_since(start);
  write_out(a.plan.json ? bench_json(report) + "\n" : bench_text(report));
}

// The same with --plan published: square meshes that are given, fp16, one layer's cycles. Options that it does not know are refused.
void bench_published_decode_command(const BenchArguments& arguments);
void bench_published_prefill_command(const BenchArguments& arguments);
void bench_published_e2e_command(const BenchArguments& arguments);

}  // namespace wafer::cli
