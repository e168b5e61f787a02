// What kind of work a step is, as reports group them.
#pragma once
#include <cstdint>

#include "mesh/program.h"

namespace wafer::time {

enum class StepKind : uint8_t {
  product,
  vector,
  reduction,
  multicast,
  cache_shift,
  move,
  routes,  // what the timing adds to the program's steps between phases
  host
};
const char* name(StepKind k);
// Of a leaf or a product.
StepKind kind_of(const mesh::Step& step);

}  // namespace wafer::time
