// `waferllm plan`, `inspect`, `devices`, `tokenize` and --help as a user runs them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/checkpoint.h"
#include "support/command.h"
#include "support/oracle.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

std::string source(const std::string& path) { return std::string(WAFER_SOURCE_DIR) + "/" + path; }

// Fails where the command does or prints to stderr.
std::string output_of(std::vector<std::string> words, const std::string& in = "") {
  words.insert(words.begin(), WAFER_BINARY);
  const CommandResult r = run_program(words, {.in = in});
  EXPECT_EQ(r.status, 0) << words[1] << " " << r.err;
  EXPECT_EQ(r.err, "") << words[1];
  return r.out;
}
Json json_of(const std::vector<std::string>& words) { return Json::parse(output_of(words)); }

// ---- plan ------------------------------------------------------------------------------------------------------------------------

TEST(CliPlan, LargeShapeFitsTheWafer) {
  const Json j = json_of({"plan", "-m", source("models/llama3-8b.toml"), "--device", "wse2", "--context", "4096", "--no-time", "--json"});
  EXPECT_TRUE(j["fits"].get<bool>());
  EXPECT_TRUE(j["reason"].is_null());
  EXPECT_EQ(j["context"], 4096);
  int layers_of_decode = 0, heads_of_decode = 0;
  for (const Json& region : j["regions"]) {
    EXPECT_LE(region["x"].get<int>() + region["width"].get<int>(), 750);
    EXPECT_LE(region["y"].get<int>() + region["height"].get<int>(), 994);
    if (region["phase"] != "decode") continue;
    EXPECT_EQ(region["first_layer"].get<int>(), layers_of_decode);
    layers_of_decode += region["layers"].get<int>();
    heads_of_decode += region["head"].get<bool>() ? 1 : 0;
  }
  EXPECT_EQ(layers_of_decode, 32);
  EXPECT_EQ(heads_of_decode, 1);
  for (const char* part : {"prefill", "transition", "decode"}) {
    const Json& bytes = j[part]["bytes"];
    int64_t sum = 0;
    for (const char* kind : {"weights", "kv_cache", "activations", "partials", "staging", "code_and_system"})
      sum += bytes[kind].get<int64_t>();
    EXPECT_EQ(bytes["total"].get<int64_t>(), sum) << part;
    EXPECT_LE(sum, j["sram_limit"].get<int64_t>()) << part;
    EXPECT_LE(j[part]["colours"].get<int>(), j["colours_limit"].get<int>()) << part;
  }
  EXPECT_GT(j["decode"]["bytes"]["weights"].get<int64_t>(), 0);
  EXPECT_GT(j["decode"]["colours"].get<int>(), 0);
}

TEST(CliPlan, WithoutTimeThereAreNoCycles) {
  const Json j = json_of({"plan", "-m", source("models/stories-tiny.gguf"), "--no-time", "--json"});
  for (const char* key : {"cycles", "seconds", "tokens_per_second"}) EXPECT_TRUE(j["prefill"][key].is_null()) << key;
  EXPECT_TRUE(j["decode"]["cycles_per_token"].is_null());
  EXPECT_TRUE(j["energy_joules"].is_null());
}

TEST(CliPlan, TooLargeAShapeIsAnAnswer) {
  const Json j = json_of({"plan", "-m", source("models/qwen2-72b.toml"), "--json"});
  EXPECT_FALSE(j["fits"].get<bool>());
  EXPECT_NE(j["reason"].get<std::string>().find("GB too much"), std::string::npos) << j["reason"];
  const Json& whole = j["memory"]["whole"];
  EXPECT_NEAR(whole["weights"].get<double>(), 2.0 * 72.7e9, 2e8) << "72.7 billion weights in fp16, gains in fp32";
  EXPECT_EQ(whole["kv_cache"], 4096 * 80 * 2 * 8 * 128 * 2);
  EXPECT_EQ(whole["device"], 750 * 994 * int64_t{49152 - 8528});
  EXPECT_EQ(whole["excess"].get<int64_t>(), whole["needed"].get<int64_t>() - whole["device"].get<int64_t>());
  EXPECT_EQ(j["would_fit"][0]["change"], "wafers");
  EXPECT_EQ(j["would_fit"][0]["value"], "5") << "146.76 of 30.29 GB";
  EXPECT_TRUE(j["decode"]["cycles_per_token"].is_null());
  EXPECT_NE(output_of({"plan", "-m", source("models/qwen2-72b.toml")}).find("\nfits    no: "), std::string::npos);
}

