#include "time/product_schedule.h"

#include <algorithm>

#include "base/checked.h"
#include "mesh/visit.h"
#include "time/cost.h"

namespace wafer::time {

using namespace mesh;

StreamActions operator+(const StreamActions& a, const StreamActions& b) {
  return {.operations = checked_add(a.operations, b.operations), .tasks = checked_add(a.tasks, b.tasks)};
}
StreamActions operator*(int64_t times, const StreamActions& a) {
  return {.operations = checked_mul(times, a.operations), .tasks = checked_mul(times, a.tasks)};
}

StreamActions shift_actions(int64_t senses) { return {.operations = 2 * senses, .tasks = senses}; }
StreamActions cast_actions(int64_t tiles) { return {.operations = tiles, .tasks = tiles}; }
StreamActions row_sum_actions(int position, int root, int width) {
  const int sides = (root > 0 ? 1 : 0) + (root + 1 < width ? 1 : 0);
  return {.operations = width == 1 ? 0 : position == root ? sides : 1, .tasks = 0};
}
StreamActions turn_actions() { return {.operations = 0, .tasks = 2}; }

int64_t issue_cycles(const Device& d, const StreamActions& a) { return checked_mul(a.operations, stream_issue_cycles(d)); }
int64_t task_cycles(const Device& d, const StreamActions& a) { return checked_mul(a.tasks, d.task_activation_cycles); }
int64_t turn_cycles(const Device& d) { return task_cycles(d, turn_actions()) + d.exchange_step_cycles; }

void book_product_actions(const Device& d, const StreamActions& all, int64_t turns, int64_t k_turns, Tally& tally) {
  const int64_t descriptors = checked_add(all.operations, checked_mul(kTileDescriptors, k_turns));
  const int64_t cycles = checked_add(checked_add(issue_cycles(d, all), task_cycles(d, all)), checked_mul(turns, d.exchange_step_cycles));
  add(tally,
      {.communicate = static_cast<double>(cycles),
       .actions = {.stream_ops = all.operations, .descriptor_loads = descriptors, .descriptor_edits = descriptors, .tasks = all.tasks}});
}

namespace {

bool has_transfers(const Steps& steps) {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& s) { return std::holds_alternative<Shift>(s.what) || std::holds_alternative<TileCast>(s.what); });
}

void read(const Steps& steps, bool beside_transfers, ProductSchedule& out) {
  for (const Step& step : steps)
    visit(
        step,
        [&](const Loop& loop) {
          out.together = out.together || loop.together;
          read(loop.body, false, out);
        },
        [&](const Group& g) { read(g.body, g.kind == GroupKind::overlap && has_transfers(g.body), out); },
        [&](const Shift& s) {
          out.align_a = out.align_a || s.kind == ShiftKind::align_rows;
          out.align_b = out.align_b || s.kind == ShiftKind::align_cols;
        },
        [&](const Local&) { out.overlap = out.overlap || beside_transfers; },
        nothing_for<Opaque, Reduce, RingReduce, Multicast, TileCast, RowShift, RootReduce, Send, Receive, Host, Product>());
}

}  // namespace

ProductSchedule schedule_of(const Steps& expansion) {
  ProductSchedule out;
  read(expansion, false, out);
  return out;
}

}  // namespace wafer::time
