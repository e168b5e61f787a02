// `waferllm bench paper --plots` as a user runs it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/command.h"

namespace wafer {
namespace {

bool have_gnuplot() {
  try {
    return run_program({"/usr/bin/env", "gnuplot", "--version"}).status == 0;
  } catch (const std::runtime_error&) {
    return false;
  }
}

struct CliPlots : testing::Test {
  // Table 4 is the quickest of those that are drawn.
  CommandResult bench(const std::vector<std::string>& more, const CommandInput& input = {}) const {
    std::vector<std::string> words = {WAFER_BINARY, "bench", "paper"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, input);
  }
  TemporaryFolder folder;
};

TEST_F(CliPlots, FilesAreToldOnStderrAndStdoutStaysAsItIs) {
  if (!have_gnuplot()) GTEST_SKIP() << "no gnuplot";
  const std::string plots = folder.path + "/new/it's $(here)";
  const CommandResult r = bench({"--tables", "4,5", "--json", "--plots", plots});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.err, "wrote " + plots + "/table4.svg\n");
  auto rows = [](const CommandResult& of) { return nlohmann::json::parse(of.out)["rows"]; };
  EXPECT_EQ(rows(r), rows(bench({"--tables", "4,5", "--json"})));
  const std::string svg = read_file(plots + "/table4.svg");
  for (const char* part : {"<svg", "</svg>", ">LLaMA3-8B<", ">WaferLLM<", ">Ladder<", ">hollow: the paper's number<"})
    EXPECT_NE(svg.find(part), std::string::npos) << part;
  const std::filesystem::directory_iterator files(plots);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "nothing but the picture is left";
}

TEST_F(CliPlots, APageShowsThem) {
  if (!have_gnuplot()) GTEST_SKIP() << "no gnuplot";
  const CommandResult r = bench({"--tables", "4", "--markdown", "--plots", folder.path + "/a b"});
  EXPECT_NE(r.out.find("\n![table4](<a b/table4.svg>)\n"), std::string::npos) << r.out;
}

TEST_F(CliPlots, WithoutATableThatIsDrawnItSaysSo) {
  expect_refusal(bench({"--tables", "5", "--plots", folder.path + "/new"}),
                 "--tables: found \"5\", expected one of 3, 4, figure 9, figure 10");
  EXPECT_FALSE(std::filesystem::exists(folder.path + "/new"));
}

TEST_F(CliPlots, WithoutGnuplotItSaysSoBeforeTheWork) {
  expect_refusal(bench({"--plots", folder.path}, {.in = "", .environment = {"PATH=" + folder.path}}),
                 "found no gnuplot, expected it on PATH; install gnuplot-nox");
}

TEST_F(CliPlots, AGnuplotThatFailsLeavesNoFile) {
  const std::string fake = folder.path + "/gnuplot";
  const auto with = [&](const std::string& lines) {
    write_file(fake, "#!/bin/sh\ncase \"$*\" in *--version*) exit 0; esac\n" + lines);
    std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
    return bench({"--tables", "4", "--plots", folder.path + "/plots"}, {.in = "", .environment = {"PATH=" + folder.path}});
  };
  expect_refusal(with("echo no such terminal >&2\nexit 1\n"), "table4.svg: found gnuplot failed: no such terminal");
  expect_refusal(with("echo '<svg>'\n"), "table4.svg: found half a picture");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path + "/plots"));
}

TEST_F(CliPlots, FoldersThatTakeNoFiles) {
  write_file(folder.path + "/file", "");
  expect_refusal(bench({"--plots", folder.path + "/file"}), "--plots " + folder.path + "/file: found ");
  expect_refusal(bench({"--plots", folder.path + "/file/below"}), "Not a directory");
  expect_refusal(bench({"--plots", ""}), "--plots");
  if (::geteuid() == 0) return;  // who may write everywhere
  std::filesystem::permissions(folder.path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  expect_refusal(bench({"--plots", folder.path}), "Permission denied");
  expect_refusal(bench({"--plots", folder.path + "/new"}), "Permission denied");
}

}  // namespace
}  // namespace wafer
