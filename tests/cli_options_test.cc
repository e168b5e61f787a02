// Options that would change nothing are refused, lengths past a model's context too, and what help shows as examples works.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/checkpoint.h"
#include "support/command.h"
#include "support/gguf_writer.h"

namespace wafer {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kShape =
    "name = \"short\"\nlayers = 2\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 40\ncontext = 128\n"
    "norm_epsilon = 1e-5\nrope_base = 10000.0\n";

struct CliOptions : testing::Test {
  CliOptions() : model(file("talking.gguf", talking_checkpoint())), shape(file("short.toml", kShape)) {}
  std::string file(const std::string& name, const std::string& bytes) const {
    write_file(folder.path + "/" + name, bytes);
    return folder.path + "/" + name;
  }
  TemporaryFolder folder;
  std::string model, shape;
};

CommandResult operator+(const Words& words, const Words& more) {
  Words all = {WAFER_BINARY};
  all.insert(all.end(), words.begin(), words.end());
  all.insert(all.end(), more.begin(), more.end());
  return run_program(all);
}

void refused(const Words& words, const Words& more, const std::string& part) {
  std::string line;
  for (const std::string& word : more) line += word + " ";
  expect_refusal(words + more, part, line);
}

TEST_F(CliOptions, WithoutEffectInRun) {
  const Words run = {"run", "-m", model, "--device", "tiny", "-p", "a"};
  for (const auto& [option, value] : {std::pair{"--top-k", "5"}, {"--top-p", "0.9"}, {"--seed", "7"}, {"--seed", "0"}}) {
    const std::string found = std::string(option) + ": found \"" + value + "\"";
    refused(run, {"-n", "2", option, value}, found + " at temperature 0");
    refused(run, {"-n", "2", option, value, "--temperature", "0"}, found + " at temperature 0");
    refused(run, {"-n", "0", option, value, "--temperature", "1"}, found + " beside -n 0");
    EXPECT_EQ((run + Words{"-n", "2", option, value, "--temperature", "1"}).status, 0);
  }
  const Words likeliest = {"-n", "2", "--temperature", "1", "--top-k", "1"};
  EXPECT_EQ((run + likeliest).status, 0);
  for (const auto& [option, value] : {std::pair{"--seed", "7"}, {"--seed", "0"}, {"--top-p", "0.9"}}) {
    Words words = likeliest;
    words.insert(words.end(), {option, value});
    refused(run, words, std::string(option) + ": found \"" + value + "\" beside --top-k 1");
    words[5] = "2";
    EXPECT_EQ((run + words).status, 0);
  }
  refused(run, {"-n", "2", "--token-by-token", "--chunk", "4"}, "--chunk: found --token-by-token beside it");
  refused(run, {"-n", "2", "--token-by-token", "--prefill-mesh", "4x4"}, "--prefill-mesh: found --token-by-token beside it");
  refused(run, {"-n", "2", "--goal", "latency", "--mesh", "4x4"}, "--goal: found a mesh beside it");
}

TEST_F(CliOptions, WithoutEffectInBenches) {
  refused({"bench", "decode", "-m", shape}, {"--chunk", "4"}, "--chunk: found \"4\", expected no --chunk");
  for (const char* option : {"--chunk", "--clock", "--groups", "--engine", "--prefill-mesh", "--goal"})
    refused({"bench", "kv", "-m", shape}, {option, "4"}, "the unknown option \"" + std::string(option) + "\"");
  std::string mixture = kShape;
  mixture += "experts = 4\nexperts_used = 2\n";
  refused({"plan", "-m", file("mixture.toml", mixture)}, {"--roles"}, "--roles: found a mixture of 4 experts");
}

TEST_F(CliOptions, LengthsPastTheModelsContext) {
  const std::string context = "the context of short";
  refused({"bench", "e2e", "-m", shape}, {"--input", "64", "--output", "65"}, "129 in all, expected at most 128, " + context);
  refused({"bench", "e2e", "-m", shape}, {"--input", "128", "--output", "1"}, context);
  refused({"bench", "e2e", "-m", shape}, {"--input", "2147483648", "--output", "2147483648"}, context);
  refused({"bench", "decode", "-m", shape}, {"--context", "129"}, "1 to 128, " + context);
  refused({"bench", "prefill", "-m", shape}, {"--tokens", "129"}, "1 to 128, " + context);
  refused({"plan", "-m", shape}, {"--context", "129"}, "1 to 128, " + context);
  EXPECT_EQ((Words{"bench", "e2e", "-m", shape} + Words{"--input", "64", "--output", "64"}).status, 0);
  EXPECT_EQ((Words{"bench", "decode", "-m", shape} + Words{"--context", "128"}).status, 0);
  // The paper times its kernels past that: told, not refused.
  for (const Words& words : {Words{"bench", "decode", "--context", "129"}, Words{"bench", "prefill", "--tokens", "129"},
                             Words{"bench", "e2e", "--input", "128", "--output", "1"}}) {
    const CommandResult r = words + Words{"-m", shape, "--plan", "published", "--mesh", "8x8"};
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.out.find("129 positions, past the 128 of the model"), std::string::npos) << r.out;
  }
}

