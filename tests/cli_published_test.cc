// `waferllm bench decode, prefill, e2e --plan published` as a user runs them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "paper/published.h"
#include "paper/published_time.h"
#include "support/command.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

constexpr const char* kShape =
    "layers = 3\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 80\ncontext = 128\nnorm_epsilon = 1e-5\n"
    "rope_base = 10000\n";

struct CliPublished : testing::Test {
  CliPublished() : path(folder.path + "/shape.toml") {
    write_file(path, kShape);
    model = load_shape(path);
  }

  CommandResult run(std::vector<std::string> words, const std::vector<std::string>& more, const CommandInput& input = {}) const {
    words.insert(words.begin(), WAFER_BINARY);
    words.insert(words.end(), {"-m", path, "--plan", "published"});
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, input);
  }
  Json bench(const std::string& what, std::vector<std::string> more) const {
    more.push_back("--json");
    const CommandResult r = run({"bench", what}, more);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.err, "");
    return Json::parse(r.out);
  }
  void refused(const std::vector<std::string>& words, const std::vector<std::string>& more, const std::string& part) const {
    expect_refusal(run(words, more), part);
  }
  TemporaryFolder folder;
  std::string path;
  ModelConfig model;
};

// Of steps and actions, and the keys of all layers' reports.
void expect_layer(const Json& j, const time::TimeReport& t) {
  for (const char* key : {"bench",    "engine",  "model",  "layers",   "device",      "clock_hz",    "plan",
                          "numerics", "kernels", "mesh",   "per_core", "cycles",      "seconds",     "tokens_per_second",
                          "steps",    "actions", "shares", "memory",   "memory_note", "host_seconds"})
    EXPECT_TRUE(j.contains(key)) << key;
  EXPECT_EQ(j["engine"], "time");
  EXPECT_EQ(j["plan"], "published");
  EXPECT_EQ(j["numerics"], "fp16");
  EXPECT_TRUE(j["memory"].is_null());
  EXPECT_NE(j["memory_note"].get<std::string>().find("checks no memory"), std::string::npos);
  EXPECT_EQ(j["cycles"], t.cycles);
  EXPECT_DOUBLE_EQ(j["seconds"].get<double>(), static_cast<double>(t.cycles) / j["clock_hz"].get<double>());
  ASSERT_EQ(j["steps"].size(), t.steps.size());
  int64_t sum = 0;
  time::Actions actions;
  for (size_t i = 0; i < t.steps.size(); i++) {
    EXPECT_EQ(j["steps"][i]["name"], t.steps[i].name);
    EXPECT_EQ(j["steps"][i]["cycles"], t.steps[i].cycles);
    EXPECT_EQ(j["steps"][i]["count"], t.steps[i].count);
    sum += t.steps[i].cycles;
    actions = actions + t.steps[i].actions;
  }
  EXPECT_EQ(sum, t.cycles);
  EXPECT_EQ(j["actions"], Json({{"stream_ops", actions.stream_ops},
                                {"descriptor_loads", actions.descriptor_loads},
                                {"descriptor_edits", actions.descriptor_edits},
                                {"tasks", actions.tasks},
                                {"route_changes", actions.route_changes},
                                {"scalar_calls", actions.scalar_calls}}));
  const Json& shares = j["shares"];
  EXPECT_NEAR(shares["compute"].get<double>() + shares["communicate"].get<double>() + shares["wait"].get<double>(), 1, 1e-9);
}

TEST_F(CliPublished, DecodeIsTheLayerTimesTheLayers) {
  const Device d = load_device("wse2");
  const Json j = bench("decode", {"--mesh", "9x9", "--context", "60", "--clock", "1e9"});
  const time::TimeReport t = published_decode_layer(model, 9, 60, d);
  expect_layer(j, t);
  EXPECT_EQ(j["bench"], "decode");
  EXPECT_EQ(j["mesh"], "9x9");
  EXPECT_EQ(j["context"], 60);
  EXPECT_EQ(j["position"], 59);
  EXPECT_EQ(j["groups"], Json::parse("[3]"));
  EXPECT_EQ(j["per_core"], Json({{"d", 8}, {"s", 7}, {"f", 11}}));
  EXPECT_EQ(j["kernels"], "WSE-2");
  EXPECT_DOUBLE_EQ(j["tokens_per_second"].get<double>(), 1e9 / (3.0 * static_cast<double>(t.cycles)));
  EXPECT_EQ(bench("decode", {"--decode-mesh", "9x9", "--context", "60", "--numerics", "fp16"})["cycles"], t.cycles);
  EXPECT_EQ(bench("decode", {"--mesh", "9x9"})["context"], 128) << "the model's context";
}

