// `waferllm run` as a user runs it: what goes where, with which exit status.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/checkpoint.h"
#include "support/command.h"
#include "support/oracle.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

CommandResult waferllm(std::vector<std::string> words, const CommandInput& input = {}) {
  words.insert(words.begin(), WAFER_BINARY);
  return run_program(words, input);
}

CommandResult operator+(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> words = a;
  words.insert(words.end(), b.begin(), b.end());
  return waferllm(words);
}

struct CliRun : testing::Test {
  CliRun() : model(folder.path + "/talking.gguf"), run{"run", "-m", model, "--device", "tiny"} { write_file(model, talking_checkpoint()); }
  TemporaryFolder folder;
  std::string model;
  std::vector<std::string> run;
};

TEST_F(CliRun, TextAloneGoesToStdoutAndTheReportToStderr) {
  const CommandResult r = run + std::vector<std::string>{"-p", "xyz", "-n", "3"};
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "ababab\n");
  for (const char* line : {"\nmodel ", "\ndevice ", "\nplan ", "\nprefill ", "\ndecode ", "\nfits ", "\ncolours ", "\nchip ",
                           "cycles a token", "tokens/s with a round trip", "J by chip power", "J by activity", "\ntext ", "\nhost "})
    EXPECT_NE(r.err.find(line), std::string::npos) << line << r.err;
  EXPECT_EQ(r.err.find('\r'), std::string::npos) << "a progress line without a terminal";
}

TEST_F(CliRun, JsonIsOneObjectWithTheTextInside) {
  const CommandResult r = run + std::vector<std::string>{"-p", "xyz", "-n", "3", "--json", "--numerics", "fp16"};
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.err, "");
  ASSERT_TRUE(r.out.ends_with("}\n"));
  const Json j = Json::parse(r.out);
  EXPECT_EQ(j["text"], "ababab");
  EXPECT_EQ(j["prompt_tokens"], Json::parse("[1, 4, 28, 29, 30]"));
  EXPECT_EQ(j["tokens"], Json::parse("[0, 0, 0]"));
  EXPECT_EQ(j["device"], "tiny");
  EXPECT_EQ(j["plan"], "waferllm");
  EXPECT_EQ(j["numerics"], "fp16");
  EXPECT_TRUE(j["prefill"]["mesh"].is_string());
  for (const char* key : {"cycles", "seconds", "tokens_per_second"}) EXPECT_GT(j["prefill"][key].get<double>(), 0) << key;
  EXPECT_TRUE(j["prefill"]["cycles"].is_number_integer());
  EXPECT_TRUE(j["transition"]["cycles"].is_number_integer());
  EXPECT_TRUE(j["decode"]["mesh"].is_string());
  for (const char* key : {"cycles_per_token", "tokens_per_second", "tokens_per_second_with_host_link"})
    EXPECT_GT(j["decode"][key].get<double>(), 0) << key;
  EXPECT_GT(j["energy_joules"].get<double>(), 0);
  EXPECT_TRUE(j["memory"]["fits"].get<bool>());
  EXPECT_EQ(j["memory"]["sram_limit"], 49152);
  EXPECT_LE(j["memory"]["sram_bytes_per_core_max"].get<double>(), 49152);
  EXPECT_LE(j["memory"]["sram_bytes_per_core_mean"].get<double>(), j["memory"]["sram_bytes_per_core_max"].get<double>());
  EXPECT_FALSE(j["memory"].contains("excess_bytes"));
  EXPECT_GT(j["colours_max"].get<int>(), 0);
  EXPECT_GT(j["host"]["seconds"].get<double>(), 0);
  EXPECT_GT(j["host"]["prefill_tokens_per_second"].get<double>(), 0);
  EXPECT_GT(j["host"]["decode_tokens_per_second"].get<double>(), 0);
}

TEST_F(CliRun, EmptyPromptIsBosAlone) {
  const CommandResult r = run + std::vector<std::string>{"-p", "", "-n", "1", "--json"};
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(Json::parse(r.out)["prompt_tokens"], Json::parse("[1]"));
  EXPECT_TRUE(Json::parse(r.out)["host"]["decode_tokens_per_second"].is_null()) << "the only token comes from prefill";
  EXPECT_TRUE(Json::parse(r.out)["decode"]["cycles_per_token"].is_null());
  EXPECT_GT(Json::parse(r.out)["prefill"]["cycles"].get<int64_t>(), 0);
}

TEST_F(CliRun, NoTokensIsPrefillAlone) {
  const CommandResult r = run + std::vector<std::string>{"-p", "a", "-n", "0"};
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "");
}

TEST_F(CliRun, PromptsThatLookLikeOptionsAreText) {
  for (const char* prompt : {"-n", "--json", "[a, b]", "{}", "\xff\xfe", "%s", "'q'"}) {
    const CommandResult r = run + std::vector<std::string>{"-p", prompt, "-n", "1"};
    EXPECT_EQ(r.status, 0) << prompt << r.err;
    EXPECT_EQ(r.out, "ab\n") << prompt;
  }
}

