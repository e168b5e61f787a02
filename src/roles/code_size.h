// What code takes of a core's SRAM: an estimate in instructions. Neither the length of instructions nor any compiled size of such a program
// is published, so every number here is assumed, and all of them are in this file.
//
// code = sum over the distinct pieces of code that a role runs (once each, whatever the layers and operands that use them)
//      + the arguments of every call + loops + tables of routes.
// Calibration: on a WSE-3 decode engine code took 22.6 to 26.2 KB of a core and the system 3.6 to 5.0 KB. That engine is compiled, inlined
// code with its own control flow; an estimate by hand stays below it, and reports print both.
#pragma once
#include <cstdint>

#include "mesh/program.h"

namespace wafer::roles {

constexpr int64_t kInstructionBytes = 4;       // assumed: between 16- and 32-bit words, with immediates
constexpr int64_t kDescriptorBytes = 8;        // assumed: base, length, stride of one operand of a stream operation, kept in memory
constexpr int64_t kCallInstructions = 4;       // assumed: branch, return, two argument moves
constexpr int64_t kOperandInstructions = 3;    // assumed: load a descriptor, edit base and length
constexpr int64_t kTaskInstructions = 12;      // assumed: entry of a task, queue and colour binding, activation of the next
constexpr int64_t kLoopInstructions = 8;       // assumed: counter, end, branch, step of the operands
constexpr int64_t kStreamInstructions = 2;     // assumed: the stream operation itself and its completion
constexpr int64_t kCompareInstructions = 14;   // assumed: one turn of a max or best that the fabric's operands cannot do in one operation
constexpr int64_t kScheduleInstructions = 20;  // assumed: who sends when in a relay, an alignment, a row shift or a rotating root
constexpr int64_t kRouteChangeInstructions = 16;  // assumed: the loop that writes one table of routes
constexpr int64_t kRouteTableBytes = 4;           // assumed: one colour of one phase: address and value of its configuration word
constexpr int64_t kSystemBytes = 4300;            // assumed: the middle of 3.6 to 5.0 KB measured on a WSE-3 engine
constexpr int64_t kMeasuredCodeLeast = 22600;     // measured on a WSE-3 decode engine; printed beside the estimate
constexpr int64_t kMeasuredCodeMost = 26200;

// Instructions of the loops of a local operation, without its scalar functions. Counted by hand from the formulas of docs/design.md.
constexpr int64_t local_instructions(mesh::LocalOp op) {
  using mesh::LocalOp;
  switch (op) {
    case LocalOp::square_sum: return 14;
    case LocalOp::normalise: return 24;
    case LocalOp::mat_vec: return 18;
    case LocalOp::angles: return 16;
    case LocalOp::rotate: return 36;
    case LocalOp::store_rows: return 12;
    case LocalOp::row_dots: return 30;
    case LocalOp::row_max: return 20;
    case LocalOp::exp_sum: return 30;
    case LocalOp::weigh_rows: return 30;
    case LocalOp::divide: return 24;
    case LocalOp::add: return 4;
    case LocalOp::clear: return 4;
    case LocalOp::gate_mul: return 24;
    case LocalOp::local_best: return 24;
    case LocalOp::look_up: return 16;
    case LocalOp::tile_fma: return 36;
    case LocalOp::tile_fma_t: return 36;
  }
  return 0;
}
constexpr int64_t kUnpackInstructions = 30;  // assumed: integers of q8_0 or q4_0 to operands, and their scales
constexpr int64_t kRsqrtInstructions = 20;   // assumed: of base/scalar_math.h, and so the one below
constexpr int64_t kSincosInstructions = 40;
// assumed: of each operation of a vector function the operation, and the descriptors of what it reads and writes, loaded and edited
constexpr int64_t kFunctionOperationInstructions = kStreamInstructions + 2 * kOperandInstructions;

}  // namespace wafer::roles
