// What each local operation takes and gives: one row for each LocalOp, read by check_locality().
//
// The operands are written like an einsum, `in` before the arrow and `out` after it, one letter for each dimension: "kn,k->n". Dimensions
// of equal letters are the same indices, on the same cores. A letter that is in the inputs only is summed (or joined as `joins` says):
// where it is cut along an axis, the result is partial along that axis. '+' before an output: the step reads it too. '*': any dimensions,
// those of all operands with '*' equal. '1': one element; '2': two.
//
// Letters with a meaning of their own, as they are bound to each other by head_dim and group:
//   h  query heads          q  their dims, flattened: h * head_dim + i
//   g  KV heads             v  their dims, flattened: g * head_dim + i; query head h belongs to KV head h / group
//   d  dims of heads of either kind, flattened          p  pairs (2i, 2i+1) of a head's dims
//   t  rows of tokens       s  positions: the rows are the last of them          w  words of the vocabulary
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/program.h"

namespace wafer::mesh {

// How cores' own results over a summed dimension become one.
enum class Joins : uint8_t {
  nothing,  // no dimension is in the inputs only, or the step needs no more of it than the core has
  add,
  max,
  best,
  owner  // one core of the line has it all, which one is known at run time only
};

// Fields of Local that an operation reads.
enum Field : uint8_t { kScale = 1, kEpsilon = 2, kSize = 4, kHeadDim = 8, kGroup = 16 };

struct Operation {
  LocalOp op = LocalOp::add;
  const char* name = "";
  const char* of_rows = "";   // operands with rows of tokens; "": there is no such form
  const char* of_token = "";  // of one token
  Joins joins = Joins::nothing;
  unsigned fields = 0;
};

const Operation& operation(LocalOp op);
// What joins the cores' own results of an operation, which are those of its last output; none: they are whole where they are.
std::optional<ReduceOp> joined_by(LocalOp op);
std::span<const Operation> operations();

// One form of an operation, taken apart.
struct Operand {
  bool out = false;
  bool read = false;
  std::string_view dims;
};
std::vector<Operand> operands_of(std::string_view form);

}  // namespace wafer::mesh
