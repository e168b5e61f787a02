#include "time/ledger.h"

#include "base/checked.h"

namespace wafer::time {

using mesh::StepId;

namespace {

// `times` more: a loop's turns may add up to more than one turn's count, which was checked, can be.
void gain(int64_t& now, int64_t more, int64_t times) { now = checked_add(now, checked_mul(times, more)); }

void gain(StepTime& now, const StepTime& more, int64_t times) {
  const double f = static_cast<double>(times);
  gain(now.count, more.count, times);
  gain(now.cycles, more.cycles, times);
  now.compute += f * more.compute;
  now.communicate += f * more.communicate;
  now.wait += f * more.wait;
  gain(now.multiply_adds, more.multiply_adds, times);
  now.actions = now.actions + times * more.actions;
  gain(now.wavelets, more.wavelets, times);
  gain(now.wavelet_hops, more.wavelet_hops, times);
}

}  // namespace

StepTime& Ledger::line(StepId step, bool route_change) {
  const auto [it, fresh] = line_of.try_emplace({step, route_change}, report.steps.size());
  if (fresh) {
    const mesh::Step& s = *ids.at(step).step;
    report.steps.push_back(
        {.step = step, .name = route_change ? kRouteChange : s.name, .kind = route_change ? StepKind::routes : kind_of(s)});
  }
  return report.steps[it->second];
}

void Ledger::add(const TimeReport& more, int32_t offset, int64_t times, int64_t cycles) {
  for (const StepTime& s : more.steps) {
    gain(line({s.step.place + offset}, s.kind == StepKind::routes), s, times);
    cycles -= times * s.cycles;
  }
  report.steps.back().cycles += cycles;
  gain(report.wavelets_sent, more.wavelets_sent, times);
  gain(report.wavelets_received, more.wavelets_received, times);
  gain(report.extrapolated_cycles, more.extrapolated_cycles, times);
}

TimeReport gained(const TimeReport& now, const TimeReport& before, const mesh::StepIds& ids, StepId within) {
  TimeReport out{.wavelets_sent = now.wavelets_sent - before.wavelets_sent,
                 .wavelets_received = now.wavelets_received - before.wavelets_received,
                 .extrapolated_cycles = now.extrapolated_cycles - before.extrapolated_cycles};
  for (size_t k = 0; k < now.steps.size(); k++) {  // lines are only ever added at the end
    if (!ids.within(now.steps[k].step, within)) continue;
    out.steps.push_back(now.steps[k]);
    if (k < before.steps.size()) gain(out.steps.back(), before.steps[k], -1);
  }
  return out;
}

}  // namespace wafer::time
