// The steps of a product. This is the schedule, said once: verify(), print(), roles() and the naive executor read it, and run(), which does
// a product at once, is tested against that executor. time() has closed forms, whose counts a test takes off these steps core by core
// (time/expansion_counts_test.cc), and reads here what runs beside what.
#pragma once
#include "mesh/program.h"
#include "mesh/visit.h"

namespace wafer::mesh {

// L of a product: ring positions of its widest rectangle, blocks of the inner dimension.
int64_t ring_steps(const Program& program, const Product& product);

// The steps that stand for `step`, which is a product, in order: loops over ring steps, overlapping groups, leaves. Their names begin with
// the step's.
Steps expand(const Program& program, const Step& step);

// As for_each_step, and after each product the steps of its expansion, which live only while they are seen.
template <class See>
void for_each_expanded_step(const Program& program, const Steps& steps, const See& see) {
  for_each_step(steps, [&](const Step& step) {
    see(step);
    if (std::holds_alternative<Product>(step.what)) for_each_step(expand(program, step), see);
  });
}

}  // namespace wafer::mesh
