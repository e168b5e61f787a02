// The name of a device's file changes no figure: what a device is stands in its fields. Copies under other names give the same reports, and
// no name of a device stands in the sources but as the default of the command line.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <sstream>

#include "device/device.h"
#include "support/command.h"

namespace wafer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const fs::path kSource = WAFER_SOURCE_DIR;

std::string random_name() {
  std::random_device seed;
  std::mt19937 rng(seed());
  std::string name = "x";
  while (name.size() < 12) name += static_cast<char>('a' + rng() % 26);
  return name;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

// Without what two runs of one command differ in.
void forget_host(Json& json) {
  if (json.is_object())
    for (const char* key : {"host_seconds", "timing_seconds", "file"}) json.erase(key);
  for (Json& value : json)
    if (value.is_structured()) forget_host(value);
}

std::vector<std::string> words_of(const std::string& command) {
  std::vector<std::string> words = {WAFER_BINARY};
  std::istringstream in(command);
  for (std::string word; in >> word;) words.push_back(replaced(word, "SHAPE", (kSource / "models/tinyllama-1.1b.toml").string()));
  return words;
}

// What `command` prints about `device`, which the folder has under `called`; with the one name in place of the other.
std::string report_of(const std::string& command, const std::string& device, const std::string& called, const std::string& folder) {
  std::vector<std::string> words = words_of(replaced(command, "DEVICE", called));
  words.push_back("--json");
  const CommandResult r = run_program(words, {.in = "", .environment = {"WAFERLLM_DEVICES=" + folder}});
  // A command that a device does not allow (calibrate without the paper's rows, a mesh too large) says so under either name.
  if (r.status != 0) return fmt::format("{}: {}", r.status, replaced(r.err, called, device));
  Json json = Json::parse(replaced(r.out, called, device));
  forget_host(json);
  return json.dump(1);
}

const std::array kCommands = {
    "devices DEVICE",
    "plan -m SHAPE --context 64 --device DEVICE",
    "plan -m SHAPE --context 64 --device DEVICE --no-time --goal latency",
    "bench decode -m SHAPE --mesh 60x60 --device DEVICE",
    "bench decode -m SHAPE --plan published --mesh 60x60 --device DEVICE",
    "bench prefill -m SHAPE --plan published --mesh 60x60 --tokens 60 --device DEVICE",
    "bench e2e -m SHAPE --plan published --mesh 60x60 --input 60 --output 4 --device DEVICE",
    "bench kv -m SHAPE --mesh 150x150 --device DEVICE",
    "bench kv -m SHAPE --mesh 8x8 --device DEVICE",
    "bench gemm --m 64 --k 64 --n 64 --mesh 12x12 --device DEVICE",
    "bench gemv --k 64 --n 64 --mesh 12x12 --plan published --device DEVICE",
    "bench reduce --p 16 --words 8 --device DEVICE",
    "bench paper --tables 5,6,8 --device DEVICE",
    "bench calibrate --device DEVICE",
};

TEST(DeviceName, ACopyUnderAnotherNameGivesTheSameNumbers) {
  for (const char* device : {"tiny", "wse2", "wse3"}) {
    const TemporaryFolder folder;
    const std::string called = random_name();
    fs::copy_file(kSource / "devices" / (std::string(device) + ".toml"), fs::path(folder.path) / (called + ".toml"));
    for (const std::string command : kCommands) {
      if (command.find("calibrate") != std::string::npos && load_device(device).measured_rows == "WSE-2") continue;  // takes too long
      const std::string own = report_of(command, device, device, (kSource / "devices").string());
      EXPECT_EQ(own, report_of(command, device, called, folder.path)) << command << " on " << device;
      EXPECT_FALSE(own.starts_with("1:")) << own;
    }
  }
}

// The worst names that a copy can have: those of the other devices.
TEST(DeviceName, ExchangedNamesExchangeTheNumbers) {
  const TemporaryFolder folder;
  fs::copy_file(kSource / "devices/wse3.toml", fs::path(folder.path) / "wse2.toml");
  fs::copy_file(kSource / "devices/wse2.toml", fs::path(folder.path) / "wse3.toml");
  const std::string own = (kSource / "devices").string();
  for (const auto& [device, called] : {std::pair("wse3", "wse2"), std::pair("wse2", "wse3")})
    for (const std::string command :
         {"bench decode -m SHAPE --plan published --mesh 60x60 --device DEVICE", "bench kv -m SHAPE --mesh 150x150 --device DEVICE"})
      EXPECT_EQ(report_of(command, device, device, own), report_of(command, device, called, folder.path)) << command;
  for (const char* device : {"wse2", "wse3"})
    EXPECT_NE(report_of("bench kv -m SHAPE --mesh 150x150 --device DEVICE", device, device, own),
              report_of("bench kv -m SHAPE --mesh 150x150 --device DEVICE", device, device, folder.path));
}

TEST(DeviceName, TheLayerOfAWse3IsTimedOnTheDeviceThatIsOne) {
  const TemporaryFolder folder;
  fs::copy_file(kSource / "devices/wse3.toml", fs::path(folder.path) / "another.toml");
  fs::copy_file(kSource / "devices/wse2.toml", fs::path(folder.path) / "wse2.toml");
  const auto rows = [&](const std::string& devices, const std::string& name) {
    std::vector<std::string> words = {WAFER_BINARY, "bench", "paper", "--tables", "WSE-3 layer", "--json"};
    Json json = Json::parse(replaced(run_program(words, {.in = "", .environment = {"WAFERLLM_DEVICES=" + devices}}).out, name, "it"));
    forget_host(json);
    return json;
  };
  EXPECT_EQ(rows(folder.path, "another"), rows((kSource / "devices").string(), "wse3"));
  fs::remove(fs::path(folder.path) / "another.toml");
  const CommandResult none = run_program({WAFER_BINARY, "bench", "paper", "--tables", "WSE-3 layer"},
                                         {.in = "", .environment = {"WAFERLLM_DEVICES=" + folder.path}});
  expect_refusal(none, "measured_rows");
}

// Lines of sources, without their comments, that make something of a device's name.
std::vector<std::string> uses_of_names(const std::string& text, const std::vector<std::string>& devices) {
  std::string names;
  for (const std::string& d : devices) names += (names.empty() ? "" : "|") + d;
  const std::regex use("\"(" + names + ")\"|\\b(device|wse\\w*)\\.name\\s*([=!]=|\\.)");
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (std::regex_search(line.substr(0, line.find("// ")), use)) found.push_back(line);
  return found;
}

TEST(DeviceName, StandsInNoSource) {
  std::vector<std::string> devices;
  for (const fs::directory_entry& entry : fs::directory_iterator(kSource / "devices")) devices.push_back(entry.path().stem().string());
  ASSERT_GE(devices.size(), 3u);
  EXPECT_EQ(uses_of_names("if (device.name == other) {\nload_device(\"wse3\");\n\"on wse3\" \"wse\"  // \"wse2\"", devices).size(), 2u);
  size_t allowed = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kSource / "src")) {
    const std::string extension = entry.path().extension().string();
    if ((extension != ".cc" && extension != ".h") || entry.path().stem().string().ends_with("_test")) continue;
    for (const std::string& line : uses_of_names(read_file(entry.path().string()), devices)) {
      const bool is_default = line.find(" kDefaultDevice = \"") != std::string::npos;
      allowed += is_default ? 1 : 0;
      EXPECT_TRUE(is_default) << entry.path() << ": " << line << "\na device is known by its fields, not by its name";
    }
  }
  EXPECT_EQ(allowed, 1u);
}

}  // namespace
}  // namespace wafer
