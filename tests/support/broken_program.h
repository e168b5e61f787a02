// For tests: a small lowered program, and ways to break it by the names of its steps.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>

#include "mesh/program.h"
#include "mesh/verify.h"

namespace wafer::mesh {

constexpr Extent kBrokenMesh{16, 16};

// Prefill on 5 x 4 cores, decode on 4 x 3, the head beside them; two layers, prompts of up to 8 tokens in chunks of 3.
Program small_program(bool host_choice = false, bool keep_scores = true);

// All lists of steps inside of one.
template <class F>
void for_lists(Steps& steps, const F& f) {
  f(steps);
  for (Step& s : steps) {
    if (auto* loop = std::get_if<Loop>(&s.what)) for_lists(loop->body, f);
    if (auto* group = std::get_if<Group>(&s.what)) for_lists(group->body, f);
  }
}

// The list that has the first step of that name, which stands at `at`.
Steps& list_of(Program& p, const std::string& entry_name, const std::string& step, size_t& at);

template <class Kind>
Kind& step_of(Program& p, const std::string& entry_name, const std::string& step) {
  size_t at = 0;
  Steps& list = list_of(p, entry_name, step, at);
  return std::get<Kind>(list[at].what);
}

// The small program without a step, with it done twice, with it done before another one.
Program without(const std::string& entry_name, const std::string& step);
Program twice(const std::string& entry_name, const std::string& step);
Program before(const std::string& entry_name, const std::string& step, const std::string& other);

BufferId buffer_of(const Program& p, const std::string& name);
Entry& entry_of(Program& p, const std::string& name);

std::string text_of(const std::vector<Diagnostic>& all);

// Fails unless the first fault that check_locality() tells is of that rule, and its place and text have these parts.
void expect_fault(const Program& p, Rule rule, const std::string& where, const std::string& part = "");

}  // namespace wafer::mesh
