#include "base/printable.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/utf8.h"

namespace wafer {
namespace {

TEST(Printable, WhatATerminalObeysIsWrittenOut) {
  EXPECT_EQ(escaped("a\nfits  yes\r\t"), "a\\nfits  yes\\r\\t");
  EXPECT_EQ(escaped("\x1b[2K\x07\x7f"), "\\x1b[2K\\x07\\x7f");
  EXPECT_EQ(escaped(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(escaped("\u0085\u009b31m"), "\\u0085\\u009b31m");  // C1: next line, and CSI in one character
  EXPECT_EQ(escaped("\u202egnp.\u202c \u2066x\u2069 \u200f \u200e"), "\\u202egnp.\\u202c \\u2066x\\u2069 \\u200f \\u200e");
  EXPECT_EQ(escaped("\u2028\u2029\ufeff\u200b\u00ad"), "\\u2028\\u2029\\ufeff\\u200b\\u00ad");
  EXPECT_EQ(escaped("\U000e0041"), "\\U000e0041");
  EXPECT_EQ(escaped("\xff\xc3 \xed\xa0\x80"), "\\xff\\xc3 \\xed\\xa0\\x80");  // no UTF-8: a stray byte, half a character, a surrogate
}

TEST(Printable, AllElseStays) {
  for (const char* text : {"", "llama 3.1 (8B)", "\u00e9\u4e16\u754c \U0001f600", "a \\n b \"c\"", "C:\\x"}) EXPECT_EQ(escaped(text), text);
}

TEST(Printable, EscapingTwiceChangesNothing) {
  std::string every;
  for (int c = 0; c < 256; c++) every += static_cast<char>(c);
  const std::string once = escaped(every);
  EXPECT_EQ(escaped(once), once);
  EXPECT_EQ(to_valid_utf8(once), once);
  for (const char c : once) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

TEST(Printable, QuotesCanBeReadBack) {
  EXPECT_EQ(wafer::quoted("a \"b\" c"), R"("a \"b\" c")");
  EXPECT_EQ(wafer::quoted("a\\b"), R"("a\\b")");
  EXPECT_EQ(wafer::quoted("\u00e9\n\xff"), "\"\u00e9\\n\\xff\"");
  EXPECT_EQ(wafer::quoted(std::string(61, 'a')), "\"" + std::string(60, 'a') + "...\"");
  std::string sixty;
  for (int i = 0; i < 60; i++) sixty += "\u4e16";
  EXPECT_EQ(wafer::quoted(sixty), "\"" + sixty + "\"") << "characters are counted, and none is cut";
}

TEST(Printable, ErrorsAreOneLine) {
  const Error e{{.where = "a\nb", .found = "\x1b[1A", .expected = "\u2028", .fix = "\xff"}};
  EXPECT_STREQ(e.what(), "a\\nb: found \\x1b[1A, expected \\u2028; \\xff");
}

}  // namespace
}  // namespace wafer
