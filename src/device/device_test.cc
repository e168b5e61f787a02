#include "device/device.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/error.h"

namespace wafer {
namespace {

namespace fs = std::filesystem;

std::string tiny_text() {
  std::ifstream in(std::string(WAFER_SOURCE_DIR) + "/devices/tiny.toml");
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// The tiny device with its line of `key` replaced (or removed).
std::string with_line(const std::string& key, const std::string& line) {
  const std::string text = tiny_text();
  const size_t begin = text.find("\n" + key + " =") + 1;
  EXPECT_NE(begin, 0u) << key;
  const size_t end = text.find('\n', begin);
  return text.substr(0, begin) + line + text.substr(end);
}

std::string error_of(const std::string& text) {
  try {
    parse_device(text, "x", "x.toml");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Device, Wse2HasTheFactsOfTheDesign) {
  const Device d = load_device("wse2");
  EXPECT_EQ(d.name, "wse2");
  EXPECT_EQ(d.mesh_width, 750);
  EXPECT_EQ(d.mesh_height, 994);
  EXPECT_EQ(d.sram_bytes_per_core, 49152);
  EXPECT_EQ(d.code_and_system_bytes, 8528);
  EXPECT_EQ(d.code_and_system_bytes_measured, 30000);
  EXPECT_EQ(data_bytes_per_core(d), 40624);
  EXPECT_EQ(d.free_colours.size(), 21u);
  EXPECT_EQ(d.free_colours.front(), 0);
  EXPECT_EQ(d.free_colours.back(), 20);
  EXPECT_EQ(d.clock_hz, 1.1e9);
  EXPECT_EQ(d.power_watts, 15000);
  EXPECT_EQ(d.host_round_trip_seconds, 200e-6);
  EXPECT_EQ(d.fmac_f16_elements_per_cycle, 2);
  EXPECT_EQ(d.max_f16_elements_per_cycle, 1);
}

TEST(Device, Wse3HasTheFactsOfTheDesign) {
  const Device d = load_device("wse3");
  EXPECT_EQ(d.mesh_width, 755);
  EXPECT_EQ(d.mesh_height, 1170);
  EXPECT_EQ(d.sram_bytes_per_core, 49152);
  EXPECT_EQ(d.power_watts, 23000);
  EXPECT_EQ(d.fmac_f16_elements_per_cycle, 8);
}

TEST(Device, EveryDeviceLoadsAndEveryRowHasUnitAndSource) {
  const std::vector<std::string> names = list_devices();
  ASSERT_GE(names.size(), 3u);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    const std::vector<DeviceRow> rows = device_rows(load_device(name));
    EXPECT_GT(rows.size(), 40u);
    for (const DeviceRow& row : rows) {
      EXPECT_FALSE(row.value.empty() || row.unit.empty() || row.source.empty()) << name << " " << row.name;
      EXPECT_EQ(row.assumed, row.source.rfind("assumed", 0) == 0);
    }
  }
}

TEST(Device, RowsShowValuesAsWritten) {
  const std::vector<DeviceRow> rows = device_rows(load_device("wse2"));
  const auto value = [&](const std::string& name) {
    for (const DeviceRow& row : rows)
      if (row.name == name) return row.value + " " + row.unit;
    return std::string("none");
  };
  EXPECT_EQ(value("mesh_width"), "750 cores");
  EXPECT_EQ(value("clock_hz"), "1100000000 Hz");
  EXPECT_EQ(value("host_round_trip_seconds"), "0.0002 seconds");
  EXPECT_EQ(value("output_queue_wavelets"), "2 2 6 6 2 2 wavelets");
}

TEST(Device, AWordIsOneOfAFew) {
  const auto with = [](const std::string& value) {
    return error_of(with_line("published_kernels", "published_kernels = { value = " + value + ", unit = \"schedule\", source = \"x\" }"));
  };
  EXPECT_EQ(with("\"rewritten-routes\""), "no error");
  EXPECT_EQ(with("\"fixed-routes\""), "no error");
  for (const char* bad : {"\"rewritten\"", "\"\"", "\"none\"", "\"Fixed-routes\"", "3", "[\"fixed-routes\"]"}) {
    EXPECT_HAS(with(bad), "\"fixed-routes\" or \"rewritten-routes\"");
    EXPECT_HAS(with(bad), "published_kernels (line ");
  }
  EXPECT_HAS(error_of(with_line("measured_rows", "")), "measured_rows = { value = \"...\"");
  EXPECT_EQ(load_device("wse3").measured_rows, "WSE-3");
}

TEST(Device, LoadsByPathAndTakesItsNameFromTheFile) {
  const Device d = load_device(std::string(WAFER_SOURCE_DIR) + "/devices/tiny.toml");
  EXPECT_EQ(d.name, "tiny");
  EXPECT_EQ(d.mesh_width, 16);
  EXPECT_EQ(d.mesh_height, 12);
}

TEST(Device, AnUnknownDeviceNamesThoseThatExist) {
  for (const char* name : {"wse9", "", "no/such/file", "absent.toml"}) {
    try {
      load_device(name);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_HAS(std::string(e.what()), "tiny, wse2, wse3");
    }
  }
}

TEST(Device, TheEnvironmentNamesTheOnlyFolder) {
  const fs::path folder = fs::path(testing::TempDir()) / ("devices-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "mine.toml") << tiny_text();
  setenv("WAFERLLM_DEVICES", folder.c_str(), 1);
  EXPECT_EQ(list_devices(), std::vector<std::string>{"mine"});
  EXPECT_EQ(load_device("mine").mesh_width, 16);
  EXPECT_THROW(load_device("wse2"), Error);
  setenv("WAFERLLM_DEVICES", (folder / "absent").c_str(), 1);
  EXPECT_TRUE(list_devices().empty());
  EXPECT_THROW(load_device("wse2"), Error);
  unsetenv("WAFERLLM_DEVICES");
  fs::remove_all(folder);
}

TEST(Device, EveryNumberNeedsUnitAndSource) {
  EXPECT_HAS(error_of(with_line("mesh_width", "mesh_width = 16")), "x.toml:mesh_width (line ");
  EXPECT_HAS(error_of(with_line("mesh_width", R"(mesh_width = { value = 16, unit = "cores" })")), "no source");
  EXPECT_HAS(error_of(with_line("mesh_width", R"(mesh_width = { value = 16, source = "assumed" })")), "no unit");
  EXPECT_HAS(error_of(with_line("mesh_width", R"(mesh_width = { unit = "cores", source = "assumed" })")), "no value");
  EXPECT_HAS(error_of(with_line("mesh_width", R"(mesh_width = { value = 16, unit = "cores", source = "" })")), "an empty source");
  EXPECT_HAS(error_of(with_line("mesh_width", R"(mesh_width = { value = 16, unit = "bytes", source = "assumed" })")),
             "found unit \"bytes\", expected unit \"cores\"");
}

TEST(Device, KeysAreAllKnownAndAllThere) {
  EXPECT_HAS(error_of(with_line("hop_cycles", "")), "no key hop_cycles, expected hop_cycles = { value = ..., unit = \"cycles\"");
  EXPECT_HAS(error_of(tiny_text() + "hop_cycels = 1\n"), "x.toml:hop_cycels (line ");
  EXPECT_HAS(error_of(with_line("hop_cycles", R"(hop_cycles = { value = 1, unit = "cycles", source = "assumed", note = "" })")),
             "the key note");
  EXPECT_HAS(error_of(tiny_text() + "[wse2]\n"), "unknown key");
  EXPECT_HAS(error_of(replaced(tiny_text(), "description", "# description")), "no description");
}

TEST(Device, ValuesHaveTheRightTypeAndSense) {
  const auto with_value = [](const std::string& key, const std::string& value, const std::string& unit) {
    return error_of(with_line(key, key + " = { value = " + value + ", unit = \"" + unit + "\", source = \"assumed\" }"));
  };
  for (const char* value : {"0", "-1", "5000", "9223372036854775807"})
    EXPECT_HAS(with_value("mesh_width", value, "cores"), "expected 1 to 4096 cores");
  for (const char* value : {"1.5", "\"16\"", "true", "[16]", "inf", "{}", "1979-05-27"})
    EXPECT_HAS(with_value("mesh_width", value, "cores"), "expected an integer");
  for (const char* value : {"0", "-1.1e9", "nan", "inf"}) EXPECT_HAS(with_value("clock_hz", value, "Hz"), "expected 1000 to 1e+12 Hz");
  EXPECT_HAS(with_value("clock_hz", "\"fast\"", "Hz"), "expected a number");
  EXPECT_EQ(with_value("clock_hz", "850000000", "Hz"), "no error");
  EXPECT_HAS(with_value("free_colours", "[]", "colour ids"), "1 to 64 elements");
  EXPECT_HAS(with_value("free_colours", "7", "colour ids"), "a list of integers");
  EXPECT_HAS(with_value("free_colours", "[1, 2, 1]", "colour ids"), "colour 1 twice");
  EXPECT_HAS(with_value("free_colours", "[24]", "colour ids"), "below routable_colours = 24");
  EXPECT_HAS(with_value("free_colours", "[-1]", "colour ids"), "found -1");
  EXPECT_HAS(with_value("wavelet_bits", "48", "bits"), "a power of two");
  EXPECT_HAS(with_value("wavelets_per_cycle_per_link", "3", "wavelets/cycle"), "a power of two");
  EXPECT_EQ(with_value("wavelets_per_cycle_per_ramp", "4", "wavelets/cycle"), "no error");
  EXPECT_HAS(with_value("code_and_system_bytes", "49152", "bytes"), "less than sram_bytes_per_core = 49152");
}

TEST(Device, BrokenTomlIsNamedByLine) {
  EXPECT_HAS(error_of("description = \"x\"\nmesh_width = \n"), "x.toml:2:");
  EXPECT_HAS(error_of(std::string("\0\1\2", 3)), "x.toml:1:");
  EXPECT_HAS(error_of(std::string(10000, '[')), "x.toml:1:");
  EXPECT_HAS(error_of("a = 1\na = 2\n"), "x.toml:2:");
}

// Whatever bytes change, the outcome is a device or an Error.
TEST(Device, DamagedFilesGiveErrorsOnly) {
  const std::string original = tiny_text();
  std::mt19937 random(1);
  for (int round = 0; round < 300; round++) {
    std::string text = original;
    for (uint32_t i = 0; i <= random() % 3; i++) {
      const size_t at = random() % text.size();
      if (random() % 2) text[at] = static_cast<char>(random());
      if (random() % 2) text.erase(at, random() % 40);
    }
    try {
      parse_device(text, "x", "x.toml");
    } catch (const Error&) {
    }
  }
}

TEST(Device, AnOptionSetsANumberWithinItsLimits) {
  Device d = load_device("wse2");
  set_device_field(d, "clock_hz", 0.85e9, "--clock");
  EXPECT_EQ(d.clock_hz, 0.85e9);
  for (const DeviceRow& row : device_rows(d)) EXPECT_EQ(row.name == "clock_hz", row.source == "--clock") << row.name;
  set_device_field(d, "code_and_system_bytes", 30000, "--code-bytes");
  EXPECT_EQ(data_bytes_per_core(d), 19152);
  EXPECT_THROW(set_device_field(d, "clock_hz", 0, "--clock"), Error);
  EXPECT_THROW(set_device_field(d, "clock_hz", NAN, "--clock"), Error);
  EXPECT_THROW(set_device_field(d, "code_and_system_bytes", 0.5, "--code-bytes"), Error);
  EXPECT_THROW(set_device_field(d, "code_and_system_bytes", 60000, "--code-bytes"), Error);
  EXPECT_EQ(d.code_and_system_bytes, 30000);
}

}  // namespace
}  // namespace wafer
