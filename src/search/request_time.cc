#include "search/request_time.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/check.h"
#include "base/parallel.h"
#include "time/product_memo.h"

namespace wafer {

using namespace mesh;

namespace {

// Reports summed up with weights. Whole cycles are made at the end, from running sums, so that the steps still add up.
struct Sum {
  std::vector<std::string> names;
  std::map<std::string, size_t> line_of;
  std::vector<double> counts, cycles;

  void add(const time::TimeReport& report, double weight) {
    for (const time::StepTime& s : report.steps) {
      const auto [at, added] = line_of.try_emplace(s.name, names.size());
      if (added) {
        names.push_back(s.name);
        counts.push_back(0);
        cycles.push_back(0);
      }
      counts[at->second] += weight * static_cast<double>(s.count);
      cycles[at->second] += weight * static_cast<double>(s.cycles);
    }
  }

  TimedPart part() const {
    TimedPart out;
    double sum = 0;
    for (size_t i = 0; i < names.size(); i++) {
      sum += cycles[i];
      const int64_t upto = std::llround(sum);
      out.steps.push_back({.name = names[i], .count = std::llround(counts[i]), .cycles = upto - out.cycles});
      out.cycles = upto;
    }
    return out;
  }
};

void names_of(const Steps& steps, std::set<std::string>& out) {
  for (const Step& s : steps) {
    out.insert(s.name);
    if (const auto* l = std::get_if<Loop>(&s.what)) names_of(l->body, out);
    if (const auto* g = std::get_if<Group>(&s.what)) names_of(g->body, out);
  }
}

}  // namespace

std::vector<WeightedPosition> sample_positions(int64_t first, int64_t count, int64_t points) {
  CHECK(points >= 2, "{} points", points);
  std::vector<WeightedPosition> out;
  const int64_t n = std::min(count, points);
  for (int64_t i = 0; i < n; i++) out.push_back({.position = n == 1 ? first : first + (count - 1) * i / (n - 1), .weight = 0});
  for (size_t i = 0; i + 1 < out.size(); i++) {
    // The positions from this point up to the next one, which is not among them: f + (f' - f) j / gap for j = 0 .. gap - 1.
    const double gap = static_cast<double>(out[i + 1].position - out[i].position);
    out[i].weight += (gap + 1) / 2;
    out[i + 1].weight += (gap - 1) / 2;
  }
  if (!out.empty()) out.back().weight += 1;
  return out;
}

namespace {

struct Start {
  std::string entry;
  Params params;
  double weight = 1;
};

// All starts at the same time on the host, but for those that learn from each other; added up in their order.
TimedPart time_starts(const RequestTimer& timer, const std::vector<Start>& starts) {
  const Program& program = timer.lowered.program();
  time::ProductMemo memo;
  time::TimeOptions options = timer.options;
  if (options.ring_steps == 0) options.products = &memo;  // first steps alone are short
  std::vector<time::TimeReport> reports(starts.size());
  const auto time = [&](size_t i) { reports[i] = time::time_entry(program, timer.device, starts[i].entry, starts[i].params, options); };
  std::vector<size_t> others;
  for (size_t i = 0; i < starts.size(); i++)
    if (timer.options.ring_steps == 0 && time::worth_a_memo(memo, program, entry(program, starts[i].entry)))
      time(i);
    else
      others.push_back(i);
  parallel_for(0, static_cast<int64_t>(others.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) time(others[static_cast<size_t>(i)]);
  });
  Sum sum;
  for (size_t i = 0; i < starts.size(); i++) sum.add(reports[i], starts[i].weight);
  return sum.part();
}

}  // namespace

TimedPart RequestTimer::prefill(int64_t prompt) const {
  const int64_t chunk = lowered.placement.plan.chunk, full = prompt / chunk, left = prompt % chunk;
  std::vector<Start> starts;
  for (const WeightedPosition& w : sample_positions(0, full, chunks))
    starts.push_back({"prefill", {.cached = w.position * chunk, .rows = chunk, .chunk = chunk}, w.weight});
  if (left > 0) starts.push_back({"prefill", {.cached = full * chunk, .rows = left, .chunk = chunk}});
  const int64_t rows = left > 0 ? left : chunk;
  starts.push_back({"row", {.cached = prompt - rows, .rows = rows, .row = rows - 1, .chunk = chunk}});
  return time_starts(*this, starts);
}

TimedPart RequestTimer::transition(int64_t cached) const {
  return time_starts(*this, {{"transition", {.cached = cached, .rows = 0, .chunk = lowered.placement.plan.chunk}}});
}

TimedPart RequestTimer::decode(int64_t first, int64_t count) const {
  std::vector<Start> starts;
  for (const WeightedPosition& w : sample_positions(first, count, count <= kDecodeShort ? kDecodeShort : kDecodePositions))
    starts.push_back({"decode", {.cached = w.position, .rows = 1, .chunk = lowered.placement.plan.chunk}, w.weight});
  return time_starts(*this, starts);
}

TimedPart layer_part(const Lowered& lowered, const std::string& entry_name, const TimedPart& whole) {
  std::set<std::string> names;
  for (const RegionSteps& list : entry(lowered.program(), entry_name).lists)
    for (const Step& s : list.steps)
      if (const auto* loop = std::get_if<Loop>(&s.what); loop != nullptr && loop->var == LoopVar::layer) names_of(loop->body, names);
  const auto layers = lowered.placement.config.layers;
  TimedPart out;
  int64_t sum = 0;
  for (const TimedStep& s : whole.steps) {
    if (!names.contains(s.name)) continue;
    sum += s.cycles;
    out.steps.push_back({.name = s.name, .count = s.count / layers, .cycles = sum / layers - out.cycles});
    out.cycles = sum / layers;
  }
  return out;
}

}  // namespace wafer
