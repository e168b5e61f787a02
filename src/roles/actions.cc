#include "roles/actions.h"

#include <fmt/format.h>

#include <string_view>

#include "base/vector_ops.h"
#include "mesh/operations.h"
#include "mesh/visit.h"
#include "roles/code_size.h"

namespace wafer::roles {
namespace {

using namespace mesh;

std::string dtype_name(const Program& p, BufferId buffer) { return name(p.tensors[p.buffers[buffer].tensor].dtype); }
std::string dtype_names(const Program& p, const std::vector<BufferId>& buffers) {
  std::string out;
  for (const BufferId b : buffers) out += (out.empty() ? "" : " ") + dtype_name(p, b);
  return out;
}

std::string part_names(const Program& p, const std::vector<ReducePart>& parts) {
  std::string out;
  for (const ReducePart& part : parts)
    out += fmt::format(" {} {}{}", name(part.op), dtype_name(p, part.buffer), part.broadcast ? "" : " to the root");
  return out;
}

bool is_quantised(const std::string& operands) { return operands.starts_with("q8") || operands.starts_with("q4"); }

// The function that a local operation calls: for each element or row, or once for whole vectors.
struct Function {
  ActionKind kind = ActionKind::scalar_call;
  const char* name = "";
  int64_t instructions = 0;
};
constexpr int64_t of_operations(const VectorOps& ops) { return ops.all() * kFunctionOperationInstructions; }
constexpr Function kFunctions[] = {
    {.kind = ActionKind::scalar_call, .name = "rsqrt", .instructions = kRsqrtInstructions},
    {.kind = ActionKind::scalar_call, .name = "sincos", .instructions = kSincosInstructions},
    {.kind = ActionKind::vector_call, .name = "exp2", .instructions = of_operations(exp2_ops())},
    {.kind = ActionKind::vector_call, .name = "reciprocal", .instructions = of_operations(reciprocal_ops())},
    {.kind = ActionKind::vector_call, .name = "silu", .instructions = of_operations(silu_ops())},
};

const Function* function_of(LocalOp op) {
  switch (op) {
    case LocalOp::normalise: return &kFunctions[0];
    case LocalOp::angles: return &kFunctions[1];
    case LocalOp::exp_sum: return &kFunctions[2];
    case LocalOp::divide: return &kFunctions[3];
    case LocalOp::gate_mul: return &kFunctions[4];
    case LocalOp::rotate:
    case LocalOp::square_sum:
    case LocalOp::mat_vec:
    case LocalOp::store_rows:
    case LocalOp::row_dots:
    case LocalOp::row_max:
    case LocalOp::weigh_rows:
    case LocalOp::add:
    case LocalOp::clear:
    case LocalOp::local_best:
    case LocalOp::look_up:
    case LocalOp::tile_fma:
    case LocalOp::tile_fma_t: break;
  }
  return nullptr;
}

struct Maker {
  const Program& program;
  const Step& step;
  std::vector<RoleAction> out{};

  void add(ActionKind kind, std::string operation, std::string operands, int64_t count) {
    out.push_back(
        {.kind = kind, .operation = std::move(operation), .operands = std::move(operands), .step = step.name, .operand_count = count});
  }
  void task(const char* operation) { add(ActionKind::task, operation, "", 0); }
  void send(const std::string& t) { add(ActionKind::to_fabric, "move", t + " -> fabric", 2); }
  void receive(const std::string& t) { add(ActionKind::from_fabric, "move", "fabric -> " + t, 2); }
  void join(const char* op, const std::string& t) { add(ActionKind::join, op, fmt::format("fabric {0} -> {0}", t), 3); }
  void pass_on(const char* op, const std::string& t) { add(ActionKind::pass_on, op, fmt::format("fabric {} -> fabric", t), 3); }
  void forward() { add(ActionKind::forward, "move", "fabric -> fabric", 2); }

  void local(const Local& l, const Place& y) {
    if (y.kind == PlaceKind::none) return;
    add(ActionKind::vector_op, name(l.op), fmt::format("{} -> {}", dtype_names(program, l.in), dtype_names(program, l.out)),
        static_cast<int64_t>(l.in.size() + l.out.size()));
    if (const Function* f = function_of(l.op)) add(f->kind, f->name, "f32", 0);
  }

