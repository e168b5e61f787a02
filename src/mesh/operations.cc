#include "mesh/operations.h"

#include <array>

namespace wafer::mesh {
namespace {

constexpr auto kOperations = std::to_array<Operation>({
    {LocalOp::square_sum, "square_sum", "te->t", "e->1", Joins::add},
    {LocalOp::normalise, "normalise", "te,t,e->te", "e,1,e->e", Joins::nothing, kEpsilon | kSize},
    {LocalOp::mat_vec, "mat_vec", "", "kn,k->n", Joins::add},
    {LocalOp::angles, "angles", "p2->tp2", "p2->p2"},
    {LocalOp::rotate, "rotate", "td,tp2->td", "d,p2->d", Joins::nothing, kHeadDim},
    {LocalOp::store_rows, "store_rows", "tv->+sv", "v->+sv"},
    {LocalOp::row_dots, "row_dots", "", "q,sv->hs", Joins::add, kHeadDim | kGroup},
    {LocalOp::row_max, "row_max", "gtk->+gt", "hs->+h", Joins::max, kScale},
    {LocalOp::exp_sum, "exp_sum", "gtk,gt->gtk,gt", "hs,h->hs,h", Joins::add, kScale},
    {LocalOp::weigh_rows, "weigh_rows", "", "hs,sv->q", Joins::add, kHeadDim | kGroup},
    {LocalOp::divide, "divide", "tv,gt->+tq", "q,h->q", Joins::nothing, kHeadDim | kGroup},
    {LocalOp::add, "add", "*->+*", ""},
    {LocalOp::clear, "clear", "->*", "", Joins::nothing, kScale},
    {LocalOp::gate_mul, "gate_mul", "tf,tf->tf", "f,f->f"},
    {LocalOp::local_best, "local_best", "", "w->1", Joins::best},
    {LocalOp::look_up, "look_up", "", "ew,1->e", Joins::owner},
    {LocalOp::tile_fma, "tile_fma", "tk,kn->+tn", ""},
    {LocalOp::tile_fma_t, "tile_fma_t", "tv,sv->gtk", ""},
});

constexpr bool ordered() {
  for (size_t i = 0; i < kOperations.size(); i++)
    if (kOperations[i].op != static_cast<LocalOp>(i)) return false;
  return true;
}
static_assert(ordered(), "a row for each LocalOp, in the order of the enumeration");
static_assert(kOperations.back().op == LocalOp::tile_fma_t, "the last LocalOp has a row: one after it needs one too");

}  // namespace

const Operation& operation(LocalOp op) { return kOperations[static_cast<size_t>(op)]; }
std::optional<ReduceOp> joined_by(LocalOp op) {
  switch (operation(op).joins) {
    case Joins::add: return ReduceOp::add;
    case Joins::max: return ReduceOp::max;
    case Joins::best: return ReduceOp::best;
    case Joins::nothing:
    case Joins::owner: break;
  }
  return {};
}
std::span<const Operation> operations() { return kOperations; }
const char* name(LocalOp op) { return operation(op).name; }

std::vector<Operand> operands_of(std::string_view form) {
  std::vector<Operand> all;
  const size_t arrow = form.find("->");
  const auto add = [&](std::string_view list, bool out) {
    while (!list.empty()) {
      const size_t end = std::min(list.find(','), list.size());
      std::string_view dims = list.substr(0, end);
      const bool accumulates = dims.starts_with('+');
      if (accumulates) dims.remove_prefix(1);
      all.push_back({.out = out, .read = !out || accumulates, .dims = dims});
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  };
  add(form.substr(0, arrow), false);
  add(form.substr(arrow + 2), true);
  return all;
}

}  // namespace wafer::mesh
