#include "mesh/schedule.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "mesh/visit.h"

namespace wafer::mesh {
namespace {

// Whether all that a step receives has been sent, or is sent by the step itself before.
bool ready(const Step& step, const std::map<MoveId, int64_t>& sent) {
  std::vector<MoveId> own_sends;
  bool all = true;
  for_each_step(step, [&](const Step& inner) {
    visit(
        inner, [&](const Send& s) { own_sends.push_back(s.move); },
        [&](const Receive& s) {
          const auto it = sent.find(s.move);
          all &= (it != sent.end() && it->second > 0) || std::find(own_sends.begin(), own_sends.end(), s.move) != own_sends.end();
        },
        nothing_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Host, Loop, Group, Product>());
  });
  return all;
}

}  // namespace

void run_lists(const Entry& entry, const std::map<MoveId, int64_t>& sent, const std::function<bool(size_t list, const Step& step)>& run) {
  std::vector<size_t> at(entry.lists.size(), 0);
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t l = 0; l < entry.lists.size(); l++)
      while (at[l] < entry.lists[l].steps.size()) {
        const Step& next = entry.lists[l].steps[at[l]];
        if (!ready(next, sent)) break;
        if (!run(l, next)) return;
        at[l]++;
        progress = true;
      }
  }
  for (size_t l = 0; l < entry.lists.size(); l++)
    CHECK(at[l] == entry.lists[l].steps.size(), "entry {}: region {} waits for ever", entry.name, entry.lists[l].region.number);
}

}  // namespace wafer::mesh