// All experts are counted; there are no times, and the answer says so.
TEST(CliPlan, AMixtureOfExpertsIsPlacedWithoutTimes) {
  const Json large = json_of({"plan", "-m", source("models/mixtral-8x7b.toml"), "--json"});
  EXPECT_FALSE(large["fits"].get<bool>());
  EXPECT_EQ(large["experts"], 8);
  EXPECT_EQ(large["experts_used"], 2);
  EXPECT_NE(large["reason"].get<std::string>().find("GB too much"), std::string::npos) << large["reason"];
  EXPECT_NEAR(large["memory"]["whole"]["weights"].get<double>(), 2.0 * 46702792704, 1e6) << "gains in fp32";
  EXPECT_EQ(large["would_fit"][0]["value"], "q4_0");

  const TemporaryFolder folder;
  const std::string model = folder.path + "/mixture.toml";
  write_file(model,
             "layers = 3\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nexperts = 4\nexperts_used = 2\nvocab = 80\n"
             "context = 128\nnorm_epsilon = 1e-5\nrope_base = 1e4\n");
  const Json j = json_of({"plan", "-m", model, "--mesh", "1x1", "--json"});
  const int64_t layer = 64 * (2 * 64 + 2 * 32) + 4 * 3 * 64 * 96 + 64 * 4;
  EXPECT_EQ(j["decode"]["bytes"]["weights"], 2 * layer + 4 * (2 * 64 + 2 * 8)) << "on each core a layer, with gains and turns in f32";
  for (const char* part : {"prefill", "transition", "decode"}) EXPECT_TRUE(j[part]["colours"].is_null()) << part;
  for (const char* key : {"chip", "energy", "roles", "colours_max"}) EXPECT_TRUE(j[key].is_null()) << key;
  EXPECT_TRUE(j["decode"]["cycles_per_token"].is_null());
  EXPECT_NE(j["why_no_time"].get<std::string>().find("not modelled yet"), std::string::npos);

  const std::string text = output_of({"plan", "-m", model});
  EXPECT_NE(unfolded(text).find("4 experts (2 a token) of ffn 96"), std::string::npos) << text;
  EXPECT_NE(text.find("\nfits     yes"), std::string::npos) << text;
  EXPECT_NE(unfolded(text).find("no times times of mixtures of experts are not modelled yet"), std::string::npos) << text;
  EXPECT_EQ(text.find("cycles"), std::string::npos) << text;
}

TEST(CliPlan, GivenMeshIsUsed) {
  const Json j = json_of(
      {"plan", "-m", source("models/llama3-8b.toml"), "--prefill-mesh", "660x660", "--decode-mesh", "360x360", "--no-time", "--json"});
  EXPECT_EQ(j["prefill"]["mesh"], "660x660");
  EXPECT_EQ(j["decode"]["mesh"], "360x360");
  EXPECT_EQ(j["fits"].get<bool>(), !j["memory"].contains("excess_bytes"));
}

TEST(CliPlan, DefaultContextIsTheModelsUpTo4096) {
  const TemporaryFolder folder;
  const std::string model = folder.path + "/talking.gguf";
  write_file(model, talking_checkpoint());
  EXPECT_EQ(json_of({"plan", "-m", model, "--json"})["context"], 128);
  EXPECT_EQ(json_of({"plan", "-m", source("models/llama3-8b.toml"), "--no-time", "--json"})["context"], 4096);
  EXPECT_NE(output_of({"plan", "-m", model}).find("KV cache for 128 positions"), std::string::npos);
}

// ---- inspect, devices, help --------------------------------------------------------------------------------------------------------

TEST(CliInspect, Checkpoint) {
  const TemporaryFolder folder;
  const std::string model = folder.path + "/talking.gguf";
  write_file(model, talking_checkpoint());
  const Json j = json_of({"inspect", model, "--json"});
  EXPECT_EQ(j["config"]["layers"], 2);
  EXPECT_EQ(j["config"]["kv_heads"], 2);
  EXPECT_EQ(j["tokenizer"]["tokens"], 40);
  EXPECT_EQ(j["tokenizer"]["bos"], 1);
  EXPECT_EQ(j["tensors"].size(), 21u);
  EXPECT_EQ(j["tensors"][0], Json::parse(R"({"name": "token_embd.weight", "type": "f16", "shape": [40, 64], "bytes": 5120})"));
  EXPECT_EQ(j["totals"]["tensors"], 21);
  int64_t bytes = 0;
  for (const Json& tensor : j["tensors"]) bytes += tensor["bytes"].get<int64_t>();
  EXPECT_EQ(j["totals"]["bytes"], bytes);
  EXPECT_NE(output_of({"inspect", "-m", model}).find("token_embd.weight"), std::string::npos);
}

