// Bad input of every kind: one line on stderr that begins with "waferllm: ", nothing on stdout, exit status 2; never a crash.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "support/checkpoint.h"
#include "support/command.h"

namespace wafer {
namespace {

struct CliBadInput : testing::Test {
  CliBadInput() : model(folder.path + "/talking.gguf") { write_file(model, talking_checkpoint()); }
  std::string file(const std::string& name, const std::string& bytes) const {
    write_file(folder.path + "/" + name, bytes);
    return folder.path + "/" + name;
  }
  TemporaryFolder folder;
  std::string model;
};

// `part` must be in the message.
void expect_refused(std::vector<std::string> words, const std::string& part, const std::string& in = "") {
  words.insert(words.begin(), WAFER_BINARY);
  const CommandResult r = run_program(words, {.in = in});
  std::string line;
  for (const std::string& word : words) line += word + " ";
  expect_refusal(r, part, line);
}

TEST_F(CliBadInput, ModelFilesThatAreNone) {
  const std::string whole = talking_checkpoint();
  const std::string empty = file("empty.gguf", ""), text = file("text.gguf", "once upon a time, there was a file"),
                    zip = file("model.zip", "PK\x03\x04 and more");
  const std::string unreadable = file("unreadable.gguf", whole);
  chmod(unreadable.c_str(), 0);
  for (const std::string command : {"run", "plan", "inspect"}) {
    const auto refused = [&](const std::string& path, const std::string& part) {
      std::vector<std::string> words = {command, "-m", path};
      if (command == "run") words.insert(words.end(), {"-p", "a"});
      expect_refused(words, part);
    };
    refused(folder.path + "/missing.gguf", "No such file");
    refused(folder.path + "/missing.toml", "No such file");
    refused(folder.path, "a directory");
    refused(empty, "an empty file");
    refused(text, "expected a GGUF checkpoint");
    refused(zip, "zip archive");
    refused("/dev/null", "device");
    if (geteuid() != 0) refused(unreadable, "Permission denied");
    for (const size_t length : {4, 10, 24, 100, 1000, 5000})
      if (length < whole.size()) refused(file("cut.gguf", whole.substr(0, length)), "cut.gguf");
    refused(file("cut.gguf", whole.substr(0, whole.size() - 1)), "cut.gguf");
  }
  expect_refused({"run", "-m", file("shape.toml", "layers = 3"), "-p", "a"}, "no weights");
  expect_refused({"plan", "-m", file("broken.toml", "layers = = 3")}, "broken.toml");
  expect_refused({"tokenize", "-m", text}, "text.gguf");
}

TEST_F(CliBadInput, DevicesAndMeshes) {
  for (const std::string command : {"run", "plan"}) {
    const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
      std::vector<std::string> words = {command, "-m", model};
      if (command == "run") words.insert(words.end(), {"-p", "a", "-n", "1"});
      words.insert(words.end(), more.begin(), more.end());
      expect_refused(words, part);
    };
    refused({"--device", "wse9"}, "wse2");
    refused({"--device", folder.path}, "a directory, expected a device file");
    refused({"--device", "./missing.toml"}, "no such file");
    refused({"--device", "tiny", "--mesh", "17x12"}, "16x12");
    refused({"--device", "tiny", "--mesh", "16x13"}, "16x12");
    refused({"--mesh", "751x1"}, "750x994");
    refused({"--prefill-mesh", "1x995"}, "--prefill-mesh");
    refused({"--decode-mesh", "1x995"}, "--decode-mesh");
    for (const char* mesh : {"8", "8x", "x8", "0x8", "8x0", "-8x8", "8x8x8", "8*8", "", "99999999999x1", "8 x 8", "axb"})
      refused({"--mesh", mesh}, "WxH");
    refused({"--mesh", "8x8", "--prefill-mesh", "8x8"}, "beside it");
    refused({"--mesh", "8x8", "--decode-mesh", "8x8"}, "beside it");
    refused({"--plan", "fused"}, "waferllm, or (bench decode, prefill and e2e alone) published");
    refused({"--numerics", "fp8"}, "mixed, fp16 or fp32");
    refused({"--chunk", "0"}, "--chunk");
    refused({"--clock", "fast"}, "--clock");
    refused({"--clock", "nan"}, "--clock");
    refused({"--clock", "-1"}, "--clock");
    refused({"--code-bytes", "-1"}, "--code-bytes");
    refused({"--code-bytes", "49152"}, "--code-bytes");
  }
}

TEST_F(CliBadInput, PromptsAndLengths) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    std::vector<std::string> words = {"run", "-m", model};
    words.insert(words.end(), more.begin(), more.end());
    expect_refused(words, part);
  };
  refused({}, "expected one of -p, -f and --prompt-ids");
  refused({"-p", "a", "--prompt-ids", "1"}, "more than one");
  refused({"-p", "a", "-f", model}, "more than one");
  refused({"-f", folder.path + "/missing"}, "No such file");
  refused({"-f", folder.path}, "directory");
  std::string ids = "1";
  for (int i = 1; i < 129; i++) ids += " 5";
  refused({"--prompt-ids", ids, "-n", "0"}, "129 tokens, expected at most 128");
  refused({"-p", std::string(4000, 'a'), "-n", "1"}, "expected at most 128");
  refused({"-p", "a"}, "131 in all, expected at most 128");
  refused({"-p", "a", "-n", "2147483648"}, "give -n 125 or less");
  for (const char* bad : {"", " ", "[]", "x", "1 40", "-1", "1.5", "1;2", "99999999999", "1 2 0x3"})
    refused({"--prompt-ids", bad, "-n", "1"}, "--prompt-ids");
}

