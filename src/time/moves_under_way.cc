#include "time/moves_under_way.h"

#include <algorithm>

#include "base/check.h"
#include "time/clocks.h"
#include "time/cost.h"

namespace wafer::time {

using namespace mesh;

MovesUnderWay::Sent MovesUnderWay::send(MoveId id, uint64_t ready, const Scope& s) {
  const Move& move = program.moves[id];
  const auto [at, fresh] = load_of.try_emplace({move.source, move.destination});
  if (fresh) at->second = move_load(sizes, device, move, s);
  const MoveLoad& load = at->second;
  sent[id]++;
  if (load.all_words == 0) {
    arrivals[id].push_back(ready);
    return {};
  }
  const int64_t issue = stream_issue_cycles(device);
  const uint64_t passes = static_cast<uint64_t>(std::max<int64_t>(1, stream_cycles(device, load.words)));
  const uint64_t issued = time_after(ready, static_cast<uint64_t>(issue) + passes);
  const uint64_t gone = time_after(ready, static_cast<uint64_t>(stream_cycles(device, load.words_out)));
  LinksFree& links = links_free[sizes.buffer(move.destination).region];
  const auto after = [&](uint64_t free, int64_t words) {
    return words == 0 ? ready : time_after(std::max(ready, free), static_cast<uint64_t>(stream_cycles(device, words)));
  };
  const auto arrival = [&](const MoveWay& way) {
    const int64_t latency = 2 * (issue + 2 * device.ramp_cycles) + way.distance * device.hop_cycles;
    return time_after(std::max({issued, gone, after(links.x, way.link_x), after(links.y, way.link_y)}),
                      static_cast<uint64_t>(latency) + passes);
  };
  const uint64_t free_x = std::max({issued, gone, after(links.x, load.x_first.link_x)}),
                 free_y = std::max({issued, gone, after(links.y, load.y_first.link_y)});
  const bool x_first = time_after(arrival(load.x_first), free_x) <= time_after(arrival(load.y_first), free_y);
  const MoveWay& way = x_first ? load.x_first : load.y_first;
  arrivals[id].push_back(arrival(way));
  const uint64_t x = after(links.x, way.link_x), y = after(links.y, way.link_y);
  if (way.link_x > 0) links.x = x;
  if (way.link_y > 0) links.y = y;
  return {.sender_free = x_first ? free_x : free_y, .words = load.all_words, .hops = way.hops};
}

uint64_t MovesUnderWay::receive(MoveId id, const std::string& step_name) {
  std::deque<uint64_t>& queue = arrivals[id];
  CHECK(!queue.empty(), "nothing has been sent for {}", step_name);
  const uint64_t time = queue.front();
  queue.pop_front();
  sent[id]--;
  return time;
}

bool MovesUnderWay::none() const {
  return std::all_of(arrivals.begin(), arrivals.end(), [](const auto& a) { return a.second.empty(); });
}

void MovesUnderWay::repeat(const Arrivals& before, int64_t times, uint64_t cycles) {
  for (auto& [move, queue] : arrivals) {
    const auto old = before.find(move);
    const size_t known = old == before.end() ? 0 : old->second.size(), fresh = queue.size() - known;
    for (int64_t turn = 0; turn < times; turn++)
      for (size_t q = 0; q < fresh; q++) queue.push_back(time_after(queue[queue.size() - fresh], cycles));
    sent[move] += times * static_cast<int64_t>(fresh);
  }
}

}  // namespace wafer::time
