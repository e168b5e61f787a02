// Products of a vector and a matrix, timed: what `bench gemv` prints, and what figure 10 and table 6 of the paper are made of.
#pragma once
#include <array>
#include <vector>

#include "kernel_bench/gemv_program.h"
#include "paper/published_gemv.h"
#include "report/kernel_report.h"

namespace wafer {

// One product alone, every core starting at 0 (KernelReport::time), and one of many back to back (KernelReport::repeated_cycles).
KernelReport gemv_report(const kernels::GemvShape& shape, const Device& device);
KernelReport published_gemv_report(const PublishedGemvShape& shape, const Device& device);

// The cycles of one of 100 repetitions of an entry back to back after ten others, as the authors time their kernels: from the earliest core
// at the start of the first to the latest at the end of the last, over 100. A core starts on the next
// repetition as soon as it has its result, so that what skew there is goes on into the next one. Without a broadcast nothing holds the
// cores that only send (there is no back-pressure in time()): then from the latest core, which is the rate of the slowest.
double repeated_cycles(const mesh::Program& program, const std::string& entry, const Device& device, bool broadcast);

// The sides for which the authors' kernels have groups: among them table 6 takes the best.
inline constexpr std::array kPublishedSides = {240, 300, 360, 420, 480, 512, 540, 600, 660, 720};

struct GemvOnSide {
  int side = 0;
  KernelReport report;
};
// The published kernel on each of those sides that the device has and on which its data fit.
std::vector<GemvOnSide> published_gemv_on_sides(int64_t k, int64_t n, bool broadcast, const Device& device);
// The one with the fewest cycles in a repetition. Requires: `sides` is not empty.
const GemvOnSide& best_side(const std::vector<GemvOnSide>& sides);

}  // namespace wafer