TEST_F(CliBadInput, Numbers) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    std::vector<std::string> words = {"run", "-m", model, "-p", "a"};
    words.insert(words.end(), more.begin(), more.end());
    expect_refused(words, part);
  };
  for (const char* n : {"-1", "x", "1.5", "", "1e3", "99999999999999999999"}) refused({"-n", n}, "-n: found");
  for (const char* t : {"0", "-1", "x", "100000"}) refused({"-n", "1", "--threads", t}, "--threads");
  for (const char* t : {"nan", "-1", "inf", "x", "", "-nan"}) refused({"-n", "1", "--temperature", t}, "--temperature: found ");
  for (const char* p : {"0", "1.1", "nan", "-0.5", "x"}) refused({"-n", "1", "--top-p", p}, "top-p");
  for (const char* k : {"-1", "x", "0.5"}) refused({"-n", "1", "--top-k", k}, "top-k");
  for (const char* s : {"-1", "x", "18446744073709551616"}) refused({"-n", "1", "--seed", s}, "--seed");
}

TEST_F(CliBadInput, LogitsFiles) {
  expect_refused({"run", "-m", model, "-p", "a", "-n", "1", "--logits", folder.path}, "directory");
  expect_refused({"run", "-m", model, "-p", "a", "-n", "1", "--logits", folder.path + "/no/such"}, "No such file");
  expect_refused({"run", "-m", model, "-p", "a", "-n", "1", "--logits", model}, "the model's own file");
  expect_refused({"run", "-m", model, "-p", "a", "-n", "1", "--all-logits"}, "--logits");
  const CommandResult full = run_program({WAFER_BINARY, "run", "-m", model, "-p", "a", "-n", "1", "--logits", "/dev/full"});
  EXPECT_EQ(full.status, 2);
  EXPECT_NE(full.err.find("No space left"), std::string::npos) << full.err;
  EXPECT_EQ(read_file(model), talking_checkpoint());
}