TEST(CliInspect, Shape) {
  const Json j = json_of({"inspect", source("models/llama3-8b.toml"), "--json"});
  EXPECT_EQ(j["format"], "shape");
  EXPECT_EQ(j["totals"]["parameters"], 8030261248);  // 8.03 billion, as the model's card says
  EXPECT_EQ(j["config"]["experts"], 1);
  const Json mixture = json_of({"inspect", source("models/mixtral-8x7b.toml"), "--json"});
  EXPECT_EQ(mixture["totals"]["parameters"], 46702792704);  // 46.7 billion
  EXPECT_EQ(mixture["config"]["experts"], 8);
  EXPECT_EQ(mixture["config"]["experts_used"], 2);
  EXPECT_TRUE(j["tokenizer"].is_null());
}

TEST(CliDevices, AllAndOne) {
  const std::string all = output_of({"devices"});
  for (const char* part : {"tiny", "wse2", "wse3", "750x994", "49,152"}) EXPECT_NE(all.find(part), std::string::npos) << all;
  EXPECT_EQ(json_of({"devices", "--json"})["devices"].size(), 3u);
  const Json j = json_of({"devices", "wse2", "--json"});
  EXPECT_EQ(j["mesh"], "750x994");
  bool hop = false;
  for (const Json& row : j["rows"]) {
    hop = hop || row["name"] == "hop_cycles";
    EXPECT_FALSE(row["unit"].get<std::string>().empty()) << row;
    EXPECT_FALSE(row["source"].get<std::string>().empty()) << row;
  }
  EXPECT_TRUE(hop);
  EXPECT_NE(output_of({"devices", "wse2"}).find("hop_cycles"), std::string::npos);
}

TEST(CliHelp, EveryCommandHasExamples) {
  EXPECT_NE(output_of({"--help"}).find("tokenize"), std::string::npos);
  for (const std::string command : {"run", "plan", "bench", "inspect", "devices", "tokenize"})
    EXPECT_NE(output_of({command, "--help"}).find(" waferllm " + command + " "), std::string::npos) << command;
}

// ---- tokenize ----------------------------------------------------------------------------------------------------------------------

struct CliTokenize : testing::Test {
  CliTokenize() : model(folder.path + "/talking.gguf") { write_file(model, talking_checkpoint()); }
  std::string tokenize(std::vector<std::string> more, const std::string& in) const {
    more.insert(more.begin(), {"tokenize", "-m", model});
    return output_of(more, in);
  }
  TemporaryFolder folder;
  std::string model;
};

TEST_F(CliTokenize, StringsToIds) {
  EXPECT_EQ(tokenize({}, "\"xyz\"\n\"\"\n \"a\" \r\n"), "[4,28,29,30]\n[]\n[4,5]\n");
  EXPECT_EQ(tokenize({}, "\"xyz\""), "[4,28,29,30]\n") << "the last line may have no end";
  EXPECT_EQ(tokenize({"--bos"}, "\"a\"\n"), "[1,4,5]\n");
  EXPECT_EQ(tokenize({}, ""), "");
}

TEST_F(CliTokenize, SpecialTokensAreRecognisedUnlessTold) {
  EXPECT_EQ(tokenize({}, "\"<s>a\"\n"), "[1,4,5]\n");
  EXPECT_EQ(tokenize({"--no-special"}, "\"<s>a\"\n"), "[4,3,23,3,5]\n");
  EXPECT_EQ(tokenize({"--decode"}, "[1,4,5]\n"), "\"<s>a\"\n");
  EXPECT_EQ(tokenize({"--decode", "--no-special"}, "[1,4,5]\n"), "\"a\"\n");
}

TEST_F(CliTokenize, IdsToStrings) { EXPECT_EQ(tokenize({"--decode"}, "[4,28,29,30]\n[]\n[4, 0]\n"), "\"xyz\"\n\"\"\n\"ab\"\n"); }

TEST(CliTokenizeOracle, EveryTextAsLlamaCppAndBack) {
  const std::string model = shared_path("models/stories260K.f32.gguf"), texts = shared_path("oracle/tok/texts.jsonl.gz");
  if (!exists(model) || !exists(texts)) GTEST_SKIP() << "no " << texts;
  const std::string in = read_maybe_gz(texts);
  const std::string ids = output_of({"tokenize", "-m", model, "--no-special"}, in);
  std::istringstream ours(ids), theirs(read_maybe_gz(shared_path("oracle/tok/tok512.jsonl.gz")));
  int lines = 0;
  for (std::string a, b; std::getline(theirs, b); lines++) {
    ASSERT_TRUE(std::getline(ours, a)) << lines;
    ASSERT_EQ(Json::parse(a), Json::parse(b)) << "line " << lines + 1;
  }
  EXPECT_GT(lines, 900);
  const std::string back = output_of({"tokenize", "-m", model, "--decode", "--no-special"}, ids);
  EXPECT_EQ(std::count(back.begin(), back.end(), '\n'), lines);
}

// ---- bench -----------------------------------------------------------------------------------------------------------------------

