#include "mesh/program.h"

#include "base/check.h"
#include "base/checked.h"

namespace wafer::mesh {

const char* name(Dtype t) {
  switch (t) {
    case Dtype::f32: return "f32";
    case Dtype::f16: return "f16";
    case Dtype::q8_0: return "q8_0";
    case Dtype::q4_0: return "q4_0";
    case Dtype::i32: return "i32";
    case Dtype::best: return "f32+i32";
  }
  return "?";
}

int64_t bytes(Dtype t, int64_t n) {
  switch (t) {
    case Dtype::f32:
    case Dtype::i32: return checked_mul(4, n);
    case Dtype::f16: return checked_mul(2, n);
    case Dtype::q8_0: return n;
    case Dtype::q4_0: return n / 2 + n % 2;
    case Dtype::best: return checked_mul(8, n);
  }
  return 0;
}

const char* name(BufferKind k) {
  switch (k) {
    case BufferKind::weights: return "weights";
    case BufferKind::cache: return "kv_cache";
    case BufferKind::activations: return "activations";
    case BufferKind::partials: return "partials";
    case BufferKind::staging: return "staging";
  }
  return "?";
}

const char* name(LocalOp v) {
  switch (v) {
    case LocalOp::square_sum: return "square_sum";
    case LocalOp::normalise: return "normalise";
    case LocalOp::mat_vec: return "mat_vec";
    case LocalOp::angles: return "angles";
    case LocalOp::rotate: return "rotate";
    case LocalOp::store_rows: return "store_rows";
    case LocalOp::row_dots: return "row_dots";
    case LocalOp::row_max: return "row_max";
    case LocalOp::exp_sum: return "exp_sum";
    case LocalOp::weigh_rows: return "weigh_rows";
    case LocalOp::divide: return "divide";
    case LocalOp::add: return "add";
    case LocalOp::clear: return "clear";
    case LocalOp::gate_mul: return "gate_mul";
    case LocalOp::local_best: return "local_best";
    case LocalOp::look_up: return "look_up";
    case LocalOp::tile_fma: return "tile_fma";
    case LocalOp::tile_fma_t: return "tile_fma_t";
  }
  return "?";
}

const char* name(Algorithm a) {
  switch (a) {
    case Algorithm::mesh_gemm: return "mesh_gemm";
    case Algorithm::cannon: return "cannon";
    case Algorithm::gemm_t: return "gemm_t";
    case Algorithm::summa: return "summa";
    case Algorithm::allgather: return "allgather";
  }
  return "?";
}

const char* name(ReduceOp v) {
  switch (v) {
    case ReduceOp::add: return "add";
    case ReduceOp::max: return "max";
    case ReduceOp::best: return "best";
  }
  return "?";
}

const char* name(LoopVar v) {
  switch (v) {
    case LoopVar::layer: return "layer";
    case LoopVar::member: return "member";
    case LoopVar::chunk: return "chunk";
    case LoopVar::row: return "row";
    case LoopVar::ring_step: return "ring_step";
    case LoopVar::repeat: return "repeat";
  }
  return "?";
}

Path straight(int from, int to) { return {.from = from, .to = to, .multicast = false, .lo = std::min(from, to), .hi = std::max(from, to)}; }
Path multicast(int from, int lo, int hi) { return {.from = from, .to = from, .multicast = true, .lo = lo, .hi = hi}; }

int64_t value(const Size& s, const Params& p) {
  switch (s.kind) {
    case SizeKind::fixed: return s.fixed;
    case SizeKind::rows: return p.rows;
    case SizeKind::positions: return p.cached + p.rows;
    case SizeKind::keys: return p.chunk;
  }
  return 0;
}

std::vector<BufferId> buffers_of(const std::vector<ReducePart>& parts) {
  std::vector<BufferId> out;
  for (const ReducePart& part : parts) out.push_back(part.buffer);
  return out;
}

Issue issue_of(const Program& program, const Reduce& reduce) { return reduce.issue.exists() ? program.issues[reduce.issue] : Issue{}; }

const Entry& entry(const Program& program, const std::string& entry_name) {
  for (const Entry& e : program.entries)
    if (e.name == entry_name) return e;
  check_failed(__FILE__, __LINE__, "entry", entry_name);
}

}  // namespace wafer::mesh
