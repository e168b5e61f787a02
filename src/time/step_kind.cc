#include "time/step_kind.h"

#include "base/check.h"

namespace wafer::time {

using namespace mesh;

namespace {

StepKind kind_of(LocalOp op) {
  switch (op) {
    case LocalOp::mat_vec:
    case LocalOp::row_dots:
    case LocalOp::weigh_rows:
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: return StepKind::product;
    case LocalOp::square_sum:
    case LocalOp::normalise:
    case LocalOp::angles:
    case LocalOp::rotate:
    case LocalOp::store_rows:
    case LocalOp::row_max:
    case LocalOp::exp_sum:
    case LocalOp::divide:
    case LocalOp::add:
    case LocalOp::clear:
    case LocalOp::gate_mul:
    case LocalOp::local_best:
    case LocalOp::look_up: return StepKind::vector;
  }
  return StepKind::vector;
}

struct KindOf {
  StepKind operator()(const Local& op) const { return kind_of(op.op); }
  StepKind operator()(const Opaque&) const { return StepKind::vector; }
  StepKind operator()(const Reduce&) const { return StepKind::reduction; }
  StepKind operator()(const RingReduce&) const { return StepKind::reduction; }
  StepKind operator()(const RootReduce&) const { return StepKind::reduction; }
  StepKind operator()(const Multicast&) const { return StepKind::multicast; }
  StepKind operator()(const TileCast&) const { return StepKind::multicast; }
  StepKind operator()(const Shift&) const { return StepKind::move; }
  StepKind operator()(const RowShift&) const { return StepKind::cache_shift; }
  StepKind operator()(const Send&) const { return StepKind::move; }
  StepKind operator()(const Receive&) const { return StepKind::move; }
  StepKind operator()(const Host&) const { return StepKind::host; }
  StepKind operator()(const Product&) const { return StepKind::product; }
  StepKind operator()(const Group&) const { check_failed(__FILE__, __LINE__, "kind_of", "a group has no kind"); }
  StepKind operator()(const Loop&) const { check_failed(__FILE__, __LINE__, "kind_of", "a loop has no kind"); }
};

}  // namespace

const char* name(StepKind k) {
  switch (k) {
    case StepKind::product: return "product";
    case StepKind::vector: return "vector";
    case StepKind::reduction: return "reduction";
    case StepKind::multicast: return "multicast";
    case StepKind::cache_shift: return "cache shift";
    case StepKind::move: return "move";
    case StepKind::routes: return "routes";
    case StepKind::host: return "host";
  }
  return "";
}

StepKind kind_of(const Step& step) { return std::visit(KindOf{}, step.what); }

}  // namespace wafer::time
