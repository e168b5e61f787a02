#include "time/reduce_steps.h"

#include "time/reduce_steps-inl.h"

namespace wafer::time {

#define WAFER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))

namespace {

WAFER_CLONES void start(const inl::Line<uint32_t>& line, int w) { inl::chain_start(line, w); }
WAFER_CLONES void pass(const inl::Line<uint32_t>& line, int w) { inl::chain_pass(line, w); }
WAFER_CLONES void end(const inl::Line<uint32_t>& line, int w) { inl::chain_end(line, w); }
WAFER_CLONES void start(const inl::Line<uint64_t>& line, int w) { inl::chain_start(line, w); }
WAFER_CLONES void pass(const inl::Line<uint64_t>& line, int w) { inl::chain_pass(line, w); }
WAFER_CLONES void end(const inl::Line<uint64_t>& line, int w) { inl::chain_end(line, w); }

template <class T>
struct Vectors {
  void start(const inl::Line<T>& line, int w) const { time::start(line, w); }
  void pass(const inl::Line<T>& line, int w) const { time::pass(line, w); }
  void end(const inl::Line<T>& line, int w) const { time::end(line, w); }
};

}  // namespace

template <class T>
ReduceCounts reduce_steps(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations) {
  return inl::drive_reduce(s, tree, broadcast_operations, Vectors<T>{});
}
template ReduceCounts reduce_steps(const ReduceSteps<uint32_t>&, const mesh::Tree&, int);
template ReduceCounts reduce_steps(const ReduceSteps<uint64_t>&, const mesh::Tree&, int);

template <class T>
Bound reduce_rise(const ReduceSteps<T>& s, const mesh::Tree& tree, int broadcast_operations, int64_t words, Bound enough) {
  // Each operation of each chain after all the others, over the whole line.
  int64_t operations = tree.size + 2;
  for (const mesh::Level& level : tree.levels)
    for (const mesh::Chain& chain : level) operations += static_cast<int64_t>(chain.size());
  const Bound issue(uint64_t{std::max(s.first_issue, s.later_issue)}), ramp(uint64_t{s.ramp}),
      way = Bound(tree.size) * Bound(uint64_t{s.hop}) + ramp;
  const Bound quick = Bound(operations) * (issue + way + ramp + ramp + Bound(uint64_t{s.forward}) + words + 2);
  if (quick <= enough) return quick;
  if (words > int64_t{1} << 48) return Bound::kMost;  // too much for the sums of one line
  std::vector<uint64_t> line(static_cast<size_t>(tree.size), 0);
  reduce_steps(ReduceSteps<uint64_t>{.w = 1,
                                     .t = line.data(),
                                     .words = {static_cast<uint64_t>(words)},
                                     .cast_words = {static_cast<uint64_t>(words)},
                                     .first_issue = s.first_issue,
                                     .later_issue = s.later_issue,
                                     .ramp = s.ramp,
                                     .hop = s.hop,
                                     .forward = s.forward},
               tree, broadcast_operations);
  return Bound(*std::max_element(line.begin(), line.end())) + ramp + 2;
}
template Bound reduce_rise(const ReduceSteps<uint32_t>&, const mesh::Tree&, int, int64_t, Bound);
template Bound reduce_rise(const ReduceSteps<uint64_t>&, const mesh::Tree&, int, int64_t, Bound);

}  // namespace wafer::time
