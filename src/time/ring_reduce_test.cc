// Cycles of reductions on rings: by hand on three cores, in closed form, and against plain loops core by core.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "kernel_bench/reduce_program.h"
#include "mesh/verify.h"
#include "time/clocks.h"

namespace wafer::time {
namespace {

using namespace mesh;

Device device() {
  Device d = load_device("wse2");
  d.hop_cycles = 1;
  d.ramp_cycles = 2;
  d.stream_op_overhead_cycles = 6;
  d.descriptor_load_cycles = d.descriptor_edit_cycles = 2;
  return d;
}

TimeReport report(const Device& d, int size, int64_t elements, bool broadcast, Dtype dtype = Dtype::f32) {
  const Program p = kernels::reduce_program(
      {.size = size, .words = elements, .dtype = dtype, .algorithm = "ring", .groups = {}, .broadcast = broadcast}, {750, 994});
  return time_entry(p, d, "reduce", {});
}

// Two elements on three cores: parts of 0, 1, 1 words; ring positions 0, 1, 2 are cores 0, 2, 1. Issue 10.
// First step, from 0: position 0 sends part 1 and takes part 2 in: 10 + 10 + 1 = 21. Position 1 sends part 2: 11. Position 2 takes part 1
// in: it leaves position 0 at 10 and is there 2 + 1 + 2 later: 16. Second step: position 0 sends part 2: 21 + 10 + 1 = 32. Position 1 takes
// part 1 in, which leaves at 16 + 10: 26 + 5 + 1 = 32. Position 2 sends part 1 and takes part 2 in, ready at 16 + 20, there at 21 + 10 +
// 5: 37.
TEST(RingReduce, ByHandOnThreeCores) {
  const TimeReport r = report(device(), 3, 2, false);
  EXPECT_EQ(r.cycles, 37);
  EXPECT_EQ(r.wavelets_sent, 4);
  EXPECT_EQ(r.steps[0].wavelet_hops, 2 + 1 + 1 + 1) << "part 2 comes to position 0 over two links";
}

// Where all parts are alike no core waits for another as long as two issues take longer than two hops: every step is 2 issues and a part.
TEST(RingReduce, EqualPartsInClosedForm) {
  const Device d = device();
  for (int size : {2, 3, 4, 7, 64, 241})
    for (int64_t part : {1, 5, 100}) {
      const int64_t steps = size - 1;
      EXPECT_EQ(report(d, size, size * part, false).cycles, steps * (20 + part)) << size;
      EXPECT_EQ(report(d, size, size * part, true).cycles, 2 * steps * (20 + part)) << size;
      EXPECT_EQ(report(d, size, size * part * 2, true, Dtype::f16).cycles, 2 * steps * (20 + part)) << size << ": two fp16 a word";
      EXPECT_EQ(report(d, size, size * part, true).wavelets_sent, 2 * steps * size * part);
      EXPECT_EQ(report(d, size, size * part, true).steps[0].actions.stream_ops, 4 * steps * size);
    }
  EXPECT_EQ(report(d, 1, 5, true).cycles, 0);
  // One hop of 30 cycles on two cores: the words arrive 10 + 2 + 30 + 2 after the start, later than the second issue.
  Device far = d;
  far.hop_cycles = 30;
  EXPECT_EQ(report(far, 2, 2, true).cycles, 2 * (10 + 34 + 1));
}

// One column, plain loops: what every core does in each step.
void plain(const Device& d, const RingReduce& r, const std::vector<Dtype>& types, const std::vector<int64_t>& held, const Range run,
           std::vector<uint32_t>& column) {
  const int64_t size = run.size(), issue = stream_issue_cycles(d);
  int64_t t = 0;
  const auto words = [&](int64_t j) {
    int64_t n = 0;
    for (size_t b = 0; b < types.size(); b++)
      if (t < size - 1 || r.parts[b].broadcast) n += wavelets(d, types[b], part(held[b], j % size, size).size());
    return n;
  };
  const bool back = std::any_of(r.parts.begin(), r.parts.end(), [](const ReducePart& p) { return p.broadcast; });
  const auto position = [&](int64_t ring) { return run.begin + ring_to_position(static_cast<int>(ring % size), static_cast<int>(size)); };
  for (; t < (back ? 2 : 1) * (size - 1); t++) {
    const std::vector<uint32_t> before = column;
    for (int64_t c = 0; c < size; c++) {
      const int64_t own = position(c), from = position(c + 1);
      int64_t now = before[static_cast<size_t>(own)], sent = now;
      if (words(c + 1 + t) > 0) {
        now += issue;
        sent = now + words(c + 1 + t);
      }
      int64_t end = sent;
      if (words(c + 2 + t) > 0) {
        const int64_t there = before[static_cast<size_t>(from)] + issue + 2 * d.ramp_cycles + std::abs(own - from) * d.hop_cycles;
        end = std::max(end, std::max(now + issue, there) + words(c + 2 + t));
      }
      column[static_cast<size_t>(own)] = static_cast<uint32_t>(end);
    }
  }
}

TEST(RingReduce, EqualsPlainLoops) {
  Rng rng(5);
  const auto below = [&](uint64_t n) { return static_cast<int>(next_below(rng, n)); };
  for (int turn = 0; turn < 80; turn++) {
    Device d = device();
    d.hop_cycles = 1 + below(9);
    const int w = 1 + below(9), h = 1 + below(40), cut = below(static_cast<uint64_t>(h));
    RingReduce r{.axis = Axis::y,
                 .parts = {{.buffer = BufferId{0}, .broadcast = below(2) > 0}, {.buffer = BufferId{1}, .broadcast = below(2) > 0}},
                 .runs = {{cut, h}}};
    if (cut > 0) r.runs.insert(r.runs.begin(), {0, cut});
    const std::vector<Dtype> types = {Dtype::f16, Dtype::f32};
    Clocks<uint32_t> c{.w = w, .h = h, .t = {}};
    for (int i = 0; i < w * h; i++) c.t.push_back(static_cast<uint32_t>(below(turn % 2 == 0 ? 1 : 400)));
    std::vector<std::vector<std::vector<int64_t>>> held(r.runs.size());
    for (auto& run : held)
      for (int x = 0; x < w; x++) run.push_back({below(60), below(3)});
    std::vector<std::vector<uint32_t>> columns;
    for (int x = 0; x < w; x++) {
      columns.emplace_back();
      for (int y = 0; y < h; y++) columns.back().push_back(c.row(y)[x]);
      for (size_t run = 0; run < r.runs.size(); run++) plain(d, r, types, held[run][static_cast<size_t>(x)], r.runs[run], columns.back());
    }
    Tally tally;
    time_ring_reduce(c, d, r, types, held, tally);
    EXPECT_EQ(tally.wavelets, tally.received);
    for (int x = 0; x < w; x++)
      for (int y = 0; y < h; y++) ASSERT_EQ(c.row(y)[x], columns[static_cast<size_t>(x)][static_cast<size_t>(y)]) << x << "," << y;
  }
}

TEST(RingReduce, ProgramsOfAnySizeKeepTheRules) {
  for (int size = 1; size < 40; size++) {
    const Program p = kernels::reduce_program({.size = size, .words = 3, .algorithm = "ring", .groups = {}, .broadcast = true}, {750, 994});
    for (const Diagnostic& x : verify(p, {.mesh = p.mesh, .sram_bytes = 1 << 16, .colours = 24}))
      ADD_FAILURE() << size << ": " << x.where << ": " << x.text;
    EXPECT_LE(colours_max(p), 3);
  }
}

}  // namespace
}  // namespace wafer::time
