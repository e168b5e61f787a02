#include "base/utf8.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace wafer {
namespace {

constexpr const char* kBad = "\xef\xbf\xbd";

std::string one_byte_at_a_time(const std::string& text) {
  Utf8Stream stream;
  std::string out;
  for (char c : text) {
    const std::string now = push(stream, std::string(1, c));
    EXPECT_EQ(to_valid_utf8(now), now);  // never half a character
    out += now;
  }
  return out + flush(stream);
}

TEST(Utf8, WellFormedTextComesThroughHoweverItIsCut) {
  const std::string text = "a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80 z\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80";
  EXPECT_EQ(to_valid_utf8(text), text);
  EXPECT_EQ(one_byte_at_a_time(text), text);
}

TEST(Utf8, HalfACharacterIsHeldBack) {
  Utf8Stream stream;
  EXPECT_EQ(push(stream, "a\xf0\x9f"), "a");
  EXPECT_EQ(push(stream, "\x98"), "");
  EXPECT_EQ(push(stream, "\x80"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(push(stream, "\xe4\xb8"), "");
  EXPECT_EQ(flush(stream), kBad);
  EXPECT_EQ(flush(stream), "");
}

TEST(Utf8, IllFormedPartsBecomeOneReplacementEach) {
  // The example of the Unicode standard, table 3-11, and the cases around it.
  const auto bad = [](int n) {
    std::string s;
    while (n-- > 0) s += kBad;
    return s;
  };
  EXPECT_EQ(to_valid_utf8("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), bad(4) + "A");
  EXPECT_EQ(to_valid_utf8("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), bad(8) + "A");
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), bad(8) + "A");
  EXPECT_EQ(to_valid_utf8("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), bad(5) + "A" + bad(2) + "B");
}

TEST(Utf8, TheCutNeverMatters) {
  Rng rng(1);
  for (int round = 0; round < 5000; round++) {
    std::string text;
    for (uint64_t i = next_below(rng, 12); i > 0; i--) text += "\x41\x80\xbf\xc2\xe0\xa0\xed\x9f\xf0\x90\xf4\x8f\xff"[next_below(rng, 13)];
    EXPECT_EQ(one_byte_at_a_time(text), to_valid_utf8(text));
    EXPECT_EQ(to_valid_utf8(to_valid_utf8(text)), to_valid_utf8(text));
  }
}

}  // namespace
}  // namespace wafer
