// `waferllm bench paper` and `bench calibrate` as a user runs them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "support/command.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

CommandResult paper(std::vector<std::string> more) {
  std::vector<std::string> words = {WAFER_BINARY, "bench", "paper"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

TEST(CliPaper, RowsHaveTheKeysThatScriptsRelyOn) {
  const CommandResult r = paper({"--tables", "4,6", "--json"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.err, "");
  int with_paper = 0, without = 0;
  const Json rows = Json::parse(r.out)["rows"];
  for (const Json& row : rows) {
    for (const char* key : {"table", "model", "method", "config", "metric", "paper", "ours", "error"})
      ASSERT_TRUE(row.contains(key)) << key << " in " << row;
    EXPECT_GT(row["ours"].get<double>(), 0) << row;
    EXPECT_EQ(row["paper"].is_null(), row["error"].is_null()) << row;
    if (row["paper"].is_null()) {
      without++;
      continue;
    }
    with_paper++;
    EXPECT_NEAR(row["error"].get<double>(), row["ours"].get<double>() / row["paper"].get<double>() - 1, 1e-9) << row;
  }
  EXPECT_EQ(with_paper, 9 + 1 + 6 + 1);
  EXPECT_GT(without, 27);
}

// The table of the terminal, of the page and of the object are the same rows.
TEST(CliPaper, TextAndPageHoldTheSameRows) {
  const std::string text = paper({"--tables", "4"}).out, page = paper({"--tables", "4", "--markdown"}).out;
  for (const char* part : {"LLaMA3-8B", "QWen2-72B", "540x540", "Ladder", "calibration"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(page.starts_with("# The paper's tables\n"));
  EXPECT_EQ(paper({"--tables", "4", "--markdown"}).out, page) << "no time of the host is in it";
}

TEST(CliPaper, OtherClocksChangeRatesAndNoCycles) {
  const Json a = Json::parse(paper({"--tables", "4", "--json"}).out),
             b = Json::parse(paper({"--tables", "4", "--json", "--clock", "8.5e8"}).out);
  for (size_t k = 0; k < a["rows"].size(); k++) {
    EXPECT_EQ(a["rows"][k]["cycles"], b["rows"][k]["cycles"]);
    EXPECT_NEAR(a["rows"][k]["ours"].get<double>() / b["rows"][k]["ours"].get<double>(), 1.1 / 0.85, 1e-9);
  }
}

TEST(CliPaper, BadInput) {
  expect_refusal(paper({"--tables", "9"}), "--tables: found \"9\"");
  expect_refusal(paper({"--tables", "4,,5"}), "--tables: found \"\"");
  expect_refusal(paper({"--json", "--markdown"}), "--json beside it");
  expect_refusal(paper({"--device", "wse9"}), "wse2");
  expect_refusal(run_program({WAFER_BINARY, "bench", "calibrate", "--device", "tiny"}), "720x720 cores at least");
  expect_refusal(run_program({WAFER_BINARY, "bench", "calibrate", "--device", "wse3"}), "are of a WSE-2");
}

}  // namespace
}  // namespace wafer
