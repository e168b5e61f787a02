// Proves a program legal before anything runs, and names the first core and step that breaks a rule.
//
// Rules: the bytes of every core fit its SRAM; a phase uses no more colours than are free; a colour enters a router from one side only;
// every receive has its send, on a route that exists in the step's phase; no region waits for itself through others; a route is rewritten
// only between phases, when no step is using its colours. What cannot be wrong in this form needs no rule: chains of a tree are data in
// the order in which they run, so inside a step nobody waits in a circle.
#pragma once
#include <string>
#include <vector>

#include "mesh/program.h"

namespace wafer::mesh {

// What a device lets a program use.
struct Limits {
  Extent mesh;
  int64_t sram_bytes = 0;  // of one core
  int64_t code_bytes = 0;  // of them, taken by code and system
  int colours = 0;         // free to programs
};

enum class Rule : uint8_t {
  malformed,  // form.h
  bytes,
  colours,
  two_inputs,
  receive_without_send,
  cycle_of_waits,
  rewritten_in_use,
  off_the_mesh,
  // those of check_locality() (locality.h)
  operands,
  elsewhere,
  undefined,
  partial,
  not_everywhere,
  aligned,
  incomplete,
  stale,
  never_read,
  cache_rows,
  phases,
  interface
};
constexpr int kRules = 20;
const char* name(Rule r);

struct Diagnostic {
  Rule rule = Rule::malformed;
  int x = 0, y = 0;   // device coordinates of the first core
  std::string where;  // phase, entry, step
  std::string text;   // "core (3,7) needs 49,812 of 49,152 bytes: weights 38,400 ..."
};

// All faults, in the order of the rules (of a malformed program that alone); one for each rule and place.
std::vector<Diagnostic> verify(const Program& program, const Limits& limits);

// Highest number of colours that a router of any region uses in a phase.
int colours_max(const Program& program);

}  // namespace wafer::mesh
