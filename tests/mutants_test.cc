// Programs with one fault each: every one is reported before it runs, or changes values, or is no fault.
#include "support/mutants.h"

#include <gtest/gtest.h>

#include "device/device.h"

namespace wafer {
namespace {

// A region elsewhere on the wafer is another legal program, with longer or shorter ways between regions.
bool is_translation(const Mutant& m) { return m.field == "Rect.x" || m.field == "Rect.y"; }

void expect_caught(const MeshCase& c, uint64_t seed, int count) {
  SCOPED_TRACE(describe(c));
  for (const Mutant& m : try_mutants(build(c), load_device("tiny"), seed, count))
    if (m.caught_by == Catcher::executor || (m.caught_by == Catcher::time && !is_translation(m)))
      ADD_FAILURE() << name(m.caught_by) << ": " << m.field << " at " << m.where << ": " << m.change << "; " << m.how;
}

TEST(Mutants, OfRandomProgramsAreCaught) {
  for (uint64_t seed = 1; seed <= 5; seed++) expect_caught(random_case(seed, Numerics::fp32, 5), seed, 200);
}

}  // namespace
}  // namespace wafer
