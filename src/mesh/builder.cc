#include "mesh/builder.h"

#include <algorithm>
#include <numeric>

namespace wafer::mesh {

Dim dim(std::string name, int64_t n) { return {std::move(name), {.kind = SizeKind::fixed, .fixed = n, .limit = n}}; }
Dim dim(std::string name, SizeKind kind, int64_t limit) { return {std::move(name), {.kind = kind, .fixed = 0, .limit = limit}}; }

namespace {

// Interval colouring, left to right: optimal, since the paths of a line are intervals.
std::vector<int> colour(const std::vector<Path>& paths, const std::vector<int>& taken) {
  std::vector<size_t> order(paths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return paths[a].lo < paths[b].lo; });
  std::vector<int> colours(paths.size(), -1);
  std::vector<int> free_ids;    // colour ids of this route
  std::vector<int> busy_until;  // the last router of the colour's latest path
  int next = 0;
  auto fresh = [&] {
    while (std::find(taken.begin(), taken.end(), next) != taken.end()) next++;
    free_ids.push_back(next++);
    busy_until.push_back(-1);
  };
  for (size_t i : order) {
    size_t c = 0;
    while (c < free_ids.size() && busy_until[c] >= paths[i].lo) c++;
    if (c == free_ids.size()) fresh();
    colours[i] = free_ids[c];
    busy_until[c] = paths[i].hi;
  }
  return colours;
}

}  // namespace

TensorId add_tensor(Program& program, Tensor tensor) { return program.tensors.add(std::move(tensor)); }
RegionId add_region(Program& program, Region region) { return program.regions.add(std::move(region)); }
PhaseId add_phase(Program& program, std::string name) { return program.phases.add(Phase{.name = std::move(name)}); }
BufferId add_buffer(Program& program, Buffer buffer) { return program.buffers.add(std::move(buffer)); }
MoveId add_move(Program& program, Move move) { return program.moves.add(std::move(move)); }

IssueId add_issue(Program& program, Issue issue) {
  for (const IssueId id : program.issues.ids())
    if (program.issues[id] == issue) return id;
  return program.issues.add(issue);
}

RouteId add_route(Program& program, std::string name, PhaseId phase, RegionId region, Axis axis, std::vector<Path> paths) {
  std::vector<int> taken;
  for (const Route& r : program.routes)
    if (r.phase == phase && r.region == region) taken.insert(taken.end(), r.colours.begin(), r.colours.end());
  Route route{.name = std::move(name), .phase = phase, .region = region, .axis = axis, .paths = std::move(paths), .colours = {}};
  route.colours = colour(route.paths, taken);
  return program.routes.add(std::move(route));
}

std::vector<std::vector<Path>> forest_paths(const Forest& forest) {
  std::vector<std::vector<Path>> levels;
  for (size_t i = 0; i < forest.runs.size(); i++) {
    const int base = static_cast<int>(forest.runs[i].begin);
    for (size_t l = 0; l < forest.trees[i].levels.size(); l++) {
      if (levels.size() <= l) levels.emplace_back();
      for (const Chain& chain : forest.trees[i].levels[l])
        for (size_t p = 0; p + 1 < chain.size(); p++) levels[l].push_back(straight(base + chain[p], base + chain[p + 1]));
    }
  }
  return levels;
}

std::vector<Path> broadcast_paths(const Forest& forest) {
  std::vector<Path> paths;
  for (size_t i = 0; i < forest.runs.size(); i++) {
    const Range run = forest.runs[i];
    if (run.size() < 2) continue;
    paths.push_back(
        multicast(static_cast<int>(run.begin) + forest.trees[i].root, static_cast<int>(run.begin), static_cast<int>(run.end) - 1));
  }
  return paths;
}

std::vector<Path> ring_paths(const std::vector<Range>& runs, bool down, LineOrder order) {
  std::vector<Path> paths;
  for (const Range& run : runs) {
    const int n = static_cast<int>(run.size()), base = static_cast<int>(run.begin);
    if (n < 2) continue;
    for (int c = 0; c < n; c++) {
      const int next = (c + (down ? n - 1 : 1)) % n;
      paths.push_back(straight(base + ring_to_position(order, c, n), base + ring_to_position(order, next, n)));
    }
  }
  return paths;
}

std::vector<Path> cast_paths(int positions) {
  std::vector<Path> paths;
  for (int p = 0; p < positions && positions > 1; p++) paths.push_back(multicast(p, 0, positions - 1));
  return paths;
}

std::vector<Path> neighbour_paths(const std::vector<Range>& runs, bool to_lower) {
  std::vector<Path> paths;
  for (const Range& run : runs)
    for (int64_t p = run.begin; p + 1 < run.end; p++) {
      const int low = static_cast<int>(p), high = low + 1;
      paths.push_back(to_lower ? straight(high, low) : straight(low, high));
    }
  return paths;
}

}  // namespace wafer::mesh
