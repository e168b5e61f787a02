#include "mesh/visit.h"

namespace wafer::mesh {

bool is_leaf(const Step& step) {
  return visit(
      step, same_for<Loop, Group>(false),
      same_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive, Host, Product>(true));
}

const Steps& body_of(const Step& step) {
  static const Steps none;
  const Steps* body = visit(
      step, [](const Loop& s) { return &s.body; }, [](const Group& s) { return &s.body; },
      same_for<Local, Opaque, Reduce, RingReduce, Multicast, Shift, TileCast, RowShift, RootReduce, Send, Receive, Host, Product>(&none));
  return *body;
}

bool has_product(const Steps& steps) { return any_of_kind<Product>(steps); }

}  // namespace wafer::mesh