  void reduce(const Reduce& r, const Place& at) {
    if (at.kind != PlaceKind::tree) return;
    task("reduce");
    for (const Links& links : at.levels)
      for (const ReducePart& part : r.parts) {
        const std::string t = dtype_name(program, part.buffer);
        for (int i = links.out; i < links.in; i++) join(name(part.op), t);
        for (int i = 0; i < std::min(links.in, links.out); i++) pass_on(name(part.op), t);
        for (int i = links.in; i < links.out; i++) send(t);
      }
    if (at.cast == Cast::none) return;
    for (const ReducePart& part : r.parts) {
      if (!part.broadcast) continue;
      const std::string t = dtype_name(program, part.buffer);
      at.cast == Cast::root ? send(t) : receive(t);
    }
  }

  void ring_reduce(const RingReduce& r, const Place& at) {
    if (at.kind == PlaceKind::none) return;
    task("reduce");
    for (const ReducePart& part : r.parts) {
      const std::string t = dtype_name(program, part.buffer);
      send(t);
      join(name(part.op), t);
      if (part.broadcast) receive(t);
    }
  }

  // The owner sends, the others receive; a middle passes on what it received. Who owns is known at run time.
  void relay(const char* what, const std::string& t, const Place& at) {
    if (at.kind == PlaceKind::none) return;
    task(what);
    send(t);
    receive(t);
    if (at.kind == PlaceKind::middle) forward();
  }

  void shift(const Shift& s, const Place& at) {
    if (at.kind == PlaceKind::none) return;
    task(s.kind == ShiftKind::ring_down ? "ring" : "align");
    send(dtype_name(program, s.buffer));
    receive(dtype_name(program, s.buffer));
  }

  void cast(const TileCast& s, const Place& at) {
    if (at.kind == PlaceKind::none) return;
    task("cast");
    send(dtype_name(program, s.buffer));
    receive(dtype_name(program, s.out));
  }

  void row_shift(const RowShift& s, const Place& at) {
    if (at.kind == PlaceKind::none) return;
    task("row shift");
    for (const BufferId b : s.buffers) {
      if (at.kind != PlaceKind::first) send(dtype_name(program, b));
      if (at.kind != PlaceKind::last) receive(dtype_name(program, b));
    }
  }

  // Each core is the root in the steps whose keys it owns.
  void root_reduce(const RootReduce& r, const Place& at) {
    const std::string t = dtype_name(program, r.partial), o = dtype_name(program, r.out);
    if (at.kind == PlaceKind::none) {
      add(ActionKind::vector_op, "move", fmt::format("{} -> {}", t, o), 2);
      return;
    }
    task("rotating root");
    if (at.kind == PlaceKind::end) send(t);
    if (at.kind == PlaceKind::middle) pass_on("add", t);
    add(ActionKind::join, "add", fmt::format("fabric {} -> {}", t, o), 3);
    if (at.kind == PlaceKind::middle) add(ActionKind::join, "add", fmt::format("fabric {0} -> {0}", o), 3);
  }

  void half_move(bool sends, const std::string& t, const Place& x, const Place& y) {
    task("move");
    sends ? send(t) : receive(t);
    for (const Place* at : {&x, &y})
      if (at->kind == PlaceKind::middle) forward();
  }

