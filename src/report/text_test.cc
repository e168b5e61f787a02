// Tables and prose that are folded.
#include "report/text.h"

#include <gtest/gtest.h>

namespace wafer {
namespace {

const std::string kName(90, 'n');

TEST(Text, ATableThatFitsIsAsItWas) { EXPECT_EQ(table({{"a", "1", "x"}, {"bb", "22", ""}}, "lrl"), "a    1  x\nbb  22\n"); }

TEST(Text, TheLastColumnIsFoldedUnderItself) {
  const std::string words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
  EXPECT_EQ(table({{"key", words}, {"k", "v"}}, "ll"),
            "key  one two three four five six seven eight nine ten eleven twelve thirteen\n     fourteen\nk    v\n");
}

TEST(Text, WithoutRoomBesideItTheLastColumnGoesBelow) {
  const std::string wide(70, 'w');
  EXPECT_EQ(table({{wide, "1", "one two"}, {"k", "22", ""}}, "lrl"), wide + "   1\n    one two\nk" + std::string(69, ' ') + "  22\n");
}

TEST(Text, NamesThatAreTooLongAreShortened) {
  EXPECT_EQ(table({{kName, "1"}, {"k", "22"}}, "lr"), std::string(73, 'n') + "...   1\nk" + std::string(75, ' ') + "  22\n");
  EXPECT_EQ(table({{"k", kName}}, "ll"), "k  " + std::string(74, 'n') + "...\n");
  EXPECT_EQ(table({{kName, "1"}}, "lr", "", Wide::yes), kName + "  1\n");
  std::string umlauts;
  for (int i = 0; i < 90; i++) umlauts += "\u00fc";
  EXPECT_EQ(table({{"k", umlauts}}, "ll").substr(0, 5), "k  \u00fc") << "letters, not bytes";
}

TEST(Text, ProseIsFolded) {
  EXPECT_EQ(folded("short\n\nlines\n"), "short\n\nlines\n");
  std::string line = "  -o,--option NAME    ";
  for (int i = 0; i < 20; i++) line += "word ";
  EXPECT_EQ(folded(line), "  -o,--option NAME    word word word word word word word word word word word\n" + std::string(22, ' ') +
                              "word word word word word word word word word\n");
  EXPECT_EQ(folded("  waferllm bench e2e -m models/long.toml --plan published --input 2048 --output 128 | jq .x"),
            "  waferllm bench e2e -m models/long.toml --plan published --input 2048 \\\n      --output 128 | jq .x\n");
}

}  // namespace
}  // namespace wafer
