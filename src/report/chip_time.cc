#include "report/chip_time.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "search/request_time.h"
#include "time/product_memo.h"

namespace wafer {
namespace {

using mesh::Params;
using mesh::Step;
using mesh::Steps;

StepKind kind_of(const Step& s) {
  if (const auto* local = std::get_if<mesh::Local>(&s.what)) switch (local->op) {
      case mesh::LocalOp::mat_vec:
      case mesh::LocalOp::row_dots:
      case mesh::LocalOp::weigh_rows:
      case mesh::LocalOp::tile_fma:
      case mesh::LocalOp::tile_fma_t: return StepKind::product;
      default: return StepKind::vector;
    }
  if (std::holds_alternative<mesh::Reduce>(s.what) || std::holds_alternative<mesh::RingReduce>(s.what) ||
      std::holds_alternative<mesh::RootReduce>(s.what))
    return StepKind::reduction;
  if (std::holds_alternative<mesh::Multicast>(s.what)) return StepKind::multicast;
  if (std::holds_alternative<mesh::RowShift>(s.what)) return StepKind::cache_shift;
  if (std::holds_alternative<mesh::Host>(s.what)) return StepKind::host;
  if (std::holds_alternative<mesh::Group>(s.what)) return StepKind::product;
  return StepKind::move;
}

void add_kinds(const Steps& steps, std::map<std::string, StepKind>& kinds) {
  for (const Step& s : steps) {
    const auto* group = std::get_if<mesh::Group>(&s.what);
    if (const auto* loop = std::get_if<mesh::Loop>(&s.what))
      add_kinds(loop->body, kinds);
    else if (group != nullptr && !mesh::is_product(group->kind))
      add_kinds(group->body, kinds);
    else
      kinds.try_emplace(s.name, kind_of(s));
  }
}

std::map<std::string, StepKind> kinds_of(const mesh::Program& program, const std::string& entry) {
  std::map<std::string, StepKind> kinds;
  for (const mesh::RegionSteps& list : mesh::entry(program, entry).lists) add_kinds(list.steps, kinds);
  return kinds;
}

// One start of an entry, and how many starts it stands for.
struct Sample {
  std::string entry;
  Params params;
  double weight = 1;
  time::TimeReport report = {};
};

struct Timer {
  const mesh::Program& program;
  const Plan& plan;
  const Device& device;
  const InferenceRequest& request;
  ChipTime out{};

  double cores_of(const std::string& entry) const {
    double cores = 0;
    for (const mesh::RegionSteps& list : mesh::entry(program, entry).lists) {
      const mesh::Rect r = program.regions[list.region].rect;
      cores += static_cast<double>(r.w) * static_cast<double>(r.h);
    }
    return cores;
  }

  // Sums up samples in their order.
  PartTime part_of(const std::vector<Sample>& samples) const {
    PartTime part;
    std::map<std::string, size_t> line_of;
    std::map<std::string, std::map<std::string, StepKind>> kinds;
    for (const Sample& s : samples) {
      auto& kinds_here = kinds[s.entry];
      if (kinds_here.empty()) kinds_here = kinds_of(program, s.entry);
      part.cycles += s.weight * static_cast<double>(s.report.cycles);
      part.energy = part.energy + s.weight * time::energy_of(s.report, device);
      double compute = 0, communicate = 0;
      for (const time::StepTime& step : s.report.steps) {
        const auto [it, fresh] = line_of.try_emplace(step.name, part.steps.size());
        if (fresh) {
          const auto kind = kinds_here.find(step.name);
          part.steps.push_back({.name = step.name, .kind = kind == kinds_here.end() ? StepKind::routes : kind->second});
        }
        StepCycles& row = part.steps[it->second];
        row.count += s.weight * static_cast<double>(step.count);
        row.cycles += s.weight * static_cast<double>(step.cycles);
        compute += step.compute;
        communicate += step.communicate;
      }
      // Cores wait whenever they neither compute nor communicate, also for another region and for the end.
      const double all = std::max(cores_of(s.entry) * static_cast<double>(s.report.cycles), compute + communicate);
      part.cores.compute += s.weight * compute;
      part.cores.communicate += s.weight * communicate;
      part.cores.wait += s.weight * (all - compute - communicate);
    }
    return part;
  }

