#include "kernel_bench/reduce_program.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/printable.h"
#include "kernels/reduce.h"
#include "mesh/builder.h"

namespace wafer::kernels {

using namespace mesh;

Tree chain_tree(int size) {
  Tree t{.size = size, .root = 0};
  Chain all;
  for (int p = size - 1; p >= 0; p--) all.push_back(p);
  if (size > 1) t.levels = {{all}};
  return t;
}

Tree two_phase_tree(int size, int group) {
  Tree t{.size = size, .root = 0};
  Level inside;
  Chain heads;
  for (int begin = 0; begin < size; begin += group) {
    Chain chain;
    for (int p = std::min(begin + group, size) - 1; p >= begin; p--) chain.push_back(p);
    if (chain.size() > 1) inside.push_back(chain);
    heads.insert(heads.begin(), begin);
  }
  if (!inside.empty()) t.levels.push_back(inside);
  if (heads.size() > 1) t.levels.push_back({heads});
  return t;
}

Tree binary_tree(int size) {
  Tree t{.size = size, .root = 0};
  // At level l the core at b takes the vector of b + 2^l. Where that is the last one that b takes in, b sends on what arrives: one chain.
  auto last_level_of = [&](int p) {  // the highest level at which p takes a vector in; -1: none
    int last = -1;
    for (int l = 0; (p == 0 || (p & ((1 << (l + 1)) - 1)) == 0) && p + (1 << l) < size; l++) last = l;
    return last;
  };
  for (int l = 0; (1 << l) < size; l++) {
    Level level;
    for (int b = 0; b + (1 << l) < size; b += 2 << l) {
      if (b != 0 && last_level_of(b) == l) continue;  // part of the chain through b
      Chain chain = {b};
      for (int p = b + (1 << l); p >= 0;) {
        chain.insert(chain.begin(), p);
        const int last = last_level_of(p);
        p = last < 0 ? -1 : p + (1 << last);
      }
      level.push_back(chain);
    }
    t.levels.push_back(level);
  }
  return t;
}

int64_t harness_cycles(const std::string& algorithm) {
  if (algorithm == "ktree" || algorithm == "ring") return 0;
  return algorithm == "tree" ? 58 : 52;
}

void check_tree_groups(const std::vector<int>& groups, int size) {
  for (size_t i = 0; i < groups.size(); i++) {
    const int before = i == 0 ? size + 1 : groups[i - 1];
    if (groups[i] >= 1 && groups[i] < before) continue;
    throw Error{{.where = "--groups",
                 .found = i == 0 ? fmt::format("{} groups of {} cores", groups[i], size)
                                 : fmt::format("{} groups of the {} before", groups[i], groups[i - 1]),
                 .expected = i == 0 ? fmt::format("1 to {}, the cores of the line", size)
                                    : std::string("for each level of the tree fewer groups than for the one before, at least 1"),
                 .fix = "give them from the first level on, such as --groups 20 or --groups 72,9"}};
  }
}

int cores_of_a_group(const std::vector<int>& groups, int size) {
  if (groups.size() == 1 && groups[0] >= 1 && groups[0] <= size) return groups[0];
  throw Error{{.where = "--groups",
               .found = groups.empty() ? "none" : fmt::format("{}", fmt::join(groups, ",")),
               .expected = fmt::format("one number with two-phase: the cores of a group, 1 to {}", size),
               .fix = "give one number, such as the root of the length"}};
}

Program reduce_program(const ReduceShape& s, Extent device_mesh) {
  Issue way;
  Tree tree;
  if ((s.algorithm == "chain" || s.algorithm == "tree" || s.algorithm == "ring") && !s.groups.empty())
    throw Error{{.where = "--groups",
                 .found = fmt::format("{}", fmt::join(s.groups, ",")),
                 .expected = "none with " + s.algorithm,
                 .fix = "leave the option out"}};
  if (s.algorithm == "chain") {
    tree = chain_tree(s.size);
  } else if (s.algorithm == "two-phase") {
    tree = two_phase_tree(s.size, cores_of_a_group(s.groups, s.size));
    way.later = {.tasks = 1, .descriptor_loads = 0, .descriptor_edits = 0};
  } else if (s.algorithm == "tree") {
    tree = binary_tree(s.size);
    way.first = way.later = {.tasks = 2, .descriptor_loads = 2, .descriptor_edits = 2};
  } else if (s.algorithm == "ktree") {
    check_tree_groups(s.groups, s.size);
    tree = k_tree(s.size, s.groups.empty() ? even_groups(s.size, 2) : s.groups);
  } else if (s.algorithm != "ring") {
    throw Error{{.where = "--algorithm",
                 .found = wafer::quoted(s.algorithm),
                 .expected = "chain, two-phase, tree, ktree or ring",
                 .fix = "choose one of them"}};
  }
  Program p;
  p.name = "reduce";
  p.numerics = s.dtype == Dtype::f16 ? Numerics::fp16 : Numerics::fp32;
  p.mesh = device_mesh;
  const bool along_x = s.size <= device_mesh.w;
  const RegionId region = add_region(p, {.name = "line", .rect = along_x ? Rect{0, 0, s.size, 1} : Rect{0, 0, 1, s.size}});
  const PhaseId phase = add_phase(p, "reduce");
  const TensorId tensor = add_tensor(p, {.name = "v", .dtype = s.dtype, .dims = {dim("n", s.words)}});
  const BufferId buffer = add_buffer(p, {.name = "v", .tensor = tensor, .region = region, .kind = BufferKind::partials, .phases = {phase}});
  const Site site{p, region, phase};
  const Axis axis = along_x ? Axis::x : Axis::y;
  const ReducePart part{.buffer = buffer, .op = ReduceOp::add, .broadcast = s.broadcast};
  Step step;
  if (s.algorithm == "ring") {
    step = ring_reduce(site, "reduce", add_ring_line(site, "ring", axis, {{0, s.size}}), {part});
  } else {
    step = reduce(site, "reduce", add_reduce_line(site, "tree", axis, {.runs = {{0, s.size}}, .trees = {tree}}), {part});
    std::get<Reduce>(step.what).issue = add_issue(p, way);
  }
  p.entries = {{.name = "reduce", .lists = {{.region = region, .steps = {std::move(step)}}}, .inputs = {buffer}, .outputs = {buffer}}};
  return p;
}

}  // namespace wafer::kernels
