// Rules for the source tree as a whole: folders include only folders above them, files stay short, and no file that is
// committed names a path of somebody's machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/source_tree.h"

namespace {

namespace fs = std::filesystem;
using namespace wafer;

constexpr size_t kMaxLines = 500;

size_t rank(std::string_view folder) {
  return static_cast<size_t>(std::find(std::begin(kSourceFolders), std::end(kSourceFolders), folder) - std::begin(kSourceFolders));
}
bool known(std::string_view folder) { return rank(folder) < std::size(kSourceFolders); }

// What is wrong with an include of `name` in a file of `folder`; empty if nothing is.
std::string fault(std::string_view folder, std::string_view name) {
  const std::string_view other = name.substr(0, name.find('/'));
  if (name.find('/') == std::string_view::npos || !known(other)) return "write \"folder/file.h\" for our own headers, <...> for all others";
  if (rank(other) <= rank(folder)) return "";
  return "the folder " + std::string(folder) + " may not include " + std::string(other) + ", which is below it";
}

TEST(SourceTree, TheCheckItselfWorks) {
  EXPECT_EQ(quoted_include("  # include \"mesh/layout.h\"  // why"), "mesh/layout.h");
  EXPECT_EQ(quoted_include("#include <vector>"), "");
  EXPECT_EQ(quoted_include("// #include \"mesh/layout.h\""), "");
  EXPECT_EQ(fault("mesh", "mesh/layout.h"), "");
  EXPECT_EQ(fault("mesh", "base/error.h"), "");
  EXPECT_NE(fault("base", "mesh/layout.h"), "");
  EXPECT_NE(fault("mesh", "layout.h"), "");
  EXPECT_NE(fault("mesh", "hwy/highway.h"), "");
}

TEST(SourceTree, FoldersIncludeOnlyFoldersAboveThem) {
  for (const fs::path& path : source_files({"src"})) {
    const fs::path inside = fs::relative(path, fs::path(WAFER_SOURCE_DIR) / "src");
    const std::string folder = inside.begin()->string();
    EXPECT_TRUE(known(folder)) << inside << ": the folder is not in the list of tests/support/source_tree.h";
    if (!known(folder) || path.stem().string().ends_with("_test")) continue;
    const std::vector<std::string> lines = lines_of(path);
    for (size_t i = 0; i < lines.size(); i++) {
      const std::string name = quoted_include(lines[i]);
      if (name.empty()) continue;
      EXPECT_EQ(fault(folder, name), "") << "src/" << inside.string() << ":" << i + 1;
    }
  }
}

TEST(SourceTree, FilesStayShort) {
  for (const fs::path& path : source_files({"src", "tests", "bench", "tools"}))
    EXPECT_LE(lines_of(path).size(), kMaxLines) << path << ": split it";
}

// Paths that exist on one machine only. Written in two pieces, for this file is checked too.
constexpr std::string_view kMachinePaths[] = {
    "/wo"
    "rk/",
    "/ro"
    "ot/",
    "/ho"
    "me/"};

// True if the text holds one of these paths at the beginning of a path ("src/wo" "rk/x" is none).
bool names_a_machine(std::string_view text) {
  for (const std::string_view path : kMachinePaths) {
    for (size_t at = text.find(path); at != std::string_view::npos; at = text.find(path, at + 1)) {
      const char before = at == 0 ? ' ' : text[at - 1];
      if (!std::isalnum(static_cast<unsigned char>(before)) && std::string_view("._-~}").find(before) == std::string_view::npos)
        return true;
    }
  }
  return false;
}

TEST(SourceTree, CommittedTextNamesNoMachine) {
  EXPECT_TRUE(names_a_machine("see " + std::string(kMachinePaths[0]) + "x"));
  EXPECT_FALSE(names_a_machine("see src" + std::string(kMachinePaths[0]) + "x"));
  const std::vector<std::string> files = tracked_files();
  if (files.empty()) GTEST_SKIP() << "not a git repository";
  for (const std::string& file : files) {
    std::ifstream in(fs::path(WAFER_SOURCE_DIR) / file, std::ios::binary);
    std::string head(4096, '\0');
    in.read(head.data(), static_cast<std::streamsize>(head.size()));
    head.resize(static_cast<size_t>(in.gcount()));
    if (head.find('\0') != std::string::npos) continue;  // not text
    const std::string text = head + std::string(std::istreambuf_iterator<char>(in), {});
    EXPECT_FALSE(names_a_machine(text)) << file << " names a path of one machine";
  }
}

}  // namespace
