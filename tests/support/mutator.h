// Faults by the dozen: every field of a mesh program, and a way to change each. mutation_sites() is the one table; a field that is added to
// a struct of program.h and not to the table does not compile.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "mesh/program.h"

namespace wafer {

// A place in a program that can be changed.
struct MutationSite {
  std::string field;  // "Reduce.axis", "Steps" (drop, double, swap)
  std::string where;  // "decode/layers/qkv.reduce"
  // Changes it in place and tells how: "x -> y". Empty: there is nothing else that it could be.
  std::function<std::string(Rng&)> change;
};

// All of them, but of a list of many parts that are no steps (paths, chains, ranges): one that the random numbers choose. The sites point
// into the program.
std::vector<MutationSite> mutation_sites(mesh::Program& program, Rng& rng);

}  // namespace wafer