TEST_F(CliBadInput, CommandLines) {
  expect_refused({}, "command line: found no command, expected one of the commands run, plan, bench, inspect, devices, tokenize;");
  expect_refused({"walk"}, "found \"walk\", expected one of the commands");
  expect_refused({"paln"}, "use plan");
  expect_refused({"--version"}, "the unknown option \"--version\"");
  expect_refused({"bench"}, "bench: found no command, expected one of the commands decode, prefill");
  expect_refused({"bench", "decod"}, "found \"decod\", expected one of the commands decode, prefill, e2e");
  expect_refused({"run"}, "run: found no -m, --model, expected FILE: the checkpoint");
  expect_refused({"inspect"}, "inspect: found no MODEL");
  expect_refused({"bench", "gemm", "--m", "8"}, "bench gemm: found no --k");
  expect_refused({"run", "-m", model, "-p"}, "-p, --prompt: found no value after it");
  for (const char* mesh : {"--mesh", "--prefill-mesh", "--decode-mesh"})
    expect_refused({"plan", "-m", model, "--goal", "latency", mesh, "4x4"}, "--goal: found a mesh beside it");
  expect_refused({"plan", "-m", model, "--mesh", "--chunk", "1"}, "--mesh: found no value after it");
  expect_refused({"plan", "--device", "-m", model}, "--device: found no value after it");
  expect_refused({"plan", "-m", "--context=4", model}, "-m, --model: found no value after it");
  expect_refused({"run", "-m", model, "-p", "a", "--speed", "9"}, "the unknown option \"--speed\"");
  for (const auto& [wrong, right] : {std::pair{"--temprature", "use --temperature"},
                                     {"--temp", "use --temperature"},
                                     {"--sed", "use --seed"},
                                     {"--mesh8x8", "use --mesh"},
                                     {"-model", "use --model"},
                                     {"--tokns=3", "use --tokens"}})
    expect_refused({"run", "-m", model, "-p", "a", wrong, "1"}, right);
  expect_refused({"plan", "-m", model, "--xyzzy"}, "option of `waferllm plan`; see `waferllm plan --help`");  // nothing is near
  expect_refused({"run", "-m", model, "-p", "a", "-p", "b"}, "-p, --prompt: found it twice, \"a\" and \"b\"");
  expect_refused({"plan", "-m", model, "--mesh=8x8", "--mesh", "4x4"}, "--mesh: found it twice, \"8x8\" and \"4x4\"");
  expect_refused({"inspect", model, "-m", model}, "MODEL: found it twice");
  expect_refused({"run", "-m", model, "-p", "a", "stray\nword"}, "the word \"stray\\nword\"");
  expect_refused({"inspect", "one", "two"}, "the word \"two\" beside \"one\"");
  expect_refused({"plan", "-m", model, "plan"}, "the word \"plan\"");
  expect_refused({"plan", "-m", model, "--json=maybe"}, "--json: found the value \"maybe\"");
  expect_refused({"plan", "-m", model, "--mesh", "3\"4\\"}, R"(--mesh: found "3\"4\\")");  // quotes as they are read
  expect_refused({"plan", "-m", model, "--context", "0"}, "--context");
  expect_refused({"plan", "-m", model, "--context", "129"}, "1 to 128, the context of ");
  expect_refused({"devices", "wse9"}, "tiny, wse2");
}

TEST_F(CliBadInput, LinesForTheTokenizer) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& in, const std::string& part) {
    std::vector<std::string> words = {"tokenize", "-m", model};
    words.insert(words.end(), more.begin(), more.end());
    expect_refused(words, part, in);
  };
  for (const char* line : {"", "abc", "\"a", "[1]", "1", "null", "\"\xff\"", "\"\\ud800\"", "\"a\" \"b\"", "'a'", "\"a\tb\""})
    refused({}, std::string(line) + "\n", "stdin, line 1: found ");
  for (const char* line : {"", "\"a\"", "[1", "[1.5]", "[-1]", "[40]", "[18446744073709551615]", "[null]", "[[1]]", "{}", "[1]]"})
    refused({"--decode"}, std::string(line) + "\n", "stdin, line 1: found ");
  refused({"--decode", "--bos"}, "[1]\n", "--bos");
}

TEST_F(CliBadInput, LinesBeforeABadOneAreAnswered) {
  const CommandResult r = run_program({WAFER_BINARY, "tokenize", "-m", model}, {.in = "\"ab\"\n\"c\"\noops\n\"d\"\n"});
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.out, "[4,0]\n[4,7]\n");
  EXPECT_NE(r.err.find("line 3"), std::string::npos) << r.err;
}

