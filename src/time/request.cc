#include "time/request.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"
#include "base/parallel.h"
#include "time/product_memo.h"

namespace wafer::time {

using namespace mesh;

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

std::vector<Sample> RequestTimer::prefill_samples(int64_t prompt, int64_t head_rows) const {
  const int64_t full = prompt / chunk, rest = prompt % chunk;
  std::vector<Sample> samples;
  for (const WeightedPosition& w : sample_positions(0, full, chunks))
    samples.push_back({.entry = "prefill", .params = {.cached = w.position * chunk, .rows = chunk, .chunk = chunk}, .weight = w.weight});
  if (rest > 0) samples.push_back({.entry = "prefill", .params = {.cached = full * chunk, .rows = rest, .chunk = chunk}});
  if (head_rows > 0) {
    const int64_t rows = rest > 0 ? rest : chunk;
    samples.push_back({.entry = "row",
                       .params = {.cached = prompt - rows, .rows = rows, .row = rows - 1, .chunk = chunk},
                       .weight = static_cast<double>(head_rows)});
  }
  return samples;
}

std::vector<Sample> RequestTimer::transition_samples(int64_t cached) const {
  return {{.entry = "transition", .params = {.cached = cached, .rows = 0, .chunk = chunk}}};
}

std::vector<Sample> RequestTimer::decode_samples(int64_t first, int64_t count) const {
  std::vector<Sample> samples;
  for (const WeightedPosition& w : sample_positions(first, count, count <= kDecodeShort ? kDecodeShort : kDecodePositions))
    samples.push_back({.entry = "decode", .params = {.cached = w.position, .rows = 1, .chunk = chunk}, .weight = w.weight});
  return samples;
}

// All at the same time on the host, but for those that learn from each other: the chunks of a prefill on a large mesh.
void RequestTimer::time(const std::vector<std::vector<Sample>*>& lists) const {
  ProductMemo memo;
  TimeOptions with = options;
  const bool learns = options.ring_steps == 0;  // first steps alone are short
  if (learns) with.products = &memo;
  const auto one = [&](Sample& s) { s.report = time_entry(program, device, s.entry, s.params, with); };
  std::vector<Sample*> others;
  for (std::vector<Sample>* list : lists)
    for (Sample& s : *list)
      if (learns && worth_a_memo(memo, program, entry(program, s.entry)))
        one(s);
      else
        others.push_back(&s);
  parallel_for(0, static_cast<int64_t>(others.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) one(*others[static_cast<size_t>(i)]);
  });
}

namespace {

// What a sum needs to know of an entry.
struct EntryFacts {
  double cores = 0;            // of the regions that take part
  std::vector<bool> in_layer;  // [steps by id] in a loop over layers
};

EntryFacts facts_of(const Program& program, const std::string& name) {
  const Entry& e = entry(program, name);
  EntryFacts facts;
  for (const RegionSteps& list : e.lists) {
    const Rect r = program.regions[list.region].rect;
    facts.cores += static_cast<double>(r.w) * static_cast<double>(r.h);
  }
  const StepIds ids = number_steps(e);
  facts.in_layer.assign(ids.places.size(), false);
  for (size_t i = 0; i < ids.places.size(); i++)
    if (const auto* loop = std::get_if<Loop>(&ids.places[i].step->what); loop != nullptr && loop->var == LoopVar::layer)
      for (size_t k = i + 1; k < static_cast<size_t>(ids.places[i].end.place); k++) facts.in_layer[k] = true;
  return facts;
}

}  // namespace

PartTime RequestTimer::sum(const std::vector<Sample>& samples) const {
  PartTime part;
  std::map<std::string, size_t> line_of;
  std::map<std::string, EntryFacts> facts;
  double starts = 0;
  for (const Sample& s : samples) {
    const auto [known, first] = facts.try_emplace(s.entry);
    if (first) known->second = facts_of(program, s.entry);
    starts += s.weight;
    part.cycles += s.weight * static_cast<double>(s.report.cycles);
    part.extrapolated_cycles += s.weight * static_cast<double>(s.report.extrapolated_cycles);
    part.energy = part.energy + s.weight * energy_of(s.report, device);
    double compute = 0, communicate = 0;
    for (const StepTime& step : s.report.steps) {
      const auto [at, fresh] = line_of.try_emplace(step.name, part.steps.size());
      if (fresh) part.steps.push_back({.name = step.name, .kind = step.kind});
      StepCycles& row = part.steps[at->second];
      const double count = s.weight * static_cast<double>(step.count), cycles = s.weight * static_cast<double>(step.cycles);
      row.count += count;
      row.cycles += cycles;
      if (known->second.in_layer[static_cast<size_t>(step.step.place)]) {
        row.layer_count += count;
        row.layer_cycles += cycles;
      }
      compute += step.compute;
      communicate += step.communicate;
    }
    // Cores wait whenever they neither compute nor communicate, also for another region and for the end.
    const double all = std::max(known->second.cores * static_cast<double>(s.report.cycles), compute + communicate);
    part.cores.compute += s.weight * compute;
    part.cores.communicate += s.weight * communicate;
    part.cores.wait += s.weight * (all - compute - communicate);
  }
  part.starts = std::llround(starts);
  part.starts_timed = static_cast<int64_t>(samples.size());
  return part;
}

PartTime RequestTimer::timed(std::vector<Sample> samples) const {
  time({&samples});
  return sum(samples);
}

std::vector<int64_t> whole_cycles(const PartTime& part) {
  std::vector<int64_t> out;
  double sum = 0;
  int64_t told = 0;
  for (const StepCycles& s : part.steps) {
    sum += s.cycles;
    out.push_back(std::llround(sum) - told);
    told = std::llround(sum);
  }
  return out;
}

int64_t cycles_of(const PartTime& part) { return std::llround(part.cycles); }

PartTime layer_part(const PartTime& whole, int64_t layers) {
  const auto each = [&](double n) { return n / static_cast<double>(layers); };
  PartTime out{.starts = whole.starts, .starts_timed = whole.starts_timed};
  for (const StepCycles& s : whole.steps) {
    if (s.layer_count == 0) continue;
    out.steps.push_back({.name = s.name,
                         .kind = s.kind,
                         .count = each(s.layer_count),
                         .cycles = each(s.layer_cycles),
                         .layer_count = each(s.layer_count),
                         .layer_cycles = each(s.layer_cycles)});
    out.cycles += each(s.layer_cycles);
  }
  // Turns taken to last as long as others are layers and what is in them.
  out.extrapolated_cycles = std::min(out.cycles, each(whole.extrapolated_cycles));
  return out;
}

}  // namespace wafer::time
