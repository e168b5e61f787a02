// Reports and helps fit 80 columns. The paper's tables alone do not: a row of them is one comparison, which a folded line would tear apart,
// and `bench paper --help` says so. Warnings and errors are a line each.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "support/checkpoint.h"
#include "support/command.h"
#include "support/oracle.h"

namespace wafer {
namespace {

constexpr size_t kColumns = 80;

size_t letters(const std::string& line) {
  return static_cast<size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void expect_narrow(const std::string& text, const std::string& command) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("waferllm: ")) continue;
    EXPECT_LE(letters(line), kColumns) << command << "\n" << line;
  }
}

CommandResult of(const std::string& command) {
  std::vector<std::string> words = {WAFER_BINARY};
  std::istringstream in(command);
  for (std::string word; in >> word;) words.push_back(word);
  return run_program(words);
}

void expect_narrow(const std::string& command) {
  const CommandResult r = of(command);
  EXPECT_EQ(r.status, 0) << command << "\n" << r.err;
  expect_narrow(r.out, command);
  expect_narrow(r.err, command);
}

TEST(Width, Helps) {
  for (const char* command : {"", "run ", "plan ", "inspect ", "tokenize ", "devices ", "bench ", "bench decode ", "bench prefill ",
                              "bench e2e ", "bench kv ", "bench gemm ", "bench gemv ", "bench reduce ", "bench paper ", "bench calibrate "})
    expect_narrow(std::string(command) + "--help");
}

TEST(Width, Reports) {
  const std::string models = std::string(WAFER_SOURCE_DIR) + "/models/", tiny = "-m " + models + "tinyllama-1.1b.toml ";
  for (const char* model : {"llama3-8b", "qwen3-8b", "mixtral-8x7b", "llama3.1-70b"})
    expect_narrow("plan --no-time --context 256 -m " + models + model + ".toml");
  for (const std::string& command :
       {"plan " + tiny + "--context 300 --roles",
        "plan " + tiny + "--context 300 --mesh 100x70",
        "plan " + tiny + "--context 128 --goal latency",
        "plan " + tiny + "--context 300 --mesh 9x7",
        "plan --context 64 --mesh 50x40 -m " + models + "qwen2-72b.toml",
        "bench decode " + tiny + "--context 300",
        "bench prefill " + tiny + "--tokens 64 --mesh 100x70",
        "bench e2e " + tiny + "--input 64 --output 16 --prefill-mesh 100x90 --decode-mesh 100x91",
        "bench e2e " + tiny + "--plan published --prefill-mesh 100x100 --decode-mesh 64x64 --input 64 --output 16",
        "bench decode " + tiny + "--plan published --mesh 128x128 --context 300",
        "bench kv " + tiny + "--mesh 200x200",
        "bench kv -m " + models + "qwen3-8b.toml --mesh 9x9",
        std::string("bench gemm --m 64 --k 64 --n 64 --mesh 16x16 --algorithm summa"),
        std::string("bench gemv --k 512 --n 512 --mesh 32x32 --plan published"),
        std::string("bench reduce --p 64 --words 100"),
        "inspect " + models + "qwen3-8b.toml",
        "inspect " + models + "stories-tiny.gguf",
        std::string("devices"),
        std::string("devices wse2"),
        std::string("devices wse3"),
        std::string("devices tiny")})
    expect_narrow(command);
}

// Names as long as a file may hold them.
TEST(Width, LongNames) {
  const TemporaryFolder folder;
  std::string shape = read_file(std::string(WAFER_SOURCE_DIR) + "/models/tinyllama-1.1b.toml");
  const std::string name(300, 'n');
  shape.replace(shape.find("tinyllama-1.1b\""), 14, name);
  const std::string path = folder.path + "/long.toml";
  write_file(path, shape);
  for (const std::string& command : {"plan --context 128 -m " + path, "bench decode --context 128 -m " + path, "bench kv -m " + path})
    expect_narrow(command);
  const CommandResult json = of("plan --no-time --context 128 --json -m " + path);
  EXPECT_NE(json.out.find(name), std::string::npos) << "in full";
}

}  // namespace
}  // namespace wafer
