// The chip's time as `run` and `plan` report it: what a user reads must add up, and the two must agree to the cycle.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/checkpoint.h"
#include "support/command.h"
#include "support/oracle.h"

namespace wafer {
namespace {

using Json = nlohmann::json;

struct CliTime : testing::Test {
  CliTime() : model(folder.path + "/talking.gguf") { write_file(model, talking_checkpoint()); }

  Json command(const std::string& name, std::vector<std::string> more) const {
    std::vector<std::string> words = {WAFER_BINARY, name, "-m", model, "--device", "tiny", "--mesh", "5x4", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult r = run_program(words);
    EXPECT_EQ(r.status, 0) << r.err;
    return Json::parse(r.out);
  }
  Json run(int tokens, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--prompt-ids", "1 4 28 29", "-n", std::to_string(tokens)});
    return command("run", more);
  }

  TemporaryFolder folder;
  std::string model;
};

void expect_shares(const Json& shares) {
  double sum = 0;
  for (const char* key : {"computing", "communicating", "waiting"}) {
    EXPECT_GE(shares[key].get<double>(), 0) << key;
    sum += shares[key].get<double>();
  }
  EXPECT_NEAR(sum, 1, 1e-12);
}

void expect_steps_add_up(const Json& part) {
  int64_t sum = 0;
  for (const Json& step : part["steps"]) sum += step["cycles"].get<int64_t>();
  // Each line is rounded by itself where some of it was interpolated.
  EXPECT_NEAR(static_cast<double>(sum), part["cycles"].get<double>(), static_cast<double>(part["steps"].size()));
}

TEST_F(CliTime, PartsAddUp) {
  const Json j = run(6);
  EXPECT_EQ(j["decode"]["tokens"], 5) << "the first token comes from prefill";
  EXPECT_EQ(j["decode"]["positions_timed"], 5);
  EXPECT_EQ(j["decode"]["positions_checked"], 0);
  int64_t cycles = 0;
  for (const char* part : {"prefill", "transition", "decode"}) {
    cycles += j[part]["cycles"].get<int64_t>();
    expect_shares(j[part]["shares"]);
    expect_steps_add_up(j[part]);
  }
  EXPECT_EQ(j["chip"]["cycles"].get<int64_t>(), cycles);
  expect_shares(j["chip"]["shares"]);
  const double seconds = static_cast<double>(cycles) / j["chip"]["clock_hz"].get<double>();
  EXPECT_DOUBLE_EQ(j["chip"]["seconds"].get<double>(), seconds);
  EXPECT_DOUBLE_EQ(j["energy_joules"].get<double>(), seconds * j["energy"]["power_watts"].get<double>());
  double joules = 0;
  for (const auto& [key, value] : j["energy"]["activity"].items()) joules += value.get<double>();
  EXPECT_NEAR(j["energy"]["joules_by_activity"].get<double>(), joules, 1e-12 * joules);
  const double token = j["decode"]["cycles_per_token"].get<double>() / j["chip"]["clock_hz"].get<double>();
  EXPECT_NEAR(j["decode"]["tokens_per_second"].get<double>() * token, 1, 1e-12);
  EXPECT_NEAR(j["decode"]["tokens_per_second_with_host_link"].get<double>() * (token + 200e-6), 1, 1e-12);
}

TEST_F(CliTime, ThreadsChangeNoCycle) {
  const Json one = run(90, {"--threads", "1"}), four = run(90, {"--threads", "4"});
  for (const char* part : {"prefill", "transition", "decode", "chip", "energy"}) EXPECT_EQ(one[part], four[part]) << part;
}

TEST_F(CliTime, LongDecodesAreInterpolatedAndTheErrorIsTold) {
  const Json j = run(100);
  EXPECT_EQ(j["decode"]["tokens"], 99);
  EXPECT_EQ(j["decode"]["positions_timed"], 33);
  EXPECT_EQ(j["decode"]["positions_checked"], 8);
  EXPECT_LT(j["decode"]["largest_interpolation_error"].get<double>(), 0.05);
  expect_steps_add_up(j["decode"]);
  const CommandResult text = run_program({WAFER_BINARY, "run", "-m", model, "--device", "tiny", "--prompt-ids", "1 4 28 29", "-n", "100"});
  EXPECT_NE(unfolded(text.err).find("33 positions timed, linear between; at 8 drawn at random the cycles differ by at most"),
            std::string::npos)
      << text.err;
}

TEST_F(CliTime, PlanAndRunAgreeToTheCycle) {
  const Json ran = run(20);
  const int64_t position = ran["decode"]["last"]["position"];
  EXPECT_EQ(position, 4 + 19 - 1);
  const Json plan = command("plan", {"--context", std::to_string(position + 1)});
  EXPECT_EQ(plan["decode"]["last"], ran["decode"]["last"]);
  EXPECT_EQ(plan["decode"]["cycles_per_token"], ran["decode"]["last"]["cycles"]);
  // The same prompt in the same chunks. The transition and the head too.
  const Json prompt = command("plan", {"--context", "4"});
  ASSERT_EQ(prompt["chunk"], ran["prefill"]["chunk"]);
  EXPECT_EQ(prompt["prefill"]["cycles"], ran["prefill"]["cycles"]);
  EXPECT_EQ(prompt["prefill"]["steps"], ran["prefill"]["steps"]);
}

TEST_F(CliTime, PlanAndBenchAgreeToTheCycle) {
  for (const std::string chunk : {"4", "60"}) {  // 15 chunks, of which kPrefillChunks are timed; one chunk
    const auto bench = [&](const std::string& what, const std::string& length) {
      std::vector<std::string> words = {WAFER_BINARY, "bench",  what,  "-m",   model, "--device",
                                        "tiny",       "--mesh", "5x4", length, "60",  "--json"};
      if (what == "prefill") words.insert(words.end(), {"--chunk", chunk});
      const CommandResult r = run_program(words);
      EXPECT_EQ(r.status, 0) << r.err;
      return Json::parse(r.out);
    };
    const Json plan = command("plan", {"--context", "60", "--chunk", chunk});
    const Json token = bench("decode", "--context")["token"];
    EXPECT_EQ(token["cycles"], plan["decode"]["cycles_per_token"]);
    EXPECT_EQ(token["steps"].size(), plan["decode"]["steps"].size());
    EXPECT_EQ(bench("prefill", "--tokens")["prompt"]["cycles"], plan["prefill"]["cycles"]) << chunk;
  }
}

TEST_F(CliTime, PlanShowsThePathTheFloorAndTheLimits) {
  const Json j = command("plan", {"--context", "60"});
  EXPECT_EQ(j["decode"]["last"]["position"], 59);
  int64_t path = 0;
  for (const Json& part : j["decode"]["path"]) {
    int64_t steps = 0;
    for (const Json& step : part["steps"]) steps += step["cycles"].get<int64_t>();
    EXPECT_EQ(part["cycles"].get<int64_t>(), steps) << part["what"];
    path += steps;
  }
  EXPECT_EQ(path, j["decode"]["cycles"].get<int64_t>());
  EXPECT_EQ(j["decode"]["path"].front()["what"], "embedding");
  EXPECT_EQ(j["decode"]["path"].back()["what"], "LM head and choice");
  EXPECT_EQ(j["decode"]["host_link_cycles"], 220000);
  EXPECT_GE(j["decode"]["floor"]["distance"].get<double>(), 1);
  EXPECT_EQ(j["decode"]["limits"].size(), 3u);
  EXPECT_GE(j["decode"]["limits"][0]["cycles"].get<int64_t>(), j["decode"]["limits"][2]["cycles"].get<int64_t>());
  const CommandResult text = run_program({WAFER_BINARY, "plan", "-m", model, "--device", "tiny", "--mesh", "5x4"});
  for (const char* line : {"\nmap of the wafer", "\nprefill, all tokens ", "\ndecode, one token ", "\ncritical path of a token ",
                           "\nfloor of a token ", "\nlimits decode "})
    EXPECT_NE(text.out.find(line), std::string::npos) << line;
}

TEST_F(CliTime, RegionsOfAPathFollowEachOther) {
  const CommandResult r = run_program({WAFER_BINARY, "plan", "-m", std::string(WAFER_SOURCE_DIR) + "/models/stories-tiny.gguf", "--device",
                                       "tiny", "--mesh", "8x6", "--json"});
  ASSERT_EQ(r.status, 0) << r.err;
  const Json j = Json::parse(r.out);
  std::vector<std::string> what;
  int64_t cycles = 0;
  for (const Json& part : j["decode"]["path"]) {
    what.push_back(part["what"]);
    cycles += part["cycles"].get<int64_t>();
  }
  EXPECT_EQ(what, (std::vector<std::string>{"embedding", "layer 0", "layer 1", "layers 2-3", "LM head and choice"}));
  EXPECT_EQ(cycles, j["decode"]["cycles"].get<int64_t>());
}

TEST_F(CliTime, ThePromptMayGoThroughDecode) {
  const Json j = run(3, {"--token-by-token"});
  EXPECT_GT(j["prefill"]["cycles"].get<int64_t>(), 0);
  EXPECT_EQ(j["decode"]["first"]["position"], 4);
  for (const Json& step : j["prefill"]["steps"]) EXPECT_NE(step["name"], "prefill");
}

TEST_F(CliTime, TheClockChangesSecondsAlone) {
  const Json fast = run(5), slow = run(5, {"--clock", "0.55e9"});
  EXPECT_EQ(fast["chip"]["cycles"], slow["chip"]["cycles"]);
  EXPECT_DOUBLE_EQ(2 * fast["chip"]["seconds"].get<double>(), slow["chip"]["seconds"].get<double>());
}

}  // namespace
}  // namespace wafer
