// The walk through a program, and the state it works on.
#include "run/run.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "mesh/schedule.h"
#include "mesh/visit.h"
#include "run/machine.h"
#include "run/rows.h"

namespace wafer::run {

using namespace mesh;

Range chunk_keys(const Scope& s) {
  const int64_t all = s.params.cached + s.params.rows;
  return {s.chunk * s.params.chunk, std::min((s.chunk + 1) * s.params.chunk, all)};
}

int64_t dim_size(const Machine& m, BufferId buffer, size_t d, const Scope& scope) {
  const Size& size = m.tensor_of(buffer).dims[d].size;
  return size.kind == SizeKind::keys ? chunk_keys(scope).size() : value(size, scope.params);
}

int64_t element_count(const Machine& m, BufferId buffer, const Scope& scope) {
  int64_t n = 1;
  for (size_t d = 0; d < m.tensor_of(buffer).dims.size(); d++) n *= dim_size(m, buffer, d, scope);
  return n;
}

namespace {

size_t copy_of(const Tensor& t, const Scope& scope) {
  if (t.copies <= 1) return 0;
  return static_cast<size_t>(t.copies_by == LoopVar::chunk ? scope.chunk : scope.layer);
}

bool is_cache(const Machine& m, BufferId buffer) { return m.buffer(buffer).kind == BufferKind::cache; }

}  // namespace

float* array(Machine& m, BufferId buffer, const Scope& scope) {
  const Tensor& t = m.tensor_of(buffer);
  std::vector<float>& v = m.values[m.buffer(buffer).tensor][copy_of(t, scope)];
  const int64_t n = is_cache(m, buffer) ? m.capacity * t.dims[1].size.fixed : element_count(m, buffer, scope);
  if (static_cast<int64_t>(v.size()) < n) v.resize(static_cast<size_t>(n));
  return v.data();
}

bool is_f16(const Machine& m, BufferId buffer) { return m.tensor_of(buffer).dtype == Dtype::f16; }

void finish(Machine& m, BufferId buffer, float* values, int64_t count, bool round) {
  if (round && is_f16(m, buffer)) round_row(values, count);
  int64_t bad = 0;
  for (int64_t i = 0; i < count; i++) bad += !(std::fabs(values[i]) <= 3.402823466e38f);
  m.overflows += bad;
}

Cut cut_of(const Machine& m, BufferId buffer, int d, Axis axis) {
  for (const DimCut& c : m.buffer(buffer).cuts)
    if (c.dim == d && c.axis == axis) return c.cut;
  Cut whole = whole_cut();
  whole.positions = side(m.extent_of(buffer), axis);
  return whole;
}

void join_rows(const Tree& tree, bool fp16, float* rows, int64_t count, float* scratch) {
  for (const Level& level : tree.levels)
    for (const Chain& chain : level) {
      std::memcpy(scratch, rows + chain.front() * count, sizeof(float) * static_cast<size_t>(count));
      for (size_t q = 1; q < chain.size(); q++) add_row(fp16, scratch, rows + chain[q] * count, count);
      std::memcpy(rows + chain.back() * count, scratch, sizeof(float) * static_cast<size_t>(count));
    }
}

namespace {

// ---- moves between regions -------------------------------------------------------------------------------------------------------

// Tensors are whole, so a move changes nothing where both ends are the same tensor.
void run_send(Machine& m, MoveId id, const Scope& scope) {
  const Move& move = m.program().moves[id];
  m.sent[id]++;
  if (m.buffer(move.source).tensor == m.buffer(move.destination).tensor) return;
  const float* from = array(m, move.source, scope);
  float* to = array(m, move.destination, scope);
  switch (move.kind) {
    case MoveKind::relay: std::copy_n(from, element_count(m, move.source, scope), to); break;
    case MoveKind::row_out: {
      const int64_t n = element_count(m, move.destination, scope);
      std::copy_n(from + scope.params.row * n, n, to);
      break;
    }
    case MoveKind::row_in: {
      const int64_t n = element_count(m, move.source, scope);
      std::copy_n(from, n, to + scope.row * n);
      break;
    }
  }
}

void run_receive(Machine& m, MoveId id) {
  CHECK(m.sent[id] > 0, "move {} is received before it is sent", m.program().moves[id].name);
  m.sent[id]--;
}

void run_host(Machine& m, const Host& host, const Scope& scope) {
  if (host.to_host) return;
  CHECK(scope.row < static_cast<int64_t>(scope.tokens.size()), "row {} of {} tokens", scope.row, scope.tokens.size());
  m.token = scope.tokens[static_cast<size_t>(scope.row)];
}

// ---- the walk --------------------------------------------------------------------------------------------------------------------

void run_steps(Machine& m, const Steps& steps, const Scope& scope);

int64_t turns(const Loop& loop, const Scope& s) {
  switch (loop.count) {
    case CountKind::fixed: return loop.fixed;
    case CountKind::chunks: return s.params.cached / s.params.chunk + 1;
    case CountKind::rows: return s.params.rows;
  }
  return 0;
}

void run_loop(Machine& m, const Loop& loop, Scope scope) {
  const int64_t n = turns(loop, scope);
  for (int64_t i = loop.begin; i < loop.begin + n; i++) {
    switch (loop.var) {
      case LoopVar::layer: scope.layer = static_cast<int>(i); break;
      case LoopVar::member: scope.member = static_cast<int>(i); break;
      case LoopVar::chunk: scope.chunk = i; break;
      case LoopVar::row: scope.row = i; break;
      case LoopVar::repeat: break;
      case LoopVar::ring_step: check_failed(__FILE__, __LINE__, "loop.var", "ring steps belong to a product");
    }
    run_steps(m, loop.body, scope);
    if (loop.var == LoopVar::layer && m.layer_progress)
      m.layer_progress(static_cast<double>(i + 1) / static_cast<double>(m.lowered->placement.config.layers));
  }
}

void run_step(Machine& m, const Step& step, const Scope& scope) {
  using Buffers = std::initializer_list<BufferId>;
  const auto check = [&](Buffers read, Buffers written) { check_operands(m, step, read, written); };
  visit(
      step, [&](const Local& s) { run_local(m, step, s, scope); }, [&](const Loop& s) { run_loop(m, s, scope); },
      [&](const Group& s) { run_steps(m, s.body, scope); },
      [&](const Product& s) {
        check({s.a, s.b}, {s.c});
        s.algorithm == Algorithm::gemm_t ? run_gemm_t(m, s, scope) : run_gemm(m, s, scope);
      },
      [&](const Reduce& s) { run_reduce(m, step, s); }, [&](const RingReduce& s) { run_ring_reduce(m, step, s); },
      [&](const Send& s) {
        check({m.program().moves[s.move].source}, {});
        run_send(m, s.move, scope);
      },
      [&](const Receive& s) {
        check({}, {m.program().moves[s.move].destination});
        run_receive(m, s.move);
      },
      [&](const Host& s) {
        s.to_host ? check({s.buffer}, {}) : check({}, {s.buffer});
        run_host(m, s, scope);
      },
      // These move values between cores that whole tensors hold in one place.
      [&](const Multicast& s) { check({s.buffer}, {}); }, [&](const RowShift& s) { check_operands(m, step, s.buffers, {}); },
      for_kinds<Opaque, Shift, TileCast, RootReduce>(
          [&] { check_failed(__FILE__, __LINE__, "step", step.name + " has no values by itself"); }));
}

void run_steps(Machine& m, const Steps& steps, const Scope& scope) {
  for (const Step& step : steps) run_step(m, step, scope);
}

}  // namespace

std::unique_ptr<Machine, void (*)(Machine*)> make_machine(const Lowered& lowered, std::shared_ptr<const PackedModel> weights) {
  std::unique_ptr<Machine, void (*)(Machine*)> machine(new Machine, [](Machine* m) { delete m; });
  machine->lowered = &lowered;
  machine->weights = std::move(weights);
  machine->capacity = lowered.placement.plan.context;
  for (const Tensor& t : lowered.program().tensors) machine->values.add(std::vector<std::vector<float>>(static_cast<size_t>(t.copies)));
  return machine;
}

void run(Machine& m, const std::string& entry_name, const Params& params, std::span<const int32_t> tokens) {
  const Entry& e = entry(m.program(), entry_name);
  CHECK(params.cached + params.rows <= m.capacity, "positions {} + {} of {}", params.cached, params.rows, m.capacity);
  const Scope scope{.params = params, .tokens = tokens};
  m.partials.clear();
  run_lists(e, m.sent, [&](size_t, const Step& step) {
    run_step(m, step, scope);
    return true;
  });
  for (const auto& [buffer, partial] : m.partials)
    check_failed(__FILE__, __LINE__, "partials", "nothing joins what " + partial.step->name + " leaves");
}

void set_layer_progress(Machine& m, std::function<void(double)> progress) { m.layer_progress = std::move(progress); }

std::span<const float> logits(const Machine& m) {
  CHECK(m.logits_buffer.exists(), "no logits yet");
  return m.values[m.buffer(m.logits_buffer).tensor][0];
}

int32_t chosen(const Machine& m) { return m.best; }

int64_t overflow_count(const Machine& m) { return m.overflows; }

std::vector<float> tensor_values(const Machine& m, const std::string& tensor, int copy, const Params& params) {
  const Program& p = m.program();
  for (const TensorId t : p.tensors.ids()) {
    if (p.tensors[t].name != tensor) continue;
    const std::vector<float>& v = m.values[t][static_cast<size_t>(copy)];
    int64_t n = 1;
    for (const Dim& d : p.tensors[t].dims) n *= value(d.size, params);
    std::vector<float> out(static_cast<size_t>(n));
    if (tensor != "k_cache") {
      std::copy_n(v.begin(), n, out.begin());
      return out;
    }
    const int64_t dims = p.tensors[t].dims[1].size.fixed, positions = n / dims;
    for (int64_t i = 0; i < positions; i++)
      for (int64_t d = 0; d < dims; d++) out[static_cast<size_t>(i * dims + d)] = v[static_cast<size_t>(d * m.capacity + i)];
    return out;
  }
  check_failed(__FILE__, __LINE__, "tensor", tensor);
}

}  // namespace wafer::run
