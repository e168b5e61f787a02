// Names out of files and out of the command line that would move the cursor, end a line or forge one: every command prints them escaped.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "base/utf8.h"
#include "support/checkpoint.h"
#include "support/command.h"
#include "support/gguf_writer.h"

namespace wafer {
namespace {

using Words = std::vector<std::string>;

// A line of its own that says what a report says of what fits, then controls and format characters of every kind.
const std::string kHostile =
    "x\nfits     yes\r\t\x1b[2K\x08\x7f\u0085\u009b31m\u202egnp\u2066\u2069\u200e\u200f\u2028\u2029\u200b\ufeff\xff\xc3";

// No byte of a control but '\n', no invisible character, only UTF-8, and no line that the name made.
void expect_clean(const std::string& text, const std::string& context) {
  for (std::string_view left = text; !left.empty();) {
    const Utf8Character c = first_character(left);
    ASSERT_TRUE(c.code.has_value()) << context << ": no UTF-8 in " << escaped(text);
    ASSERT_TRUE(*c.code == U'\n' || !is_invisible(*c.code))
        << context << ": U+" << std::hex << static_cast<uint32_t>(*c.code) << " in " << escaped(text);
    left.remove_prefix(c.bytes);
  }
  EXPECT_EQ(text.find("\nfits     yes\\r"), std::string::npos) << context << ": a forged line in " << text;
}

struct CliHostileNames : testing::Test {
  CliHostileNames() {
    model = write_model("llama", {});
    std::string text = read_file(WAFER_SOURCE_DIR "/devices/wse2.toml");
    replace_all(text, "source = \"", "source = \"" + toml_escaped());
    const size_t at = text.find("description = \"") + 15;
    text.insert(at, toml_escaped());
    device = file("dev" + file_name() + ".toml", text);
    shape = file("shape" + file_name() + ".toml", "name = \"" + toml_escaped() + "\"\n" + kShape);
  }

  static void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  }
  // TOML is UTF-8 and takes controls only written out.
  static std::string toml_escaped() { return "x\\nfits     yes\\r\\t\\u001b[2K\\b\\u007f\\u0085\\u009b31m\\u202egnp\\u2066\\u2028\\ufeff"; }
  static std::string file_name() { return kHostile; }  // a file may have any byte but '/' and 0
  std::string file(const std::string& name, const std::string& bytes) const {
    write_file(folder.path + "/" + name, bytes);
    return folder.path + "/" + name;
  }

  // `change` may add what makes the file one that is refused.
  std::string write_model(const std::string& architecture, const std::function<void(GgufWriter&)>& change,
                          const std::string& tokens = "llama") const {
    ModelConfig config = small_config();
    config.name = kHostile;
    config.architecture = architecture;
    GgufWriter w = zero_llama(config);
    add_string(w, kHostile, kHostile);
    add_string(w, "tokenizer.ggml.model", tokens);
    std::vector<std::string> pieces = {"ab", "<s>" + kHostile, "</s>" + kHostile, "<unk>" + kHostile, "\u2581"};
    for (size_t i = pieces.size(); i < 40; i++) pieces.push_back(std::string(1, static_cast<char>('a' + i - 5)) + (i > 30 ? kHostile : ""));
    add_strings(w, "tokenizer.ggml.tokens", pieces);
    std::vector<int32_t> kinds(pieces.size(), 1);
    kinds[1] = kinds[2] = 3;
    kinds[3] = 2;
    add_ints(w, "tokenizer.ggml.token_type", kinds);
    if (change) change(w);
    return file("model" + file_name() + ".gguf", write(w));
  }