  std::vector<Sample> prefill_samples() {
    const int64_t chunk = plan.chunk, full = request.prompt / chunk, rest = request.prompt % chunk;
    std::vector<Sample> samples;
    const auto add_chunk = [&](int64_t index, int64_t rows, double weight) {
      samples.push_back({.entry = "prefill", .params = {.cached = index * chunk, .rows = rows, .chunk = chunk}, .weight = weight});
    };
    for (const WeightedPosition& w : sample_positions(0, full, kPrefillChunks)) add_chunk(w.position, chunk, w.weight);
    if (rest > 0) add_chunk(full, rest, 1);
    out.chunks = full + (rest > 0 ? 1 : 0);
    out.chunks_timed = static_cast<int64_t>(samples.size());
    if (request.head_rows > 0) {
      const int64_t rows = rest > 0 ? rest : chunk;
      samples.push_back({.entry = "row",
                         .params = {.cached = request.prompt - rows, .rows = rows, .row = rows - 1, .chunk = chunk},
                         .weight = static_cast<double>(request.head_rows)});
    }
    return samples;
  }

  Sample transition_sample(int64_t cached) const {
    return {.entry = "transition", .params = {.cached = cached, .rows = 0, .chunk = plan.chunk}};
  }

  // A decode of `steps` steps from position `first` on: all of them, or spaced ones with lines between, then those to check, of weight 0.
  struct DecodeSamples {
    std::vector<int64_t> at, checked;  // steps
    std::vector<Sample> samples;
  };
  DecodeSamples decode_samples(int64_t first, int64_t steps) const {
    DecodeSamples d;
    if (steps == 0) return d;
    const bool all = steps <= kPositionsTimed;
    Rng rng(static_cast<uint64_t>(steps));
    for (int64_t i = 0; !all && i < kPositionsChecked; i++)
      d.checked.push_back(static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(steps))));
    const auto add = [&](int64_t step, double weight) {
      d.samples.push_back({.entry = "decode", .params = {.cached = first + step, .rows = 1, .chunk = plan.chunk}, .weight = weight});
    };
    for (const WeightedPosition& w : sample_positions(0, steps, all ? kPositionsTimed : kDecodePositions)) {
      d.at.push_back(w.position);
      add(w.position, w.weight);
    }
    for (const int64_t step : d.checked) add(step, 0);
    return d;
  }

  // The sum of a decode that has been timed; its checks are held against the lines.
  PartTime decode_part(DecodeSamples d) {
    out.positions_timed += static_cast<int64_t>(d.at.size());
    out.positions_checked += static_cast<int64_t>(d.checked.size());
    const auto cycles = [&](size_t sample) { return static_cast<double>(d.samples[sample].report.cycles); };
    for (size_t k = 0; k < d.checked.size(); k++) {
      const size_t next = static_cast<size_t>(std::lower_bound(d.at.begin(), d.at.end(), d.checked[k]) - d.at.begin()),
                   before = next == 0 ? 0 : next - 1;
      const double span = static_cast<double>(d.at[next] - d.at[before]),
                   share = span == 0 ? 0 : static_cast<double>(d.checked[k] - d.at[before]) / span,
                   line = cycles(before) + share * (cycles(next) - cycles(before)), exact = cycles(d.at.size() + k);
      out.largest_error = std::max(out.largest_error, std::fabs(line - exact) / exact);
    }
    d.samples.resize(d.at.size());
    return part_of(d.samples);
  }
};

// All at once, but for those that learn from each other: the chunks of a prefill on a large mesh.
void time_all(const mesh::Program& program, const Device& device, const std::vector<std::vector<Sample>*>& lists) {
  time::ProductMemo memo;
  const auto time = [&](Sample& s) { s.report = time::time_entry(program, device, s.entry, s.params, {.products = &memo}); };
  std::vector<Sample*> others;
  for (std::vector<Sample>* list : lists)
    for (Sample& s : *list)
      if (time::worth_a_memo(memo, program, mesh::entry(program, s.entry)))
        time(s);
      else
        others.push_back(&s);
  parallel_for(0, static_cast<int64_t>(others.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) time(*others[static_cast<size_t>(i)]);
  });
}

}  // namespace

