#include "time/reduce_steps.h"

#include "time/reduce_steps-inl.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

namespace {

WAFER_CLONES void start(const inl::Line& line, int w) { inl::chain_start(line, w); }
WAFER_CLONES void pass(const inl::Line& line, int w) { inl::chain_pass(line, w); }
WAFER_CLONES void end(const inl::Line& line, int w) { inl::chain_end(line, w); }

struct Vectors {
  void start(const inl::Line& line, int w) const { time::start(line, w); }
  void pass(const inl::Line& line, int w) const { time::pass(line, w); }
  void end(const inl::Line& line, int w) const { time::end(line, w); }
};

}  // namespace

ReduceCounts reduce_steps(const ReduceSteps& s, const mesh::Tree& tree, int broadcast_operations) {
  return inl::drive_reduce(s, tree, broadcast_operations, Vectors{});
}

}  // namespace wafer::time