TEST_F(CliPublished, DecodeTakesGroupsAndAnyContext) {
  const Device d = load_device("wse2");
  const Json j = bench("decode", {"--mesh", "36x36", "--context", "5000", "--groups", "4"});
  expect_layer(j, published_decode_layer(model, 36, 5000, d, 4));
  EXPECT_EQ(j["groups"], Json::parse("[4]"));
  // Five groups of seven cores would be two cores each, and then there are four.
  EXPECT_EQ(bench("decode", {"--mesh", "7x7", "--groups", "5"})["groups"], Json::parse("[4]"));
}

TEST_F(CliPublished, PrefillIsTheLayerTimesTheLayers) {
  const Device d = load_device("wse2");
  const Json j = bench("prefill", {"--mesh", "9x9", "--tokens", "300"});
  const time::TimeReport t = published_prefill_layer(model, 9, 300, d);
  expect_layer(j, t);
  EXPECT_EQ(j["bench"], "prefill");
  EXPECT_EQ(j["tokens"], 300);
  EXPECT_EQ(j["per_core"], Json({{"d", 8}, {"s", 34}, {"f", 11}}));
  EXPECT_FALSE(j.contains("groups"));
  EXPECT_NEAR(j["tokens_per_second"].get<double>(), 300 * d.clock_hz / (3.0 * static_cast<double>(t.cycles)), 1e-6);
  EXPECT_EQ(bench("prefill", {"--prefill-mesh", "9x9", "--tokens", "300"})["cycles"], t.cycles);
}

TEST_F(CliPublished, ARequestIsItsParts) {
  const Device d = load_device("wse2");
  const Json j = bench("e2e", {"--prefill-mesh", "9x9", "--decode-mesh", "5x5", "--input", "20", "--output", "170"});
  PublishedLayers layers{.device = d};
  const PublishedRequest q{.prefill_side = 9, .decode_side = 5, .input = 20, .output = 170};
  const PublishedRequestTime t = published_request(model, q, layers);
  EXPECT_EQ(j["prefill"]["cycles"], t.prefill);
  EXPECT_EQ(j["transition"]["cycles"], t.transition);
  EXPECT_EQ(j["decode"]["cycles"], t.decode);
  EXPECT_EQ(j["cycles"], t.prefill + t.transition + t.decode);
  EXPECT_EQ(j["steps"].size(), 3u);
  EXPECT_EQ(j["prefill_mesh"], "9x9");
  EXPECT_EQ(j["decode_mesh"], "5x5");
  EXPECT_EQ(j["input"], 20);
  EXPECT_EQ(j["output"], 170);
  EXPECT_TRUE(j["memory"].is_null());
  EXPECT_DOUBLE_EQ(j["tokens_per_second"].get<double>(), tokens_per_second(q, t, d));
  double share = 0;
  for (const char* part : {"prefill", "transition", "decode"}) share += j[part]["share"].get<double>();
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_NEAR(j["decode"]["tokens_per_second"].get<double>(), 170 * d.clock_hz / static_cast<double>(t.decode), 1e-6);
  const CommandResult text = run({"bench", "e2e"}, {"--mesh", "9x9", "--input", "20", "--output", "5"});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_NE(text.out.find("transition"), std::string::npos) << text.out;
}

TEST_F(CliPublished, OnWse3DecodeHasItsOwnKernels) {
  const Json j = bench("decode", {"--mesh", "9x9", "--context", "60", "--device", "wse3"});
  expect_layer(j, published_decode_layer(model, 9, 60, load_device("wse3")));
  EXPECT_EQ(j["kernels"], "WSE-3");
  EXPECT_EQ(j["actions"]["route_changes"], 6 * 5 * 9 * 9);
  EXPECT_EQ(bench("prefill", {"--mesh", "9x9", "--device", "wse3"})["kernels"], "WSE-2") << "there are no others";
  EXPECT_NE(unfolded(run({"bench", "decode"}, {"--mesh", "9x9", "--device", "wse3"}).out).find("those for WSE-3"), std::string::npos);
}

