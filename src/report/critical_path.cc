#include "report/critical_path.h"

#include <fmt/format.h>

#include <algorithm>

#include "mesh/visit.h"

namespace wafer {
namespace {

using mesh::Step;
using mesh::StepId;

// A stretch of a region's list: top-level steps from one wait for others to the next.
struct Stretch {
  StepId begin, end;
  StepId passed_at;  // the first step that the token passes: angles are ready before it comes
  PathPart part;
  bool passed = false;  // by the token, in order
};

// "embedding" begins with a look-up; layers are a loop; what is left is the head's.
std::string what_is(const Step& step) {
  using namespace mesh;
  return visit(
      step,
      [](const Loop& s) {
        if (s.var != LoopVar::layer) return std::string();
        return s.fixed == 1 ? fmt::format("layer {}", s.begin) : fmt::format("layers {}-{}", s.begin, s.begin + s.fixed - 1);
      },
      [](const Local& s) { return std::string(s.op == LocalOp::look_up ? "embedding" : ""); },
      same_for<Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive, Host, Group, Product>(
          std::string()));
}

bool is_angles(const Step& step) {
  const auto* local = std::get_if<mesh::Local>(&step.what);
  return local != nullptr && local->op == mesh::LocalOp::angles;
}

std::vector<Stretch> stretches(const mesh::Entry& entry, const std::vector<mesh::RegionId>& regions) {
  const mesh::StepIds ids = number_steps(entry);
  std::vector<Stretch> out;
  for (const mesh::RegionSteps& list : entry.lists) {
    const int region = static_cast<int>(std::find(regions.begin(), regions.end(), list.region) - regions.begin());
    bool before_token = false;
    for (const Step& s : list.steps) {
      const StepId id = ids.of.at(&s);
      const bool first = &s == &list.steps.front(), waits = std::holds_alternative<mesh::Receive>(s.what);
      if (waits && before_token)
        out.back().passed_at = id;
      else if (first || waits)
        out.push_back({.begin = id, .end = id, .passed_at = id, .part = {.region = region, .what = "", .steps = {}}});
      before_token = first && is_angles(s);
      out.back().end = ids.at(id).end;
      if (out.back().part.what.empty()) out.back().part.what = what_is(s);
    }
  }
  for (Stretch& s : out)
    if (s.part.what.empty()) s.part.what = "LM head and choice";
  return out;
}

}  // namespace

std::vector<PathPart> critical_path(const Lowered& lowered, const Device& device, const mesh::Params& params) {
  std::vector<Stretch> all = stretches(mesh::entry(lowered.program(), "decode"), lowered.placement.decode_regions);
  std::vector<Stretch*> order;  // of the token's way
  for (time::StepTime& s : time::time_entry(lowered.program(), device, "decode", params).steps) {
    const auto at = std::find_if(all.begin(), all.end(), [&](const Stretch& part) { return part.begin <= s.step && s.step < part.end; });
    if (!at->passed && s.step >= at->passed_at) {
      order.push_back(&*at);
      at->passed = true;
    }
    PathPart& part = at->part;
    part.cycles += s.cycles;
    const auto same = std::find_if(part.steps.begin(), part.steps.end(), [&](const time::StepTime& o) { return o.name == s.name; });
    if (same == part.steps.end()) {
      part.steps.push_back(std::move(s));
    } else {
      same->count += s.count;
      same->cycles += s.cycles;
    }
  }
  std::vector<PathPart> out;
  for (Stretch* s : order) out.push_back(std::move(s->part));
  return out;
}

}  // namespace wafer
