// How a product stands to the four limits of a wafer that the paper calls PLMR (section 3): parallelism, latency, memory, routes. All of
// it is read off the program: its buffers, its routes, and the routes that its steps use.
#pragma once
#include <string>
#include <vector>

#include "mesh/verify.h"

namespace wafer::mesh {

// The farthest that a tile goes in a step where that does not depend on the side: two hops, the least with which a ring lies on a line
// (paper, section 5).
constexpr int64_t kNearHops = 2;

struct Compliance {
  int64_t cores = 0, idle_cores = 0;        // idle: hold no part of the result
  int64_t longest_hops = 0;                 // of a tile in one step
  int64_t bytes = 0, bytes_limit = 0;       // of the fullest core, without code and system
  int colours = 0, colours_limit = 0;       // paths of the busiest core
  bool breaks_p = false;                    // some cores are idle
  bool breaks_l = false;                    // a step sends farther than kNearHops: as far as the line is long
  bool breaks_m = false, breaks_r = false;  // more bytes, more colours than a core has
  std::vector<std::string> breaks;          // "P", "L", "M", "R"
};

Compliance compliance(const Program& program, const std::string& entry_name, const Params& params, const Limits& limits);

}  // namespace wafer::mesh
