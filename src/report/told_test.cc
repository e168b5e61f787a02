// What a report says of its own figures: which of them rest on others, and which numbers of a device none of them uses.
#include <gtest/gtest.h>

#include <sstream>

#include "report/device_report.h"
#include "report/extrapolation.h"

namespace wafer {
namespace {

TEST(Told, WhatWasTakenAsAlike) {
  time::PartTime part{.cycles = 200, .starts = 4095, .starts_timed = 4095};
  EXPECT_EQ(extrapolation_text(part), "");
  part.starts_timed = 33;
  EXPECT_EQ(extrapolation_text(part), "33 of 4,095 starts timed, linear between");
  part.extrapolated_cycles = 50;
  const std::string both = extrapolation_text(part);
  EXPECT_TRUE(both.starts_with("25")) << both;
  EXPECT_NE(both.find("taken as the turn before"), std::string::npos) << both;
  EXPECT_NE(both.find("; 33 of 4,095 starts timed"), std::string::npos) << both;
  part.starts_timed = part.starts;
  EXPECT_EQ(extrapolation_text(part).find("starts"), std::string::npos);
}

TEST(Told, WhichConstantsTimeDoesNotUse) {
  const Device d = load_device("wse2");
  const std::string text = device_text(d);
  size_t used = 0, unused = 0;
  for (const DeviceRow& row : device_rows(d)) {
    const size_t begin = text.find("\n" + row.name + " ");
    ASSERT_NE(begin, std::string::npos) << row.name;
    size_t end = text.find('\n', begin + 1);  // its source is below it, or beside it
    while (end + 1 < text.size() && text[end + 1] == ' ') end = text.find('\n', end + 1);
    const std::string lines = text.substr(begin, end - begin);
    EXPECT_EQ(lines.find("[not used by time()]") == std::string::npos, row.used) << lines;
    (row.used ? used : unused)++;
  }
  EXPECT_GT(used, 10u);
  EXPECT_GT(unused, 0u);
}

}  // namespace
}  // namespace wafer
