// What `waferllm bench gemm|gemv|reduce` print: one kernel on a mesh of its own, timed.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/device.h"
#include "kernel_bench/gemm_program.h"
#include "mesh/compliance.h"
#include "mesh/program.h"
#include "time/time.h"

namespace wafer {

struct KernelReport {
  std::string kernel;                                         // "gemm"
  std::vector<std::pair<std::string, std::string>> settings;  // as they were asked for: ("mesh", "360x360")
  Device device;
  time::TimeReport time;
  int64_t harness_cycles = 0;  // counted beside the kernel's, as the vendor's benchmark does
  double repeated_cycles = 0;  // of one of many repetitions back to back; 0: not timed
  int64_t operations = 0;      // multiply-adds that the kernel must do; 0: none
  int64_t longest_step_hops = 0;
  int colours = 0;        // of the busiest router
  int64_t bytes_max = 0;  // of the fullest core, without code and system
  bool fits = true;
  std::vector<std::string> faults;  // other rules that it breaks, as verify() says them
  // gemm alone
  std::optional<mesh::Compliance> compliance = {};
  int64_t cycles_apart = 0;     // where every core starts a step when it has what it needs
  int64_t cycles_together = 0;  // where all cores start a step at the same time
};

// Of all core-cycles until the latest core is done.
struct CoreShares {
  double compute = 0, communicate = 0, wait = 0;
};
CoreShares core_shares(const time::TimeReport& time);
CoreShares core_shares(const KernelReport& report);

// Proves the program's rules and times its entry.
KernelReport kernel_report(const std::string& kernel, const mesh::Program& program, const std::string& entry, const mesh::Params& params,
                           const Device& device);

// A product by one of its algorithms. What an algorithm breaks is in the report; it is timed all the same, as if the device allowed it.
KernelReport gemm_report(const kernels::GemmShape& shape, const Device& device);

std::string kernel_text(const KernelReport& report);
std::string kernel_json(const KernelReport& report);  // one line

}  // namespace wafer
