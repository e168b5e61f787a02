// `waferllm bench decode, prefill, e2e, kv` and `plan --goal` as a user runs them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lower/lower.h"
#include "plan/planner.h"
#include "support/command.h"
#include "time/time.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

constexpr const char* kShape =
    "layers = 3\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 80\ncontext = 128\nnorm_epsilon = 1e-5\n"
    "rope_base = 10000\n";

struct CliBench : testing::Test {
  CliBench() : model(folder.path + "/shape.toml") { write_file(model, kShape); }

  CommandResult run(std::vector<std::string> words, const std::vector<std::string>& more) const {
    words.insert(words.begin(), WAFER_BINARY);
    words.insert(words.end(), {"-m", model});
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  Json json(const std::vector<std::string>& words, std::vector<std::string> more) const {
    more.push_back("--json");
    const CommandResult r = run(words, more);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.err, "");
    return Json::parse(r.out);
  }
  void refused(const std::vector<std::string>& words, const std::vector<std::string>& more, const std::string& part) const {
    expect_refusal(run(words, more), part);
  }
  TemporaryFolder folder;
  std::string model;
};

int64_t sum_of(const Json& steps) {
  int64_t sum = 0;
  for (const Json& s : steps) {
    EXPECT_TRUE(s["name"].is_string());
    sum += s["cycles"].get<int64_t>();
  }
  return sum;
}

// The program that a bench on 9 x 7 cores times.
Lowered lowered(const std::string& model, int64_t context, int64_t prompt, int64_t chunk, const Device& d) {
  const ModelConfig c = load_shape(model);
  const mesh::Extent e{9, 7};
  const PlanRequest request{.context = context, .max_prompt = prompt, .chunk = chunk, .prefill_mesh = e, .decode_mesh = e};
  return lower(c, uniform_types(c.weights), make_plan(c, uniform_types(c.weights), d, request).plan, limits_of(d).mesh);
}

TEST_F(CliBench, DecodeIsWhatTimeSays) {
  const Json j = json({"bench", "decode"}, {"--mesh", "9x7", "--context", "60", "--clock", "1e9"});
  for (const char* key : {"bench",   "engine", "model",  "layers",      "device",      "clock_hz", "plan",    "numerics",
                          "context", "groups", "mesh",   "regions",     "position",    "cycles",   "seconds", "tokens_per_second",
                          "steps",   "token",  "memory", "colours_max", "host_seconds"})
    EXPECT_TRUE(j.contains(key)) << key;
  EXPECT_EQ(j["mesh"], "9x7");
  EXPECT_EQ(j["context"], 60);
  EXPECT_EQ(j["position"], 59);
  const Device d = load_device("wse2");
  const Lowered l = lowered(model, 60, 60, 0, d);
  const auto t = time::time_entry(l.program(), d, "decode", {.cached = 59, .rows = 1, .chunk = 60});
  EXPECT_EQ(j["token"]["cycles"], t.cycles);
  EXPECT_EQ(sum_of(j["token"]["steps"]), t.cycles);
  EXPECT_EQ(sum_of(j["steps"]), j["cycles"].get<int64_t>());
  EXPECT_DOUBLE_EQ(j["token"]["tokens_per_second"].get<double>(), 1e9 / static_cast<double>(t.cycles));
  EXPECT_DOUBLE_EQ(j["tokens_per_second"].get<double>(), 1e9 / (3 * j["cycles"].get<double>()));
  EXPECT_DOUBLE_EQ(j["seconds"].get<double>(), j["cycles"].get<double>() / 1e9);
  EXPECT_TRUE(j["memory"]["fits"].get<bool>());
  const CommandResult text = run({"bench", "decode"}, {"--mesh", "9x7", "--context", "60"});
  EXPECT_NE(text.out.find("qkv.reduce"), std::string::npos) << text.out;
}

TEST_F(CliBench, PrefillIsAllItsChunks) {
  const Json j = json({"bench", "prefill"}, {"--mesh", "9x7", "--tokens", "50", "--chunk", "20"});
  const Device d = load_device("wse2");
  const Lowered l = lowered(model, 50, 50, 20, d);
  int64_t cycles = time::time_entry(l.program(), d, "row", {.cached = 40, .rows = 10, .row = 9, .chunk = 20}).cycles;
  for (int64_t cached : {0, 20, 40})
    cycles +=
        time::time_entry(l.program(), d, "prefill", {.cached = cached, .rows = std::min<int64_t>(20, 50 - cached), .chunk = 20}).cycles;
  EXPECT_EQ(j["prompt"]["cycles"], cycles);
  EXPECT_EQ(j["tokens"], 50);
  EXPECT_EQ(j["chunk"], 20);
  EXPECT_EQ(sum_of(j["steps"]), j["cycles"].get<int64_t>());
  EXPECT_NEAR(j["tokens_per_second"].get<double>(), 50 * j["clock_hz"].get<double>() / (3 * j["cycles"].get<double>()), 1e-6);
}

