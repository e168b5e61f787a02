// What one step makes a core of a given place do.
#pragma once
#include <string>
#include <vector>

#include "mesh/program.h"
#include "roles/place.h"

namespace wafer::roles {

enum class ActionKind : uint8_t {
  task,          // starts when its input is there
  to_fabric,     // memory -> fabric
  from_fabric,   // fabric -> memory
  join,          // fabric + memory -> memory
  pass_on,       // fabric + memory -> fabric
  forward,       // fabric -> fabric
  vector_op,     // memory -> memory: the loops of a local operation
  scalar_call,   // rsqrt, sine and cosine
  vector_call,   // 2^x, 1/x, SiLU: a sequence of vector operations
  route_change,  // the colours of a phase
  loop
};
const char* name(ActionKind k);

struct RoleAction {
  ActionKind kind = ActionKind::task;
  std::string operation;  // "add", "mat_vec", "exp"
  std::string operands;   // "f16 f32 -> f32"
  std::string step;       // of the program, the first that asks for it
  int64_t operand_count = 0;
  bool operator==(const RoleAction&) const = default;
};

// The step without names, copies and trees: equal texts mean that equal places do equal things.
std::string kind_text(const mesh::Program& program, const mesh::Step& step);

// In order. Requires: `step` is a leaf or a loop; of a loop the turn alone, not the body.
std::vector<RoleAction> actions(const mesh::Program& program, const mesh::Step& step, const Place& x, const Place& y);

// Bytes of the code that actions of this kind, operation and operands share, and of one call.
int64_t shared_bytes(const RoleAction& action);
int64_t call_bytes(const RoleAction& action);

}  // namespace wafer::roles
