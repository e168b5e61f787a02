// Shapes of architectures that are taken as llamas: every report of one says what is left out, and no report of a llama does.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/command.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

constexpr const char* kShape =
    "layers = 3\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 80\ncontext = 128\nnorm_epsilon = 1e-5\n"
    "rope_base = 10000\n";

const std::vector<std::vector<std::string>> kReports = {
    {"plan", "--no-time"},
    {"plan", "--mesh", "1x1", "--device", "tiny"},
    {"bench", "decode"},
    {"bench", "prefill"},
    {"bench", "e2e", "--input", "6", "--output", "3"},
    {"bench", "kv"},
    {"inspect"},
    {"bench", "decode", "--plan", "published", "--mesh", "6x6"},
    {"bench", "prefill", "--plan", "published", "--mesh", "6x6"},
    {"bench", "e2e", "--plan", "published", "--mesh", "6x6", "--input", "6", "--output", "3"},
};

TEST(CliLeftOut, EveryReportSaysIt) {
  const TemporaryFolder folder;
  const std::string path = folder.path + "/shape.toml";
  for (const auto& [architecture, left_out] : {std::pair("llama", ""), std::pair("qwen2", "the biases of Q, K and V (128 numbers a layer)"),
                                               std::pair("qwen3", "the RMSNorms of each head of Q and K (32 gains a layer")}) {
    write_file(path, kShape + std::string("architecture = \"") + architecture + "\"\n");
    for (std::vector<std::string> words : kReports) {
      words.insert(words.begin(), WAFER_BINARY);
      words.insert(words.end(), {"-m", path});
      const std::string text = run_program(words).out;
      words.push_back("--json");
      const Json json = Json::parse(run_program(words).out);
      ASSERT_TRUE(json.contains("leaves_out")) << words[1] << " " << words[2];
      if (std::string(left_out).empty()) {
        EXPECT_TRUE(json["leaves_out"].is_null()) << words[1] << " " << words[2];
        EXPECT_EQ(text.find("leaves out"), std::string::npos) << text;
      } else {
        EXPECT_TRUE(json["leaves_out"].get<std::string>().starts_with(left_out)) << json["leaves_out"];
        EXPECT_NE(unfolded(text).find(std::string(" taken as a llama: leaves out ") + left_out), std::string::npos) << text;
      }
    }
  }
}

TEST(CliLeftOut, ThePapersQwenRowsSayItInTheirNotes) {
  int qwen = 0;
  const Json report = Json::parse(run_program({WAFER_BINARY, "bench", "paper", "--tables", "4,5,8", "--json"}).out);
  for (const Json& row : report["rows"]) {
    const bool says =
        row["note"].get<std::string>().find("taken as a llama: leaves out the biases of Q, K and V (10240") != std::string::npos;
    EXPECT_EQ(says, row["model"] == "QWen2-72B") << row;
    qwen += says ? 1 : 0;
  }
  EXPECT_GE(qwen, 9 + 4 + 1);
}

TEST(CliLeftOut, AnUnknownArchitectureIsRefused) {
  const TemporaryFolder folder;
  write_file(folder.path + "/shape.toml", kShape + std::string("architecture = \"qwen\"\n"));
  expect_refusal(run_program({WAFER_BINARY, "plan", "-m", folder.path + "/shape.toml"}), R"("llama", "qwen2" or "qwen3")");
}

}  // namespace
}  // namespace wafer
