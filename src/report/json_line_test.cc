#include "report/json_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wafer {
namespace {

using Json = nlohmann::ordered_json;

TEST(JsonLine, StringsComeBackAsTheyAre) {
  Json json;
  for (const char* text : {"a\nfits yes", "\x1b[2K\x7f", "\u009b31m\u202e\u2028", "\U000e0041", "\u00e9\u4e16\U0001f600", "\"\\"})
    json[text] = text;
  const std::string line = json_line(json);
  EXPECT_EQ(Json::parse(line), json);
  EXPECT_NE(line.find("\\udb40\\udc41"), std::string::npos) << line;
  for (const char c : line) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << line;
  for (const char* hidden : {"\u009b", "\u202e", "\u2028", "\U000e0041"}) EXPECT_EQ(line.find(hidden), std::string::npos) << line;
  EXPECT_NE(line.find("\u00e9\u4e16\U0001f600"), std::string::npos) << "what is seen stays readable: " << line;
}

TEST(JsonLine, BytesThatAreNoUtf8) { EXPECT_EQ(json_line(Json{{"a\xff", "\xc3"}}), "{\"a\xef\xbf\xbd\":\"\xef\xbf\xbd\"}"); }

}  // namespace
}  // namespace wafer