TEST_F(CliBench, AgreesWithPlanToTheCycle) {
  const Json plan = json({"plan"}, {"--mesh", "9x7", "--context", "60"});
  EXPECT_EQ(json({"bench", "decode"}, {"--mesh", "9x7", "--context", "60"})["token"]["cycles"], plan["decode"]["cycles_per_token"]);
  EXPECT_EQ(json({"bench", "prefill"}, {"--mesh", "9x7", "--tokens", "60"})["prompt"]["cycles"], plan["prefill"]["cycles"]);
}

TEST_F(CliBench, RequestPartsAddUp) {
  const Json j = json({"bench", "e2e"}, {"--input", "20", "--output", "70", "--prefill-mesh", "9x7", "--decode-mesh", "5x8"});
  EXPECT_EQ(j["prefill_mesh"], "9x7");
  EXPECT_EQ(j["decode_mesh"], "5x8");
  EXPECT_EQ(j["cycles"].get<int64_t>(), sum_of(j["steps"]));
  int64_t parts = 0;
  for (const char* part : {"prefill", "transition", "decode"}) {
    EXPECT_EQ(sum_of(j[part]["steps"]), j[part]["cycles"].get<int64_t>()) << part;
    parts += j[part]["cycles"].get<int64_t>();
  }
  EXPECT_EQ(parts, j["cycles"].get<int64_t>());
  EXPECT_DOUBLE_EQ(j["tokens_per_second"].get<double>(), 70 / j["seconds"].get<double>());
  // One token alone comes from prefill.
  EXPECT_EQ(json({"bench", "e2e"}, {"--input", "20", "--output", "1", "--mesh", "9x7"})["decode"]["cycles"], 0);
}

TEST_F(CliBench, CacheCapacity) {
  const Json j = json({"bench", "kv"}, {"--mesh", "16x12", "--device", "tiny"});
  EXPECT_GT(j["shift"].get<int64_t>(), 1000);
  EXPECT_EQ(j["shift"].get<int64_t>() / 12, j["concat"].get<int64_t>());
  EXPECT_EQ(j["paper"]["cores"], 192);
  // The paper counts all cores of the chip, the placement those that programs may use.
  const Json whole = json({"bench", "kv"}, {"--mesh", "16x12", "--device", "wse3"});
  EXPECT_EQ(whole["paper"]["cores"], 900000);
  EXPECT_EQ(whole["usable_cores"], 883350);
  const CommandResult text = run({"bench", "kv"}, {"--mesh", "16x12", "--device", "wse3"});
  EXPECT_NE(unfolded(text.out).find("whole-wafer arithmetic: 900,000 cores of the chip (883,350 usable), after"), std::string::npos)
      << text.out;
}

TEST_F(CliBench, GroupsAreEchoedAndChangeTheCycles) {
  const Json even = json({"bench", "decode"}, {"--mesh", "36x36"}), two = json({"bench", "decode"}, {"--mesh", "36x36", "--groups", "2"}),
             six = json({"bench", "decode"}, {"--mesh", "36x36", "--groups", "6"});
  EXPECT_EQ(two["groups"], Json::parse("[2]"));
  EXPECT_EQ(even["cycles"], six["cycles"]);
  EXPECT_GT(two["cycles"].get<int64_t>(), six["cycles"].get<int64_t>());
}

TEST_F(CliBench, AFullMeshIsTimedIfItWasGiven) {
  write_file(model, std::string(kShape) + "name = \"large\"\n");
  const std::vector<std::string> mesh = {"--mesh", "1x1", "--device", "tiny", "--json"};
  const CommandResult r = run({"bench", "decode"}, mesh);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_TRUE(r.err.starts_with("waferllm: warning: does not fit: core (0,0) needs ")) << r.err;
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  EXPECT_FALSE(Json::parse(r.out)["memory"]["fits"].get<bool>());
  EXPECT_GT(Json::parse(r.out)["memory"]["excess_bytes"].get<int64_t>(), 0);
}