TEST_F(CliRun, PromptFromAFileFromStdinAndAsIds) {
  const std::string path = folder.path + "/prompt";
  write_file(path, "xyz");
  const Json expected = Json::parse("[1, 4, 28, 29, 30]");
  const auto prompt = [&](const CommandResult& r) { return r.status == 0 ? Json::parse(r.out)["prompt_tokens"] : Json(r.err); };
  EXPECT_EQ(prompt(run + std::vector<std::string>{"-f", path, "-n", "0", "--json"}), expected);
  EXPECT_EQ(prompt(waferllm({"run", "-m", model, "-f", "-", "-n", "0", "--json"}, {.in = "xyz"})), expected);
  EXPECT_EQ(prompt(run + std::vector<std::string>{"--prompt-ids", "1 4 28 29 30", "-n", "0", "--json"}), expected);
  EXPECT_EQ(prompt(run + std::vector<std::string>{"--prompt-ids", "[1,4, 28,\n29,30]", "-n", "0", "--json"}), expected);
}

TEST_F(CliRun, LogitsFileHoldsThePromptsLastRowAndEachTokenFedBack) {
  const std::string path = folder.path + "/logits";
  const auto rows = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--prompt-ids", "1 4 28", "-n", "3", "--logits", path});
    const CommandResult r = run + more;
    EXPECT_EQ(r.status, 0) << r.err;
    std::vector<std::pair<int32_t, int32_t>> fed;
    for (const OracleRow& row : read_oracle(path)) {
      fed.emplace_back(row.position, row.token);
      EXPECT_EQ(row.logits, std::vector<float>(40, 0));
    }
    return fed;
  };
  using Rows = std::vector<std::pair<int32_t, int32_t>>;
  EXPECT_EQ(rows({}), (Rows{{2, 28}, {3, 0}, {4, 0}}));
  EXPECT_EQ(rows({"--token-by-token"}), (Rows{{2, 28}, {3, 0}, {4, 0}}));
  const Rows all = {{0, 1}, {1, 4}, {2, 28}, {3, 0}, {4, 0}};
  EXPECT_EQ(rows({"--all-logits"}), all);
  EXPECT_EQ(rows({"--all-logits", "--chunk", "2"}), all);
  EXPECT_EQ(rows({"--all-logits", "--token-by-token"}), all);
}

TEST_F(CliRun, GivenMeshThatDoesNotFitWarnsInOneLineAndRuns) {
  const CommandResult text = run + std::vector<std::string>{"-p", "a", "-n", "2", "--mesh", "1x1"};
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_EQ(text.out, "abab\n");
  EXPECT_TRUE(text.err.starts_with("waferllm: warning: does not fit: ")) << text.err;
  const CommandResult r = run + std::vector<std::string>{"-p", "a", "-n", "2", "--mesh", "1x1", "--json"};
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  const Json memory = Json::parse(r.out)["memory"];
  EXPECT_FALSE(memory["fits"].get<bool>());
  EXPECT_EQ(memory["excess_bytes"].get<int64_t>(), memory["sram_bytes_per_core_max"].get<int64_t>() - 49152);
}

TEST_F(CliRun, PlanThatDoesNotFitIsRefusedWithoutAMesh) {
  const CommandResult r = run + std::vector<std::string>{"-p", "a", "-n", "2", "--code-bytes", "49000"};
  EXPECT_EQ(r.status, 2) << r.out;
  EXPECT_EQ(r.out, "");
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
}

TEST_F(CliRun, ReaderThatHangsUpEndsItQuietly) {
  const CommandResult r =
      run_program({"/bin/bash", "-c", "\"$0\" run -m \"$1\" -p a -n 100 | head -c 5; echo \" ${PIPESTATUS[0]}\"", WAFER_BINARY, model});
  EXPECT_EQ(r.out, "ababa 0\n");
  EXPECT_EQ(r.err.find("waferllm:"), std::string::npos) << r.err;
}

TEST_F(CliRun, StdoutThatTakesNothingIsAnError) {
  for (const char* target : {">/dev/full", ">&-"}) {
    const CommandResult r = run_program({"/bin/sh", "-c", std::string("\"$0\" run -m \"$1\" -p a -n 5 ") + target, WAFER_BINARY, model});
    EXPECT_EQ(r.status, 2) << target;
    EXPECT_TRUE(r.err.starts_with("waferllm: stdout: found ")) << r.err;
  }
}

TEST_F(CliRun, SeedDecidesWhatIsDrawn) {
  const auto tokens = [&](const char* seed) {
    const CommandResult r = run + std::vector<std::string>{"-p", "a", "-n", "20", "--temperature", "1", "--seed", seed, "--json"};
    EXPECT_EQ(r.status, 0) << r.err;
    return Json::parse(r.out)["tokens"];
  };
  EXPECT_EQ(tokens("7"), tokens("7"));
  EXPECT_NE(tokens("7"), tokens("8"));
}

// ---- a real model ------------------------------------------------------------------------------------------------------------------

