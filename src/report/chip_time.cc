#include "report/chip_time.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/check.h"
#include "base/rng.h"

namespace wafer {
namespace {

using time::RequestTimer;
using time::Sample;

// A decode of `steps` steps from position `first` on: all of them, or spaced ones with lines between, then those to check.
struct DecodeSamples {
  std::vector<Sample> samples, checks;
};
DecodeSamples decode_samples(const RequestTimer& timer, int64_t first, int64_t steps) {
  DecodeSamples d{.samples = timer.decode_samples(first, steps), .checks = {}};
  if (static_cast<int64_t>(d.samples.size()) == steps) return d;
  Rng rng(static_cast<uint64_t>(steps));
  for (int64_t i = 0; i < kPositionsChecked; i++) {
    const int64_t position = first + static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(steps)));
    d.checks.push_back(timer.decode_samples(position, 1).front());
  }
  return d;
}

// The largest difference between the exact cycles at the positions to check and the lines between the timed ones, relative.
double largest_error(const DecodeSamples& d) {
  double largest = 0;
  const auto position = [](const Sample& s) { return static_cast<double>(s.params.cached); };
  const auto cycles = [](const Sample& s) { return static_cast<double>(s.report.cycles); };
  for (const Sample& check : d.checks) {
    const auto next = std::lower_bound(d.samples.begin(), d.samples.end(), check,
                                       [](const Sample& a, const Sample& b) { return a.params.cached < b.params.cached; });
    const auto before = next == d.samples.begin() ? next : std::prev(next);
    const double span = position(*next) - position(*before), share = span == 0 ? 0 : (position(check) - position(*before)) / span,
                 line = cycles(*before) + share * (cycles(*next) - cycles(*before));
    largest = std::max(largest, std::fabs(line - cycles(check)) / cycles(check));
  }
  return largest;
}

}  // namespace

ChipTime time_inference(const mesh::Program& program, const Plan& plan, const Device& device, const InferenceRequest& request) {
  CHECK(request.prompt >= 1, "prompt {}", request.prompt);
  const RequestTimer timer{.program = program, .device = device, .chunk = plan.chunk};
  ChipTime out{.request = request};
  out.clock_hz = device.clock_hz;
  out.power_watts = device.power_watts;
  out.host_round_trip_seconds = device.host_round_trip_seconds;
  const bool one_by_one = request.token_by_token;
  std::vector<Sample> prefill = one_by_one ? std::vector<Sample>() : timer.prefill_samples(request.prompt, request.head_rows),
                      transition = timer.transition_samples(one_by_one ? 0 : request.prompt);
  DecodeSamples prompt = decode_samples(timer, 0, one_by_one ? request.prompt : 0),
                decode = decode_samples(timer, first_position(request), request.decode_steps);
  timer.time({&prefill, &transition, &prompt.samples, &prompt.checks, &decode.samples, &decode.checks});
  if (!decode.samples.empty()) {
    out.first_cycles = decode.samples.front().report.cycles;
    out.last_cycles = decode.samples.back().report.cycles;
  }
  if (!one_by_one) {
    out.chunks = (request.prompt + plan.chunk - 1) / plan.chunk;
    out.chunks_timed = std::count_if(prefill.begin(), prefill.end(), [](const Sample& s) { return s.entry == "prefill"; });
  }
  for (const DecodeSamples* d : {&prompt, &decode}) {
    out.positions_timed += static_cast<int64_t>(d->samples.size());
    out.positions_checked += static_cast<int64_t>(d->checks.size());
    out.largest_error = std::max(out.largest_error, largest_error(*d));
  }
  out.prefill = timer.sum(one_by_one ? prompt.samples : prefill);
  out.transition = timer.sum(transition);
  out.decode = timer.sum(decode.samples);
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
