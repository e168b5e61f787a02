// What becomes of a program with a fault: who reports it, or what changes.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "device/device.h"
#include "support/mesh_case.h"

namespace wafer {

enum class Catcher : uint8_t {
  verify,    // a diagnostic before anything runs
  locality,  // the same
  values,    // other values than the program without the fault
  nobody,    // the same values and the same cycles: no fault
  executor,  // found only by running it core by core: a miss
  time       // the same values in another time: a miss
};
const char* name(Catcher c);

struct Mutant {
  std::string field, where, change;
  Catcher caught_by = Catcher::nobody;
  std::string how;  // the diagnostic
};

// `count` mutants of the case's program, their fields chosen first, then the places, so that rare fields have their turn.
std::vector<Mutant> try_mutants(const BuiltCase& built, const Device& device, uint64_t seed, int count);

}  // namespace wafer
