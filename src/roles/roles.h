// The classes of equal cores. All cores run the steps of their regions, but not all do the same in them: a core inside a chain receives,
// adds and sends on, its root receives and casts. A role is a task program: cores of one role take the same actions in the same order, on
// operands of the same kinds. Colours, directions, extents and addresses are arguments of each core, so ragged sizes add no roles, and
// neither do more cores. Router configurations, which do hold colours and directions, are counted beside the roles.
//
// A core's place in every step is a matter of its position along x and of that along y. So roles() looks at W + H positions, not W * H
// cores: it classes the columns and the rows of each region, and takes their products.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "mesh/program.h"
#include "roles/actions.h"

namespace wafer::roles {

// What a core does in one phase.
struct Role {
  std::string name;  // "x: level 1 middle, y: final root"
  int64_t cores = 0;
  int x = 0, y = 0;                 // one of them, in device coordinates
  std::vector<RoleAction> actions;  // loop bodies once, equal steps of different layers once
  int64_t code_bytes = 0;
};

struct PhaseRoles {
  std::string phase;
  std::vector<Role> roles;  // most cores first
  int64_t cores = 0;        // of all regions that take part
  int64_t router_configurations = 0;
};

// What a core does in all phases: at most one role for each region that it lies in and each phase. Its actions are theirs; code that
// several of them run lies there once.
struct WholeRole {
  struct Part {
    int phase = 0;  // in RoleTable::phases
    int role = 0;
    auto operator<=>(const Part&) const = default;
  };
  std::vector<Part> parts;
  int64_t cores = 0;
  int x = 0, y = 0;
  int64_t code_bytes = 0;
};

struct RoleTable {
  std::vector<PhaseRoles> phases;  // those in which any region has steps
  std::vector<WholeRole> whole;    // largest code first
  int64_t cores = 0;               // that lie in a region with steps
};

RoleTable roles(const mesh::Program& program);

// The largest code of a core, with the system's, against what a plan reserves for both.
struct CodeEstimate {
  int64_t roles = 0;
  int64_t code_bytes_max = 0;
  int64_t system_bytes = 0;
  int role = -1;  // the one with most code, in RoleTable::whole
  int64_t reserved = 0;
  bool fits = true;
};
CodeEstimate code_estimate(const RoleTable& table, int64_t code_and_system_bytes);

}  // namespace wafer::roles
