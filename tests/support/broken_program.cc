#include "support/broken_program.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lower/lower.h"
#include "mesh/locality.h"

namespace wafer::mesh {

namespace {

ModelConfig model() {
  return {.name = "small",
          .architecture = "llama",
          .layers = 2,
          .dim = 10,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 4,
          .ffn = 9,
          .vocab = 7,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 10000};
}

}  // namespace

Program small_program(bool host_choice, bool keep_scores) {
  Plan plan{.context = 12, .chunk = 3, .max_prompt = 8, .keep_scores = keep_scores, .host_choice = host_choice};
  plan.prefill.regions = {{.rect = {0, 0, 5, 4}, .layers = 2}, {.rect = {5, 0, 5, 4}, .head = true}};
  plan.decode.regions = {{.rect = {0, 0, 4, 3}, .layers = 2}, {.rect = {4, 0, 4, 3}, .head = true}};
  return lower(model(), uniform_types(TensorType::f16), plan, kBrokenMesh).program();
}

Steps& list_of(Program& p, const std::string& entry_name, const std::string& step, size_t& at) {
  Steps* found = nullptr;
  for (Entry& e : p.entries)
    if (e.name == entry_name)
      for (RegionSteps& r : e.lists)
        for_lists(r.steps, [&](Steps& steps) {
          for (size_t i = 0; i < steps.size(); i++)
            if (found == nullptr && steps[i].name == step) {
              found = &steps;
              at = i;
            }
        });
  if (found == nullptr) throw std::runtime_error("no step " + step);
  return *found;
}

Program without(const std::string& entry_name, const std::string& step) {
  Program p = small_program();
  size_t at = 0;
  Steps& list = list_of(p, entry_name, step, at);
  list.erase(list.begin() + static_cast<ptrdiff_t>(at));
  return p;
}

Program twice(const std::string& entry_name, const std::string& step) {
  Program p = small_program();
  size_t at = 0;
  Steps& list = list_of(p, entry_name, step, at);
  const Step again = list[at];
  list.insert(list.begin() + static_cast<ptrdiff_t>(at), again);
  return p;
}

Program before(const std::string& entry_name, const std::string& step, const std::string& other) {
  Program p = small_program();
  size_t at = 0, to = 0;
  Steps& list = list_of(p, entry_name, step, at);
  if (&list_of(p, entry_name, other, to) != &list) throw std::runtime_error(step + " and " + other + " stand in two lists");
  std::rotate(list.begin() + static_cast<ptrdiff_t>(to), list.begin() + static_cast<ptrdiff_t>(at),
              list.begin() + static_cast<ptrdiff_t>(at) + 1);
  return p;
}

BufferId buffer_of(const Program& p, const std::string& name) {
  for (const BufferId b : p.buffers.ids())
    if (p.buffers[b].name == name) return b;
  throw std::runtime_error("no buffer " + name);
}

std::string text_of(const std::vector<Diagnostic>& all) {
  std::string text;
  for (const Diagnostic& d : all) text += fmt::format("\n  {} ({},{}) {}: {}", name(d.rule), d.x, d.y, d.where, d.text);
  return all.empty() ? "\n  no fault" : text;
}

Entry& entry_of(Program& p, const std::string& name) {
  for (Entry& e : p.entries)
    if (e.name == name) return e;
  throw std::runtime_error("no entry " + name);
}

void expect_fault(const Program& p, Rule rule, const std::string& where, const std::string& part) {
  const std::vector<Diagnostic> all = check_locality(p);
  ASSERT_FALSE(all.empty()) << name(rule) << " " << where;
  EXPECT_TRUE(all.front().rule == rule && all.front().where.find(where) != std::string::npos &&
              all.front().text.find(part) != std::string::npos)
      << "expected " << name(rule) << ", " << where << ", " << part << text_of(all);
}

}  // namespace wafer::mesh