TEST_F(CliBench, BadInput) {
  refused({"bench", "decode"}, {"--groups", "0"}, "--groups");
  refused({"bench", "decode"}, {"--groups", "4,"}, "--groups");
  refused({"bench", "decode"}, {"--groups", "2,4"}, "4 groups of 2");
  refused({"bench", "decode"}, {"--mesh", "9x7", "--groups", "10"}, "at most 9");
  refused({"bench", "decode"}, {"--context", "129"}, "1 to 128");
  refused({"bench", "decode"}, {"--prefill-mesh", "9x9"}, "--prefill-mesh");
  refused({"bench", "prefill"}, {"--tokens", "0"}, "--tokens");
  refused({"bench", "e2e"}, {"--input", "5"}, "--output");
  refused({"bench", "e2e"}, {"--input", "5", "--output", "0"}, "--output");
  refused({"bench", "decode"}, {"--engine", "steam"}, "--engine");
  refused({"bench", "e2e"}, {"--input", "5", "--output", "3", "--engine", "steam"}, "--engine");
  refused({"bench", "walk"}, {}, "bench");
  refused({"plan"}, {"--goal", "joy"}, "latency or throughput");
  refused({"plan"}, {"--goal", "latency", "--mesh", "4x4"}, "--goal");
  write_file(model,
             "layers = 3\ndim = 4096\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 80\ncontext = 128\nnorm_epsilon = "
             "1e-5\nrope_base = 1e4\n");
  refused({"bench", "decode"}, {"--device", "tiny"}, "a plan that fits");
  refused({"bench", "kv"}, {"--device", "tiny"}, "a model that fits");
}

TEST_F(CliBench, AMixtureOfExpertsHasNoTimes) {
  write_file(model, std::string(kShape) + "experts = 4\nexperts_used = 2\n");
  const std::string part = "a mixture of 4 experts";
  refused({"bench", "decode"}, {}, part);
  refused({"bench", "decode"}, {"--mesh", "9x7"}, part);
  refused({"bench", "prefill"}, {}, part);
  refused({"bench", "e2e"}, {"--input", "5", "--output", "3"}, part);
  refused({"bench", "decode"}, {"--goal", "latency"}, part);
  refused({"plan"}, {"--goal", "latency"}, part);
  refused({"run"}, {"-p", "a"}, "no weights");
  // The cache is bytes alone: there is less room for it than beside one expert.
  const int64_t mixture = json({"bench", "kv"}, {"--device", "tiny", "--mesh", "8x6"})["shift"].get<int64_t>();
  write_file(model, kShape);
  EXPECT_LT(mixture, json({"bench", "kv"}, {"--device", "tiny", "--mesh", "8x6"})["shift"].get<int64_t>());
}

TEST_F(CliBench, ASearchedPlanIsNoSlower) {
  const std::vector<std::string> request = {"--input", "40", "--output", "60"};
  std::vector<std::string> searched = request;
  searched.insert(searched.end(), {"--goal", "latency"});
  EXPECT_LE(json({"bench", "e2e"}, searched)["cycles"].get<double>(), 1.001 * json({"bench", "e2e"}, request)["cycles"].get<double>());
}

TEST_F(CliBench, PlanSearchesForAGoal) {
  const Json plain = json({"plan"}, {"--context", "64"});
  EXPECT_FALSE(plain.contains("search"));
  for (const std::string goal : {"latency", "throughput"}) {
    const Json j = json({"plan"}, {"--context", "64", "--goal", goal});
    const Json& s = j["search"];
    EXPECT_EQ(s["goal"], goal);
    EXPECT_TRUE(j["fits"].get<bool>());
    EXPECT_LE(s["cycles"].get<int64_t>(), s["cycles_without_search"].get<int64_t>());
    EXPECT_EQ(s["prompt"].get<int>() + s["tokens"].get<int>(), 64);
    int taken = 0;
    for (const Json& t : s["best"]) taken += t["taken"].get<bool>() ? 1 : 0;
    EXPECT_EQ(taken, 2) << s;
    Json again = json({"plan"}, {"--context", "64", "--goal", goal});
    again["search"].erase("host_seconds");
    Json first = j;
    first["search"].erase("host_seconds");
    EXPECT_EQ(again, first);
  }
  EXPECT_NE(run({"plan"}, {"--goal", "latency"}).out.find("\nsearch   for latency"), std::string::npos);
}

}  // namespace
}  // namespace wafer