TEST_F(CliOptions, ACacheThatHasNoRoomSaysWhy) {
  std::string wide = kShape;
  wide.replace(wide.find("ffn = 96"), 8, "ffn = 9600");
  const Words kv = {"bench", "kv", "-m", file("wide.toml", wide), "--mesh", "2x2"};
  const CommandResult r = kv + Words{};
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.err, "");
  EXPECT_NE(r.out.find("no position fits on regions of 2x2: core ("), std::string::npos) << r.out;
  EXPECT_NE(r.out.find(" too many"), std::string::npos) << r.out;
  EXPECT_EQ(r.out.find(" 0       0 "), std::string::npos) << r.out;
  const nlohmann::json j = nlohmann::json::parse((kv + Words{"--json"}).out);
  EXPECT_FALSE(j["memory"]["fits"].get<bool>());
  EXPECT_NE(j["memory"]["reason"].get<std::string>().find("bytes in phase decode"), std::string::npos) << j;
  // Also by the whole wafer's arithmetic.
  const CommandResult full = Words{"bench", "kv", "-m", WAFER_SOURCE_DIR "/models/llama3.1-70b.toml", "--mesh", "100x100"} + Words{};
  EXPECT_EQ(full.status, 0) << full.err;
  EXPECT_NE(full.out.find("leave no room"), std::string::npos) << full.out;
  EXPECT_EQ(full.out.find("shift"), std::string::npos) << full.out;
}

TEST_F(CliOptions, PartsOfASplitFileSayThatTheyAre) {
  const auto part = [&](int32_t number) {
    GgufWriter w = number == 0 ? zero_llama(small_config()) : GgufWriter{};
    add_raw(w, "split.no", 2, {static_cast<char>(number), 0});  // u16
    add_raw(w, "split.count", 2, {3, 0});
    if (number > 0) add_tensor(w, "blk.1.attn_q.weight", TensorType::f32, {64, 64});
    return file("model-0000" + std::to_string(number + 1) + "-of-00003.gguf", write(w));
  };
  for (const int number : {0, 1, 2}) {
    const std::string path = part(number), message = "part " + std::to_string(number + 1) + " of 3 of a split file";
    refused({"run", "-p", "a"}, {"-m", path}, path + ": found " + message);
    refused({"plan"}, {"-m", path}, message);
    refused({"bench", "decode"}, {"-m", path}, message);
    refused({"tokenize"}, {"-m", path}, message);
    const CommandResult r = Words{"inspect"} + Words{path};
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(unfolded(r.out).find(message), std::string::npos) << r.out;
  }
}

// ---- help --------------------------------------------------------------------------------------------------------------------------

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
}

std::vector<std::string> examples_of(const Words& command) {
  const CommandResult r = command + Words{"--help"};
  EXPECT_EQ(r.status, 0) << r.err;
  std::vector<std::string> examples;
  std::string help = r.out;
  replace_all(help, " \\\n      ", " ");  // a command in several lines
  for (size_t at = 0; at < help.size();) {
    const size_t end = std::min(help.find('\n', at), help.size());
    const std::string line = help.substr(at, end - at);
    if (line.starts_with("  waferllm ") || (line.starts_with("  echo ") && line.find("| waferllm ") != std::string::npos))
      examples.push_back(line.substr(2));
    at = end + 1;
  }
  return examples;
}

TEST_F(CliOptions, ExamplesOfHelpWorkAndFit) {
  namespace fs = std::filesystem;
  fs::create_directory_symlink(WAFER_SOURCE_DIR "/models", folder.path + "/models");
  fs::copy_file(WAFER_SOURCE_DIR "/models/stories-tiny.gguf", folder.path + "/model.gguf");
  file("prompt.txt", "Once upon a time");
  size_t count = 0;
  for (const char* command : {"run", "plan", "bench", "inspect", "devices", "tokenize"})
    for (const std::string& example : examples_of({command})) {
      count++;
      if (example.find("--plots") != std::string::npos) continue;  // needs gnuplot: plots have a test of their own
      std::string line = example.substr(0, example.find(" | jq"));
      replace_all(line, "waferllm ", std::string(WAFER_BINARY) + " ");
      const CommandResult r = run_program({"/bin/sh", "-c", "cd " + folder.path + " && " + line});
      EXPECT_EQ(r.status, 0) << example << "\n" << r.err;
      for (const std::string& text : {r.out, r.err})
        for (const char* bad : {"does not fit", "{\"fits\":false", "fits     no", "no position fits", "warning"})
          EXPECT_EQ(text.find(bad), std::string::npos) << example << "\n" << bad;
    }
  EXPECT_GE(count, 20u);
}

}  // namespace
}  // namespace wafer
