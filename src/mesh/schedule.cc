#include "mesh/schedule.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace wafer::mesh {
namespace {

// Whether all that a step receives has been sent, or is sent by the step itself before.
bool ready(const Step& step, const std::map<MoveId, int64_t>& sent, std::vector<MoveId>& own_sends) {
  auto all = [&](const Steps& steps) {
    return std::all_of(steps.begin(), steps.end(), [&](const Step& s) { return ready(s, sent, own_sends); });
  };
  if (const auto* group = std::get_if<Group>(&step.what)) return all(group->body);
  if (const auto* loop = std::get_if<Loop>(&step.what)) return all(loop->body);
  if (const auto* send = std::get_if<Send>(&step.what)) own_sends.push_back(send->move);
  const auto* receive = std::get_if<Receive>(&step.what);
  if (receive == nullptr) return true;
  const auto it = sent.find(receive->move);
  return (it != sent.end() && it->second > 0) || std::find(own_sends.begin(), own_sends.end(), receive->move) != own_sends.end();
}

}  // namespace

void run_lists(const Entry& entry, const std::map<MoveId, int64_t>& sent, const std::function<void(size_t list, const Step& step)>& run) {
  std::vector<size_t> at(entry.lists.size(), 0);
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t l = 0; l < entry.lists.size(); l++)
      while (at[l] < entry.lists[l].steps.size()) {
        const Step& next = entry.lists[l].steps[at[l]];
        std::vector<MoveId> own_sends;
        if (!ready(next, sent, own_sends)) break;
        run(l, next);
        at[l]++;
        progress = true;
      }
  }
  for (size_t l = 0; l < entry.lists.size(); l++)
    CHECK(at[l] == entry.lists[l].steps.size(), "entry {}: region {} waits for ever", entry.name, entry.lists[l].region.number);
}

}  // namespace wafer::mesh