  static constexpr const char* kShape =
      "layers = 2\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 40\ncontext = 128\nnorm_epsilon = 1e-5\n"
      "rope_base = 10000.0\n";
  TemporaryFolder folder;
  std::string model, shape, device;
};

CommandResult run_clean(const Words& words, const CommandInput& input = {}) {
  Words all = words;
  all.insert(all.begin(), WAFER_BINARY);
  const CommandResult r = run_program(all, input);
  std::string line;
  for (const std::string& word : words) line += escaped(word) + " ";
  expect_clean("\n" + r.out, line);
  expect_clean("\n" + r.err, line);
  return r;
}

// A report that has the name in it, escaped; and the JSON of it, which has the name as it is.
void expect_reports(const Words& words, const CommandInput& input = {}) {
  const CommandResult text = run_clean(words, input);
  EXPECT_EQ(text.status, 0) << words[0] << " " << text.err;
  EXPECT_NE((text.out + text.err).find("x\\nfits     yes\\r\\t\\x1b[2K"), std::string::npos) << words[0] << text.out << text.err;
  Words json_words = words;
  json_words.push_back("--json");
  const CommandResult json = run_clean(json_words, input);
  EXPECT_EQ(json.status, 0) << json.err;
  EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 1) << json.out;
  EXPECT_NO_THROW({
    const std::string all = nlohmann::json::parse(json.out).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    EXPECT_NE(all.find("x\\nfits     yes\\r"), std::string::npos) << all;
  });
}

TEST_F(CliHostileNames, InModelsAndShapes) {
  expect_reports({"run", "-m", model, "--device", device, "-p", "a", "-n", "2"});
  expect_reports({"inspect", model});
  expect_reports({"inspect", shape});
  for (const std::string& m : {model, shape}) {
    expect_reports({"plan", "-m", m, "--device", device, "--no-time"});
    expect_reports({"plan", "-m", m, "--device", device, "--mesh", "1x1", "--roles"});
    expect_reports({"plan", "-m", m, "--device", device, "--goal", "latency"});
    for (const char* mesh : {"8x8", "1x1"}) {  // 1x1 does not fit: a warning
      expect_reports({"bench", "decode", "-m", m, "--device", device, "--mesh", mesh});
      expect_reports({"bench", "prefill", "-m", m, "--device", device, "--mesh", mesh, "--tokens", "8"});
      expect_reports({"bench", "e2e", "-m", m, "--device", device, "--mesh", mesh, "--input", "4", "--output", "4"});
    }
    expect_reports({"bench", "kv", "-m", m, "--device", device, "--mesh", "8x8"});
    for (const char* part : {"decode", "prefill"})
      expect_reports({"bench", part, "-m", m, "--device", device, "--plan", "published", "--mesh", "8x8"});
    expect_reports({"bench", "e2e", "-m", m, "--device", device, "--plan", "published", "--mesh", "8x8", "--input", "4", "--output", "4"});
  }
}

TEST_F(CliHostileNames, InDevices) {
  expect_reports({"devices", device});
  expect_reports({"bench", "gemm", "--device", device, "--m", "8", "--k", "8", "--n", "8", "--mesh", "2x2"});
  expect_reports({"bench", "gemv", "--device", device, "--k", "8", "--n", "8", "--mesh", "2x2"});
  expect_reports({"bench", "reduce", "--device", device, "--p", "4", "--words", "4"});
  expect_reports({"bench", "paper", "--device", device, "--tables", "6"});
  run_clean({"bench", "paper", "--device", device, "--tables", "6", "--markdown"});
  const CommandInput ours{.environment = {"WAFERLLM_DEVICES=" + folder.path}};
  for (const std::string& name : {std::string(shape), folder.path + "/model" + file_name() + ".gguf"}) std::remove(name.c_str());
  expect_reports({"devices"}, ours);
  EXPECT_EQ(run_clean({"devices", kHostile}, ours).status, 2);
}