const char* name(StepKind k) {
  switch (k) {
    case StepKind::product: return "product";
    case StepKind::vector: return "vector";
    case StepKind::reduction: return "reduction";
    case StepKind::multicast: return "multicast";
    case StepKind::cache_shift: return "cache shift";
    case StepKind::move: return "move";
    case StepKind::routes: return "routes";
    case StepKind::host: return "host";
  }
  return "";
}

ChipTime time_inference(const mesh::Program& program, const Plan& plan, const Device& device, const InferenceRequest& request) {
  CHECK(request.prompt >= 1, "prompt {}", request.prompt);
  Timer timer{.program = program, .plan = plan, .device = device, .request = request};
  ChipTime& out = timer.out;
  out.request = request;
  out.clock_hz = device.clock_hz;
  out.power_watts = device.power_watts;
  out.host_round_trip_seconds = device.host_round_trip_seconds;
  const bool one_by_one = request.token_by_token;
  std::vector<Sample> prefill = one_by_one ? std::vector<Sample>() : timer.prefill_samples(),
                      transition = {timer.transition_sample(one_by_one ? 0 : request.prompt)};
  Timer::DecodeSamples prompt = timer.decode_samples(0, one_by_one ? request.prompt : 0),
                       decode = timer.decode_samples(first_position(request), request.decode_steps);
  time_all(program, device, {&prefill, &transition, &prompt.samples, &decode.samples});
  if (!decode.at.empty()) {
    out.first_cycles = decode.samples.front().report.cycles;
    out.last_cycles = decode.samples[decode.at.size() - 1].report.cycles;
  }
  out.prefill = one_by_one ? timer.decode_part(std::move(prompt)) : timer.part_of(prefill);
  out.transition = timer.part_of(transition);
  out.decode = timer.decode_part(std::move(decode));
  return out;
}

double cycles_of(const ChipTime& t) { return t.prefill.cycles + t.transition.cycles + t.decode.cycles; }
double seconds_of(const ChipTime& t) { return cycles_of(t) / t.clock_hz; }
time::Energy energy_of(const ChipTime& t) { return t.prefill.energy + t.transition.energy + t.decode.energy; }
double joules_by_power(const ChipTime& t) { return t.power_watts * seconds_of(t); }

CoreCycles core_cycles_of(const ChipTime& t) {
  CoreCycles out;
  for (const PartTime* p : {&t.prefill, &t.transition, &t.decode}) {
    out.compute += p->cores.compute;
    out.communicate += p->cores.communicate;
    out.wait += p->cores.wait;
  }
  return out;
}

double cycles_per_token(const ChipTime& t) { return t.decode.cycles / static_cast<double>(t.request.decode_steps); }
double prefill_tokens_per_second(const ChipTime& t) { return static_cast<double>(t.request.prompt) * t.clock_hz / t.prefill.cycles; }
double decode_tokens_per_second(const ChipTime& t) { return t.clock_hz / cycles_per_token(t); }
double decode_tokens_per_second_with_host(const ChipTime& t) { return 1 / (cycles_per_token(t) / t.clock_hz + t.host_round_trip_seconds); }

std::vector<StepCycles> by_kind(const PartTime& part) {
  std::vector<StepCycles> out;
  for (const StepCycles& s : part.steps) {
    auto at = std::find_if(out.begin(), out.end(), [&](const StepCycles& o) { return o.kind == s.kind; });
    if (at == out.end()) at = out.insert(out.end(), {.name = name(s.kind), .kind = s.kind});
    at->count += s.count;
    at->cycles += s.cycles;
  }
  std::stable_sort(out.begin(), out.end(), [](const StepCycles& a, const StepCycles& b) { return a.cycles > b.cycles; });
  return out;
}

}  // namespace wafer