TEST(CliKernelBench, ReductionsAsTheyWereMeasured) {
  const auto cycles = [](std::vector<std::string> more) {
    std::vector<std::string> words = {"bench", "reduce", "--p", "512", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Json j = json_of(words);
    int64_t sum = 0;
    for (const Json& step : j["steps"]) sum += step["cycles"].get<int64_t>();
    EXPECT_EQ(sum, j["cycles"].get<int64_t>());
    return j["cycles"].get<int64_t>();
  };
  EXPECT_EQ(cycles({"--words", "64", "--algorithm", "chain"}), 3191);
  EXPECT_EQ(cycles({"--words", "1024", "--algorithm", "two-phase", "--groups", "32"}), 2865);
  EXPECT_EQ(2 * cycles({"--words", "1024", "--algorithm", "ring"}), cycles({"--words", "1024", "--algorithm", "ring", "--broadcast"}));
  EXPECT_GT(cycles({"--words", "64", "--broadcast"}), cycles({"--words", "64"}) + 255) << "the root is in the middle";
}

TEST(CliKernelBench, AKernelsStepsAddUp) {
  const Json j = json_of({"bench", "gemv", "--k", "360", "--n", "720", "--mesh", "36x36", "--groups", "6", "--json"});
  ASSERT_EQ(j["steps"].size(), 2u);
  EXPECT_EQ(j["steps"][0]["name"], "gemv.product");
  EXPECT_EQ(j["steps"][0]["cycles"].get<int64_t>() + j["steps"][1]["cycles"].get<int64_t>(), j["cycles"].get<int64_t>());
  const Json pipeline = json_of({"bench", "gemv", "--k", "360", "--n", "720", "--mesh", "36x36", "--allreduce", "pipeline", "--json"});
  EXPECT_GT(pipeline["cycles"], j["cycles"]);
  EXPECT_GT(j["repeated_cycles"].get<double>(), 0.5 * j["cycles"].get<double>());
  for (const std::vector<std::string>& way : std::vector<std::vector<std::string>>{{"--allreduce", "ring"},
                                                                                   {"--allreduce", "two-phase"},
                                                                                   {"--allreduce", "ktree", "--numerics", "mixed"},
                                                                                   {"--plan", "published"}}) {
    std::vector<std::string> words = {"bench", "gemv", "--k", "35", "--n", "3", "--mesh", "5x13", "--json"};
    words.insert(words.end(), way.begin(), way.end());
    const Json all = json_of(words);
    EXPECT_EQ(all["broadcast"], "yes");
    EXPECT_TRUE(all["faults"].empty());
    words.push_back("--no-broadcast");
    const Json root = json_of(words);
    EXPECT_EQ(root["broadcast"], "no");
    EXPECT_LT(root["cycles"], all["cycles"]);
  }
  const Json gemm = json_of({"bench", "gemm", "--m", "70", "--k", "90", "--n", "110", "--mesh", "7x9", "--json"});
  EXPECT_EQ(gemm["longest_hops"], 2);
  EXPECT_EQ(gemm["steps"][0]["cycles"], gemm["cycles"]);
}

TEST(CliKernelBench, AProductSaysWhichLimitsItBreaks) {
  for (const auto& [algorithm, breaks] :
       {std::pair{"meshgemm", "[]"}, {"cannon", "[\"L\"]"}, {"summa", "[\"L\",\"R\"]"}, {"allgather", "[\"L\",\"R\"]"}}) {
    const std::vector<std::string> words = {"bench", "gemm", "--m",    "70",    "--k",         "90",
                                            "--n",   "110",  "--mesh", "27x19", "--algorithm", algorithm};
    std::vector<std::string> with_json = words;
    with_json.push_back("--json");
    const Json j = json_of(with_json);
    EXPECT_EQ(j["algorithm"], algorithm);
    EXPECT_EQ(j["compliance"]["breaks"], Json::parse(breaks)) << algorithm;
    EXPECT_EQ(j["compliance"]["paths_limit"], 21);
    EXPECT_EQ(j["compliance"]["longest_hops"], algorithm == std::string("meshgemm") ? 2 : 26);
    EXPECT_LE(j["cycles_apart"], j["cycles_together"]);
    EXPECT_NEAR(j["shares"]["compute"].get<double>() + j["shares"]["communicate"].get<double>() + j["shares"]["wait"].get<double>(), 1,
                1e-9);
    std::vector<std::string> text = words;
    text.insert(text.begin(), WAFER_BINARY);
    const CommandResult r = run_program(text);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.out.find("L longest hop"), std::string::npos) << r.out;
    EXPECT_EQ(r.out.find("(broken)") == std::string::npos, algorithm == std::string("meshgemm")) << r.out;
  }
}

}  // namespace
}  // namespace wafer