TEST_F(CliBadInput, UnknownInstructionSet) {
  const CommandResult r = run_program({WAFER_BINARY, "run", "-m", model, "-p", "a", "-n", "1"}, {.environment = {"WAFER_ISA=sse9"}});
  EXPECT_EQ(r.status, 2) << r.err;
  EXPECT_TRUE(r.err.starts_with("waferllm: WAFER_ISA")) << r.err;
}

TEST_F(CliBadInput, BenchesOfOneKernel) {
  expect_refused({"bench", "reduce", "--p", "4"}, "--words");
  const auto reduce = [](const std::string& p, const std::string& words, const std::vector<std::string>& more, const std::string& part) {
    std::vector<std::string> line = {"bench", "reduce", "--p", p, "--words", words};
    line.insert(line.end(), more.begin(), more.end());
    expect_refused(line, part);
  };
  reduce("0", "9", {}, "--p: found \"0\"");
  reduce("2000", "9", {}, "994");
  reduce("20", "many", {}, "--words");
  reduce("20", "9", {"--dtype", "i8"}, "f32 or f16");
  reduce("20", "9", {"--algorithm", "star"}, "two-phase");
  reduce("20", "9", {"--algorithm", "chain", "--groups", "3"}, "none with chain");
  reduce("20", "9", {"--algorithm", "ring", "--groups", "3"}, "none with ring");
  reduce("20", "9", {"--algorithm", "two-phase", "--groups", "3,4"}, "one number");
  reduce("64", "9", {"--groups", "100000"}, "100000 groups of 64 cores, expected 1 to 64");
  reduce("64", "9", {"--groups", "8,9"}, "9 groups of the 8 before");
  reduce("64", "9", {"--groups", "0"}, "--groups");
  reduce("64", "9", {"--algorithm", "two-phase"}, "found none, expected one number with two-phase");
  reduce("64", "9", {"--algorithm", "two-phase", "--groups", "65"}, "1 to 64");
  reduce("20", "9", {"--groups", "3,,"}, "--groups");
  reduce("20", "9", {"--device", "wse9"}, "wse2");
  expect_refused({"bench", "gemv", "--k", "20", "--n", "9", "--mesh", "3"}, "--mesh");
  expect_refused({"bench", "gemv", "--k", "20", "--n", "9", "--mesh", "3x1000"}, "750x994");
  expect_refused({"bench", "gemv", "--k", "20", "--n", "9", "--mesh", "30x30", "--allreduce", "star"}, "pipeline, ring");
  const auto gemv = [](const std::vector<std::string>& more, const std::string& part) {
    std::vector<std::string> line = {"bench", "gemv", "--k", "20", "--n", "9", "--mesh", "30x30"};
    line.insert(line.end(), more.begin(), more.end());
    expect_refused(line, part);
  };
  gemv({"--allreduce", "ring", "--groups", "3"}, "none with ring");
  gemv({"--allreduce", "pipeline", "--groups", "3"}, "none with pipeline");
  gemv({"--allreduce", "two-phase", "--groups", "3,4"}, "one number");
  gemv({"--groups", "31"}, "31 groups of 30 cores, expected 1 to 30");
  gemv({"--groups", "5,5"}, "5 groups of the 5 before");
  gemv({"--groups", "0"}, "--groups");
  gemv({"--allreduce", "two-phase", "--groups", "31"}, "1 to 30");
  gemv({"--plan", "fast"}, "waferllm or published");
  gemv({"--plan", "published", "--allreduce", "ring"}, "--allreduce: found");
  gemv({"--plan", "published", "--numerics", "fp32"}, "--numerics: found");
  gemv({"--plan", "published", "--groups", "31"}, "1 to 30");
  gemv({"--plan", "published", "--groups", "3,4"}, "one number");
  expect_refused({"bench", "gemm", "--m", "20", "--k", "20", "--n", "9", "--mesh", "30x30", "--numerics", "int8"}, "--numerics");
  expect_refused({"bench", "gemm", "--m", "20", "--k", "20", "--n", "9", "--mesh", "30x30", "--algorithm", "best"}, "meshgemm");
  expect_refused({"bench", "gemm", "--m", "20", "--k", "16777216", "--n", "16777216", "--mesh", "30x30"}, "--m, --k, --n");
}

}  // namespace
}  // namespace wafer
