#include "report/critical_path.h"

#include <fmt/format.h>

#include <algorithm>

namespace wafer {
namespace {

using mesh::Step;
using mesh::Steps;

void put_before_names(Steps& steps, const std::string& prefix) {
  for (Step& s : steps) {
    s.name = prefix + s.name;
    if (auto* loop = std::get_if<mesh::Loop>(&s.what)) put_before_names(loop->body, prefix);
    if (auto* group = std::get_if<mesh::Group>(&s.what)) put_before_names(group->body, prefix);
  }
}

// "embedding" begins with a look-up; layers are a loop; what is left is the head's.
std::string what_is(const Steps& steps) {
  for (const Step& s : steps) {
    if (const auto* loop = std::get_if<mesh::Loop>(&s.what); loop != nullptr && loop->var == mesh::LoopVar::layer)
      return loop->fixed == 1 ? fmt::format("layer {}", loop->begin)
                              : fmt::format("layers {}-{}", loop->begin, loop->begin + loop->fixed - 1);
    if (const auto* op = std::get_if<mesh::Local>(&s.what); op != nullptr && op->op == mesh::LocalOp::look_up) return "embedding";
  }
  return "LM head and choice";
}

}  // namespace

std::vector<PathPart> critical_path(const Lowered& lowered, const Device& device, const mesh::Params& params) {
  // The timing merges steps by name, so each part gets names of its own. A part ends where the region waits for others again.
  mesh::Program named = lowered.program();
  std::vector<PathPart> parts;
  mesh::Entry& entry = *std::find_if(named.entries.begin(), named.entries.end(), [](const mesh::Entry& e) { return e.name == "decode"; });
  const std::vector<mesh::RegionId>& regions = lowered.placement.decode_regions;
  for (mesh::RegionSteps& list : entry.lists) {
    const int region = static_cast<int>(std::find(regions.begin(), regions.end(), list.region) - regions.begin());
    Steps renamed, part;
    const auto end_part = [&] {
      if (part.empty()) return;
      parts.push_back({.region = region, .what = what_is(part), .steps = {}});
      put_before_names(part, fmt::format("{}:", parts.size() - 1));
      renamed.insert(renamed.end(), part.begin(), part.end());
      part.clear();
    };
    for (Step& s : list.steps) {
      if (std::holds_alternative<mesh::Receive>(s.what)) end_part();
      part.push_back(std::move(s));
    }
    end_part();
    list.steps = std::move(renamed);
  }
  std::vector<size_t> order;  // of the token's way
  PathPart between{.region = -1, .what = "between phases", .steps = {}};
  for (time::StepTime& s : time::time_entry(named, device, "decode", params).steps) {
    const size_t colon = s.name.find(':');
    if (colon == std::string::npos) {  // what the timing adds to the program's steps, in all regions together: changes of routes
      between.cycles += s.cycles;
      between.steps.push_back(std::move(s));
      continue;
    }
    const auto at = static_cast<size_t>(std::stoul(s.name.substr(0, colon)));
    s.name.erase(0, colon + 1);
    if (std::find(order.begin(), order.end(), at) == order.end()) order.push_back(at);
    parts[at].cycles += s.cycles;
    parts[at].steps.push_back(std::move(s));
  }
  std::vector<PathPart> out;
  for (const size_t at : order) out.push_back(std::move(parts[at]));
  if (!between.steps.empty()) out.push_back(std::move(between));
  return out;
}

}  // namespace wafer
