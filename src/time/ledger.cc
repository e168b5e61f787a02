#include "time/ledger.h"

namespace wafer::time {

using mesh::StepId;

namespace {

void gain(StepTime& now, const StepTime& more, int64_t times) {
  const double f = static_cast<double>(times);
  now.count += times * more.count;
  now.cycles += times * more.cycles;
  now.compute += f * more.compute;
  now.communicate += f * more.communicate;
  now.wait += f * more.wait;
  now.multiply_adds += times * more.multiply_adds;
  now.actions = now.actions + times * more.actions;
  now.wavelets += times * more.wavelets;
  now.wavelet_hops += times * more.wavelet_hops;
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
  report.wavelets_sent += times * more.wavelets_sent;
  report.wavelets_received += times * more.wavelets_received;
  report.extrapolated_cycles += times * more.extrapolated_cycles;
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