TEST(CliRunStories, GreedyTextIsTheReferences) {
  const std::string model = shared_path("models/stories260K.f32.gguf");
  if (!exists(model)) GTEST_SKIP() << "no " << model;
  const std::string expected = read_file(shared_path("models/stories260K.greedy.txt"));
  const std::vector<std::string> run = {"run", "-m", model, "--numerics", "fp32", "--temperature", "0", "-n", "256", "-p", ""};
  const std::vector<std::vector<std::string>> meshes = {
      {}, {"--mesh", "1x1"}, {"--mesh", "7x5"}, {"--prefill-mesh", "3x3", "--decode-mesh", "8x8"}, {"--token-by-token"}};
  for (const std::vector<std::string>& mesh : meshes) {
    const CommandResult r = run + mesh;
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.out, expected) << (mesh.empty() ? "" : mesh.back());
  }
}

// The story ends, and another begins after a hidden BOS: llama.cpp prints "friend. Once".
TEST(CliRunStories, ASpaceAfterAHiddenTokenIsKept) {
  const std::string model = shared_path("models/stories260K.f32.gguf");
  if (!exists(model)) GTEST_SKIP() << "no " << model;
  const CommandResult r =
      run_program({WAFER_BINARY, "run", "-m", model, "-p", "There was a cat", "-n", "200", "--numerics", "fp32", "--json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const Json j = Json::parse(r.out);
  const std::string text = j["text"];
  EXPECT_NE(text.find("friend. Once"), std::string::npos) << text;
  EXPECT_TRUE(text.starts_with(" ")) << "the first word goes on from the prompt: " << text;
  const auto decoded = [&](const std::string& ids) {
    return run_program({WAFER_BINARY, "tokenize", "-m", model, "--decode", "--no-special"}, {.in = ids + "\n"}).out;
  };
  EXPECT_EQ(decoded(j["tokens"].dump()), Json(text.substr(1)).dump() + "\n") << "alone, the text is at its start";
  EXPECT_EQ(decoded("[1, 403, 1, 403, 2, 1, 403]"), decoded("[403, 403, 403]"));
}

TEST(CliRunStories, TextGoesOnFromThePromptsIds) {
  const std::string model = shared_path("models/stories260K.f32.gguf");
  if (!exists(model)) GTEST_SKIP() << "no " << model;
  const auto text = [&](const std::string& ids) {
    const CommandResult r = run_program({WAFER_BINARY, "run", "-m", model, "--prompt-ids", ids, "-n", "8", "--numerics", "fp32", "--json"});
    EXPECT_EQ(r.status, 0) << r.err;
    const Json j = Json::parse(r.out);
    const std::vector<int32_t> tokens = j["tokens"];
    std::string list = "[" + ids;
    std::replace(list.begin(), list.end(), ' ', ',');
    for (const int32_t token : tokens) list += "," + std::to_string(token);
    const CommandResult whole = run_program({WAFER_BINARY, "tokenize", "-m", model, "--decode", "--no-special"}, {.in = list + "]\n"}),
                        prompt = run_program({WAFER_BINARY, "tokenize", "-m", model, "--decode", "--no-special"},
                                             {.in = "[" + list.substr(1, ids.size()) + "]\n"});
    const std::string all = Json::parse(whole.out), head = Json::parse(prompt.out);
    EXPECT_EQ(head + j["text"].get<std::string>(), all) << ids;
    return j["text"].get<std::string>();
  };
  EXPECT_FALSE(text("1").starts_with(" "));
  EXPECT_FALSE(text("1 1").starts_with(" "));  // several hidden tokens, and the text still at its start
  text("1 403 407 2");                         // a prompt that ends with one
  text("1 403 1");
}

TEST(CliRunStories, LogitsOfPrefillAndOfDecodeAreTheOracles) {
  const std::string model = shared_path("models/stories260K.f16.gguf"),
                    oracle = shared_path("oracle/logits/stories260K.f16.f32.logits.bin.gz");
  if (!exists(model) || !exists(oracle)) GTEST_SKIP() << "no " << model;
  const TemporaryFolder folder;
  const std::string path = folder.path + "/logits";
  const std::vector<std::string> run = {"run", "-m", model,      "--prompt-ids", read_file(shared_path("oracle/logits/prompt.ids")),
                                        "-n",  "0",  "--logits", path,           "--all-logits"};
  const std::vector<OracleRow> expected = read_oracle(oracle);
  for (const auto& [numerics, bound] : {std::pair{"fp32", 1e-5}, {"mixed", 2e-3}, {"fp16", 2e-2}})
    for (const std::vector<std::string>& how : {std::vector<std::string>{"--mesh", "5x7"}, {"--token-by-token"}}) {
      std::vector<std::string> words = run;
      words.insert(words.end(), {"--numerics", numerics});
      const CommandResult r = words + how;
      ASSERT_EQ(r.status, 0) << r.err;
      std::vector<std::vector<float>> rows;
      for (const OracleRow& row : read_oracle(path)) rows.push_back(row.logits);
      ASSERT_EQ(rows.size(), 24u);
      EXPECT_LE(rel_rms(rows, expected, 24), bound) << numerics << " " << how.back();
    }
}

}  // namespace
}  // namespace wafer
