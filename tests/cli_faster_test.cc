// What reports say beside a plan that was not searched: a faster one where the search knows it, and chunks that make a prefill slow.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/checkpoint.h"
#include "support/command.h"

namespace wafer {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

// Weights of so few bytes that the smallest square has no room for chunks of any length.
constexpr const char* kShape =
    "layers = 12\ndim = 512\nheads = 8\nkv_heads = 4\nhead_dim = 64\nffn = 1408\nvocab = 2000\ncontext = 512\nnorm_epsilon = 1e-5\n"
    "rope_base = 10000\nweights = \"q8_0\"\n";

struct CliFaster : testing::Test {
  CliFaster() : model(folder.path + "/shape.toml") { write_file(model, kShape); }

  CommandResult run(Words words, const Words& more) const {
    words.insert(words.begin(), WAFER_BINARY);
    words.insert(words.end(), {"-m", model});
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  Json json(const Words& words, Words more = {}) const {
    more.push_back("--json");
    const CommandResult r = run(words, more);
    EXPECT_EQ(r.status, 0) << r.err;
    return Json::parse(r.out);
  }
  TemporaryFolder folder;
  std::string model;
};

Words split(const std::string& text) {
  std::istringstream in(text);
  Words words;
  for (std::string w; in >> w;) words.push_back(w);
  return words;
}

// Cycles of what the command measures.
double cycles_of(const Json& j) {
  if (j.contains("bench")) return j["bench"] == "e2e" ? j["cycles"] : j[j["bench"] == "prefill" ? "prompt" : "token"]["cycles"];
  return j["prefill"]["cycles"].get<double>() + j["transition"]["cycles"].get<double>() + j["decode"]["cycles_per_token"].get<double>();
}

// The line's options give the plan that it names, as fast as it says.
TEST_F(CliFaster, TheOptionsGiveWhatTheLineSays) {
  int found = 0;
  for (const Words& words : std::vector<Words>{{"bench", "prefill"},
                                               {"bench", "decode"},
                                               {"bench", "e2e", "--input", "300", "--output", "40"},
                                               {"bench", "e2e", "--input", "20", "--output", "400"},
                                               {"plan"},
                                               {"plan", "--context", "64"}}) {
    const Json own = json(words);
    ASSERT_TRUE(own.contains("faster_plan")) << words[0];
    EXPECT_TRUE(own["faster_plan_note"].is_null());
    const CommandResult text = run(words, {});
    EXPECT_EQ(text.out.find("\nfaster") != std::string::npos, !own["faster_plan"].is_null()) << text.out;
    if (own["faster_plan"].is_null()) continue;
    found++;
    const Json& faster = own["faster_plan"];
    EXPECT_GE(faster["speedup"].get<double>(), 1.2);
    if (!faster["chunk"].is_null()) {
      EXPECT_NE((" " + faster["options"].get<std::string>() + " ").find(fmt::format(" --chunk {} ", faster["chunk"].get<int64_t>())),
                std::string::npos)
          << faster;
    }
    const Json other = json(words, split(faster["options"]));
    EXPECT_NEAR(cycles_of(own) / cycles_of(other), faster["speedup"].get<double>(), 1e-3 * faster["speedup"].get<double>())
        << words[0] << " " << faster;
    EXPECT_NE(text.out.find(faster["options"].get<std::string>()), std::string::npos) << text.out;
  }
  EXPECT_GT(found, 1);
}

TEST_F(CliFaster, NothingIsLookedForWhereTheUserHasChosen) {
  const auto note = [&](const Words& words) {
    const Json j = json(words);
    EXPECT_TRUE(j["faster_plan"].is_null());
    return j["faster_plan_note"].get<std::string>();
  };
  EXPECT_EQ(note({"bench", "prefill", "--mesh", "60x60"}), "not looked for: a mesh was given");
  EXPECT_EQ(note({"plan", "--decode-mesh", "60x60"}), "not looked for: a mesh was given");
  EXPECT_EQ(note({"bench", "decode", "--goal", "latency"}), "not looked for: --goal has searched");
  EXPECT_EQ(note({"plan", "--no-time"}), "not looked for: nothing is timed");
}

TEST_F(CliFaster, AChunkThatMakesPrefillSlowIsTold) {
  for (const Words& words : std::vector<Words>{{"plan"}, {"bench", "prefill"}, {"bench", "e2e", "--input", "200", "--output", "3"}}) {
    Words mesh = words;
    mesh.insert(mesh.end(), {"--mesh", "80x80"});
    const Json slow = json(mesh, {"--chunk", "1"})["slow_chunk"];
    ASSERT_FALSE(slow.is_null()) << words[0];
    EXPECT_EQ(slow["chunk"], 1);
    EXPECT_GT(slow["longer"].get<int>(), 1);
    EXPECT_TRUE(slow["longer_fits"].get<bool>());
    EXPECT_NE(run(mesh, {"--chunk", "1"}).out.find("\nslow"), std::string::npos);
    // The formulas' factor beside that of timing.
    const Json a = json(mesh, {"--chunk", "1"}), b = json(mesh, {"--chunk", std::to_string(slow["longer"].get<int>())});
    if (words.back() == "prefill") {
      EXPECT_NEAR(cycles_of(a) / cycles_of(b) / slow["times_slower"].get<double>(), 1, 0.5);
    }
    EXPECT_TRUE(b["slow_chunk"].is_null()) << b["slow_chunk"];
  }
  // Where a given chunk is at fault, that is what has to be changed.
  const Json own = json({"bench", "prefill"}, {"--chunk", "1"});
  EXPECT_FALSE(own["slow_chunk"].is_null());
  EXPECT_EQ(own["faster_plan_note"], "not looked for: --chunk is what makes it slow");
}

// Chunks that are short because the smallest mesh leaves no room for longer ones: told, and more cores are looked for.
TEST(CliFasterPlan, ShortChunksForWantOfBytes) {
  const TemporaryFolder folder;
  std::ifstream in(std::string(WAFER_SOURCE_DIR) + "/models/llama3-8b.toml");
  std::string shape{std::istreambuf_iterator<char>(in), {}};
  const size_t at = shape.find("weights = \"f16\"");
  ASSERT_NE(at, std::string::npos);
  shape.replace(at, 15, "weights = \"q8_0\"");
  write_file(folder.path + "/shape.toml", shape);
  const CommandResult r = run_program({WAFER_BINARY, "bench", "prefill", "-m", folder.path + "/shape.toml", "--tokens", "2048", "--json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const Json j = Json::parse(r.out);
  ASSERT_FALSE(j["slow_chunk"].is_null());
  EXPECT_FALSE(j["slow_chunk"]["longer_fits"].get<bool>());
  EXPECT_TRUE(j["faster_plan_note"].is_null());
  ASSERT_FALSE(j["faster_plan"].is_null());
  EXPECT_GT(j["faster_plan"]["chunk"], j["slow_chunk"]["chunk"]);
}

TEST(CliFasterRun, ARunSaysBothToo) {
  const TemporaryFolder folder;
  const std::string model = folder.path + "/model.gguf";
  write_file(model, talking_checkpoint());
  const auto report = [&](const Words& more) {
    Words words = {WAFER_BINARY, "run", "-m", model, "-p", "abababababababab", "-n", "4", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult r = run_program(words);
    EXPECT_EQ(r.status, 0) << r.err;
    return Json::parse(r.out);
  };
  const Json plain = report({});
  EXPECT_TRUE(plain.contains("faster_plan"));
  EXPECT_TRUE(plain["slow_chunk"].is_null());
  EXPECT_EQ(report({"--mesh", "4x4"})["faster_plan_note"], "not looked for: a mesh was given");
  EXPECT_FALSE(report({"--chunk", "1"})["slow_chunk"].is_null());
}

}  // namespace
}  // namespace wafer