  void host(const Host& h, const Place& x) {
    const std::string t = dtype_name(program, h.buffer);
    task(x.kind == PlaceKind::first ? "host edge" : "host");
    h.to_host ? send(t) : receive(t);
    if (x.kind != PlaceKind::last) forward();
  }
};

}  // namespace

const char* name(ActionKind k) {
  switch (k) {
    case ActionKind::task: return "task";
    case ActionKind::to_fabric: return "memory to fabric";
    case ActionKind::from_fabric: return "fabric to memory";
    case ActionKind::join: return "fabric and memory to memory";
    case ActionKind::pass_on: return "fabric and memory to fabric";
    case ActionKind::forward: return "fabric to fabric";
    case ActionKind::vector_op: return "vector";
    case ActionKind::scalar_call: return "scalar call";
    case ActionKind::vector_call: return "vector call";
    case ActionKind::route_change: return "route change";
    case ActionKind::loop: return "loop";
  }
  return "?";
}

std::string kind_text(const Program& p, const Step& step) {
  return visit(
      step, [&](const Local& s) { return fmt::format("local {} {} -> {}", name(s.op), dtype_names(p, s.in), dtype_names(p, s.out)); },
      [&](const Opaque&) { return std::string("opaque"); },
      [&](const Reduce& s) { return fmt::format("reduce {}{}", name(s.axis), part_names(p, s.parts)); },
      [&](const RingReduce& s) { return fmt::format("ring {}{}", name(s.axis), part_names(p, s.parts)); },
      [&](const Multicast& s) { return fmt::format("cast {} {}", name(s.axis), dtype_name(p, s.buffer)); },
      [&](const Shift& s) {
        return fmt::format("shift {} {} {}", s.kind == ShiftKind::ring_down ? "ring" : "align", name(s.axis), dtype_name(p, s.buffer));
      },
      [&](const TileCast& s) { return fmt::format("tile cast {} {}", name(s.axis), dtype_name(p, s.buffer)); },
      [&](const RowShift& s) { return "row shift " + dtype_names(p, s.buffers); },
      [&](const RootReduce& s) {
        return fmt::format("root {}", dtype_names(p, {s.partial, s.out}));
      },
      [&](const Send& s) { return "send " + dtype_name(p, p.moves[s.move].source); },
      [&](const Receive& s) { return "receive " + dtype_name(p, p.moves[s.move].destination); },
      [&](const Host& s) { return fmt::format("host {} {}", s.to_host, dtype_name(p, s.buffer)); },
      [&](const Loop& s) { return fmt::format("loop {}", name(s.var)); }, same_for<Group, Product>(std::string("group")));
}

std::vector<RoleAction> actions(const Program& program, const Step& step, const Place& x, const Place& y) {
  Maker m{program, step};
  const auto along = [&](Axis a) -> const Place& { return a == Axis::x ? x : y; };
  visit(
      step, [&](const Local& s) { m.local(s, y); }, [&](const Opaque&) { m.add(ActionKind::vector_op, "opaque", "", 0); },
      [&](const Reduce& s) { m.reduce(s, along(s.axis)); }, [&](const RingReduce& s) { m.ring_reduce(s, along(s.axis)); },
      [&](const Multicast& s) { m.relay("relay", dtype_name(program, s.buffer), along(s.axis)); },
      [&](const Shift& s) { m.shift(s, along(s.axis)); }, [&](const TileCast& s) { m.cast(s, along(s.axis)); },
      [&](const RowShift& s) { m.row_shift(s, y); }, [&](const RootReduce& s) { m.root_reduce(s, x); },
      [&](const Send& s) { m.half_move(true, dtype_name(program, program.moves[s.move].source), x, y); },
      [&](const Receive& s) { m.half_move(false, dtype_name(program, program.moves[s.move].destination), x, y); },
      [&](const Host& s) { m.host(s, x); }, [&](const Loop& s) { m.add(ActionKind::loop, name(s.var), "", 0); },
      nothing_for<Group, Product>());
  return m.out;
}

int64_t shared_bytes(const RoleAction& a) {
  const auto bytes = [](int64_t instructions) { return instructions * kInstructionBytes; };
  switch (a.kind) {
    case ActionKind::task: return a.operation == "reduce" || a.operation == "ring" ? 0 : bytes(kScheduleInstructions);
    case ActionKind::vector_op: {
      int64_t n = kStreamInstructions;
      for (const Operation& o : operations())
        if (a.operation == o.name) n = local_instructions(o.op);
      return bytes(n + (is_quantised(a.operands) ? kUnpackInstructions : 0));
    }
    case ActionKind::scalar_call:
    case ActionKind::vector_call:
      for (const Function& f : kFunctions)
        if (a.operation == f.name) return bytes(f.instructions);
      return 0;
    case ActionKind::join:
    case ActionKind::pass_on: return bytes(kStreamInstructions + (a.operation == "add" ? 0 : kCompareInstructions));
    case ActionKind::to_fabric:
    case ActionKind::from_fabric:
    case ActionKind::forward: return bytes(kStreamInstructions);
    case ActionKind::route_change: return bytes(kRouteChangeInstructions);
    case ActionKind::loop: return 0;
  }
  return 0;
}

int64_t call_bytes(const RoleAction& a) {
  switch (a.kind) {
    case ActionKind::task: return kTaskInstructions * kInstructionBytes;
    case ActionKind::loop: return kLoopInstructions * kInstructionBytes;
    case ActionKind::scalar_call:
    case ActionKind::vector_call: return 0;  // called from the code of its local operation
    case ActionKind::route_change: return a.operand_count * kRouteTableBytes + kCallInstructions * kInstructionBytes;
    case ActionKind::to_fabric:
    case ActionKind::from_fabric:
    case ActionKind::join:
    case ActionKind::pass_on:
    case ActionKind::forward:
    case ActionKind::vector_op: break;
  }
  return kCallInstructions * kInstructionBytes + a.operand_count * (kOperandInstructions * kInstructionBytes + kDescriptorBytes);
}

}  // namespace wafer::roles
