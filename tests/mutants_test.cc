// Programs with one fault each: every one is reported before it runs, or changes values, or is no fault.
#include "support/mutants.h"

#include <gtest/gtest.h>

#include "device/device.h"

namespace wafer {
namespace {

void expect_caught(const MeshCase& c, uint64_t seed, int count) {
  SCOPED_TRACE(describe(c));
  for (const Mutant& m : try_mutants(build(c), load_device("tiny"), seed, count))
    if (m.caught_by == Catcher::executor || m.caught_by == Catcher::time)
      ADD_FAILURE() << name(m.caught_by) << ": " << m.field << " at " << m.where << ": " << m.change << "; " << m.how;
}

TEST(Mutants, OfRandomProgramsAreCaught) {
  for (uint64_t seed = 1; seed <= 5; seed++) expect_caught(random_case(seed, Numerics::fp32, 5), seed, 200);
}

}  // namespace
}  // namespace wafer