TEST_F(CliHostileNames, InTokens) {
  for (const Words& words : {Words{"tokenize", "-m", model}, Words{"tokenize", "-m", model, "--no-special"}}) {
    const CommandResult r = run_clean(words, {.in = nlohmann::json("ab<s>" + to_valid_utf8(kHostile)).dump() + "\n"});
    EXPECT_EQ(r.status, 0) << r.err;
  }
  const CommandResult r = run_clean({"tokenize", "-m", model, "--decode"}, {.in = "[1, 39]\n"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_NE(nlohmann::json::parse(r.out).get<std::string>().find("\u009b31m"), std::string::npos) << "the text itself is whole";
  EXPECT_EQ(run_clean({"tokenize", "-m", model}, {.in = kHostile}).status, 2);
}

TEST_F(CliHostileNames, InErrors) {
  const auto refused = [&](const Words& words) {
    const CommandResult r = run_clean(words);
    EXPECT_EQ(r.status, 2) << escaped(words[0]) << " " << r.out;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    EXPECT_TRUE(r.err.starts_with("waferllm: ")) << r.err;
  };
  std::vector<std::string> broken = {
      folder.path + "/missing" + kHostile,
      file(kHostile, kHostile),
      file("key" + kHostile + ".toml", "\"" + toml_escaped() + "\" = 3\n" + kShape),
      file("weights" + kHostile + ".toml", "weights = \"" + toml_escaped() + "\"\n" + kShape),
      file("architecture" + kHostile + ".toml", "architecture = \"" + toml_escaped() + "\"\n" + kShape),
      file("broken" + kHostile + ".toml", "name = = \x1b \"" + kHostile),
      file("experts" + kHostile + ".toml", "name = \"" + toml_escaped() + "\"\nexperts = 4\nexperts_used = 2\n" + kShape),
  };
  for (const std::string& path : broken) {
    refused({"plan", "-m", path, "--goal", "latency"});
    refused({"bench", "decode", "-m", path});
    refused({"run", "-m", path, "-p", "a"});
    refused({"tokenize", "-m", path});
  }
  const std::string other = write_model(kHostile, {});
  refused({"run", "-m", other, "-p", "a"});
  run_clean({"inspect", other});
  const std::string gpt2 = write_model("llama", {}, kHostile);
  refused({"tokenize", "-m", gpt2});
  run_clean({"inspect", gpt2});
  const std::string tensor = write_model("llama", [](GgufWriter& w) { add_tensor(w, kHostile, TensorType::f32, {4}); });
  refused({"run", "-m", tensor, "-p", "a"});
  run_clean({"inspect", tensor});
  const std::string twice = write_model("llama", [](GgufWriter& w) { add_string(w, kHostile, "again"); });
  refused({"inspect", twice});

  const std::string good = write_model("llama", {});
  const std::string unit = file("unit" + kHostile + ".toml",
                                "description = \"d\"\nmesh_width = { value = 3, unit = \"" + toml_escaped() + "\", source = \"s\" }\n"),
                    key = file("devkey" + kHostile + ".toml", "description = \"d\"\n\"" + toml_escaped() + "\" = 3\n");
  for (const std::string& d : {unit, key, folder.path + "/none" + kHostile + ".toml", kHostile}) {
    refused({"devices", d});
    refused({"plan", "-m", good, "--device", d});
    refused({"run", "-m", good, "-p", "a", "--device", d});
    refused({"bench", "gemm", "--m", "8", "--k", "8", "--n", "8", "--mesh", "2x2", "--device", d});
    refused({"bench", "paper", "--device", d});
  }
  refused({"run", "-m", good, "-f", folder.path + "/" + kHostile + "prompt"});
  refused({"run", "-m", good, "-p", "a", "-n", "1", "--logits", folder.path + "/no/" + kHostile});
  for (const char* option :
       {"--mesh", "--numerics", "--plan", "--chunk", "--clock", "--code-bytes", "--goal", "--prompt-ids", "-n", "--seed"})
    refused({"run", "-m", good, option, kHostile});
  for (const char* option : {"--algorithm", "--numerics", "--mesh"})
    refused({"bench", "gemm", "--m", "8", "--k", "8", "--n", "8", "--mesh", "2x2", option, kHostile});
  for (const char* option : {"--allreduce", "--plan", "--groups"})
    refused({"bench", "gemv", "--k", "8", "--n", "8", "--mesh", "2x2", option, kHostile});
  for (const char* option : {"--algorithm", "--dtype"}) refused({"bench", "reduce", "--p", "8", "--words", "8", option, kHostile});
  refused({"bench", "paper", "--tables", kHostile});
  refused({"bench", "paper", "--tables", "3", "--plots", file("plots" + kHostile, "")});
  // The command line itself.
  refused({kHostile});
  refused({"bench", kHostile});
  refused({"plan", "--" + kHostile});
  refused({"plan", "-m", good, kHostile});
  refused({"inspect", good, kHostile});
}

}  // namespace
}  // namespace wafer