TEST_F(CliPublished, TheTextHasStepsActionsAndTheWordOnMemory) {
  const CommandResult decode = run({"bench", "decode"}, {"--mesh", "9x9"});
  EXPECT_EQ(decode.status, 0) << decode.err;
  for (const char* part : {"published, numerics fp16", "checks no memory", "3 groups of 3 cores", "position 127", "tokens/s", "qkv.sum",
                           "descriptor_loads", "8 of dim, 15 of positions, 11 of ffn"})
    EXPECT_NE(unfolded(decode.out).find(part), std::string::npos) << part << " in\n" << decode.out;
  EXPECT_NE(run({"bench", "prefill"}, {"--mesh", "9x9"}).out.find("128 tokens"), std::string::npos);
}

TEST_F(CliPublished, BadInput) {
  const std::vector<std::string> decode = {"bench", "decode"}, prefill = {"bench", "prefill"},
                                 e2e = {"bench", "e2e", "--input", "5", "--output", "3"};
  for (const auto& words : {decode, prefill, e2e}) {
    refused(words, {}, "give --mesh");
    refused(words, {"--mesh", "9x7"}, "a square");
    refused(words, {"--mesh", "9"}, "WxH");
    refused(words, {"--mesh", "751x751"}, "at most 750x750");
    refused(words, {"--mesh", "17x17", "--device", "tiny"}, "at most 12x12");
    refused(words, {"--mesh", "9x9", "--goal", "latency"}, "--goal");
    refused(words, {"--mesh", "9x9", "--chunk", "5"}, "--chunk");
    refused(words, {"--mesh", "9x9", "--code-bytes", "5"}, "--code-bytes");
    refused(words, {"--mesh", "9x9", "--numerics", "mixed"}, "fp16");
    refused(words, {"--mesh", "9x9", "--numerics", "int8"}, "mixed, fp16 or fp32");
    refused(words, {"--mesh", "9x9", "--engine", "steam"}, "--engine");
  }
  refused(decode, {"--mesh", "9x9", "--prefill-mesh", "9x9"}, "--prefill-mesh");
  refused(decode, {"--mesh", "9x9", "--decode-mesh", "9x9"}, "beside it");
  refused(decode, {"--mesh", "9x9", "--groups", "10"}, "1 to 9");
  refused(decode, {"--mesh", "9x9", "--groups", "2,2"}, "one number");
  refused(decode, {"--mesh", "9x9", "--context", "0"}, "1 to 1048576");
  refused(decode, {"--mesh", "9x9", "--context", "1048577"}, "1 to 1048576");
  refused(decode, {"--mesh", "1x1", "--context", "1000000"}, "a larger mesh");
  refused(prefill, {"--mesh", "9x9", "--decode-mesh", "9x9"}, "--decode-mesh");
  refused(prefill, {"--mesh", "9x9", "--groups", "3"}, "--groups");
  refused(prefill, {"--mesh", "9x9", "--tokens", "0"}, "--tokens");
  refused(prefill, {"--mesh", "9x9", "--tokens", "100000"}, "a larger mesh");
  refused(e2e, {"--mesh", "9x9", "--groups", "3"}, "--groups");
  refused(e2e, {"--prefill-mesh", "9x9"}, "--decode-mesh");
  refused({"bench", "e2e", "--input", "1048576", "--output", "1"}, {"--mesh", "9x9"}, "--input");
  refused({"bench", "e2e", "--input", "1048570", "--output", "7"}, {"--mesh", "9x9"}, "--output");
}

TEST_F(CliPublished, OtherCommandsRefuseIt) {
  refused({"plan"}, {}, "checks no memory");
  refused({"plan"}, {}, "waferllm bench decode");
  refused({"run"}, {"-p", "Once"}, "makes no text");
  refused({"bench", "kv"}, {"--mesh", "9x9"}, "published");
}

}  // namespace
}  // namespace wafer
