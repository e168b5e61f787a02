#include "base/half.h"

#include <gtest/gtest.h>

namespace wafer {
namespace {

TEST(Half, EveryValueSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; h++) {
    const float f = f16_to_f32(static_cast<uint16_t>(h));
    if (f != f) continue;
    EXPECT_EQ(f32_to_f16(f), h);
  }
}

TEST(Half, RoundsToNearestEven) {
  // The midpoint between two neighbours goes to the even one, anything beside it to the nearer one.
  for (uint32_t h = 0; h < 0x7bff; h++) {
    const float a = f16_to_f32(static_cast<uint16_t>(h)), b = f16_to_f32(static_cast<uint16_t>(h + 1));
    const float mid = (a + b) / 2;
    EXPECT_EQ(f32_to_f16(mid), (h & 1) ? h + 1 : h);
    EXPECT_EQ(f32_to_f16(std::nextafter(mid, a)), h);
    EXPECT_EQ(f32_to_f16(std::nextafter(mid, b)), h + 1);
  }
}

}  // namespace
}  // namespace wafer
