// The pictures and tables of docs/design.md and of the README against the code: folders, who includes whom, where what is.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/source_tree.h"

namespace {

namespace fs = std::filesystem;
using namespace wafer;

constexpr size_t kPictureColumns = 80;

std::vector<std::string> lines_in(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::set<std::string> folders_of_src() {
  std::set<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(WAFER_SOURCE_DIR) / "src"))
    if (entry.is_directory()) found.insert(entry.path().filename().string());
  return found;
}

// The include triangle: the folders in their order, and whom each includes. What is wrong with its form goes to `fault`.
struct Triangle {
  std::vector<std::string> folders;
  std::map<std::string, std::set<std::string>> includes;
  std::string fault;
};
Triangle read_triangle(const std::string& block) {
  Triangle t;
  for (const std::string& line : lines_in(block)) {
    std::istringstream in(line);
    const std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    if (words.size() != t.folders.size() + 1) {
      t.fault = "a row of " + std::to_string(words.size()) + " words after " + std::to_string(t.folders.size()) + " rows: " + line;
      return t;
    }
    std::set<std::string>& included = t.includes[words.back()];
    for (size_t i = 0; i + 1 < words.size(); i++) {
      if (words[i] == "o") {
        included.insert(t.folders[i]);
      } else if (words[i] != ".") {
        t.fault = "neither o nor a dot: " + words[i] + " in " + line;
      }
    }
    t.folders.push_back(words.back());
  }
  return t;
}

// True if a file's text defines or declares `name` outside any body, where our lines are not indented: a function, a member function, or
// a struct.
bool defines(const std::string& text, const std::string& name) {
  const std::regex function("(^|\n)[A-Za-z][^\n;=(]*\\b" + name + "\\("), type("(^|\n)(struct|class|enum class) " + name + "\\b");
  return std::regex_search(text, function) || std::regex_search(text, type);
}

TEST(DesignPage, TheChecksThemselvesWork) {
  const Triangle t = read_triangle("base\no device\n. o model\n");
  EXPECT_EQ(t.fault, "");
  EXPECT_EQ(t.folders, (std::vector<std::string>{"base", "device", "model"}));
  EXPECT_EQ(t.includes.at("model"), (std::set<std::string>{"device"}));
  EXPECT_NE(read_triangle("base\n. o model\n").fault, "");
  EXPECT_NE(read_triangle("base\nx model\n").fault, "");
  EXPECT_TRUE(defines("namespace {\nStep kv_shift(const Site& site) {\n", "kv_shift"));
  EXPECT_TRUE(defines("void Advance::row_shift(int n) const {", "row_shift"));
  EXPECT_TRUE(defines("struct Device {\n", "Device"));
  EXPECT_FALSE(defines("  s.push_back(kv_shift(site));\n", "kv_shift"));
  EXPECT_FALSE(defines("// kv_shift(x) is told here\n", "kv_shift"));
  EXPECT_FALSE(defines("constexpr int n = count(3);\n", "count"));
}

TEST(DesignPage, TheTriangleIsWhatFoldersInclude) {
  const std::vector<std::string> blocks = indented_blocks(section_of(project_file("docs/design.md"), "## Folders"));
  ASSERT_EQ(blocks.size(), 1u);
  const Triangle t = read_triangle(blocks[0]);
  ASSERT_EQ(t.fault, "");
  EXPECT_EQ(t.folders, std::vector<std::string>(std::begin(kSourceFolders), std::end(kSourceFolders)));
  const std::map<std::string, std::set<std::string>> includes = folder_includes();
  ASSERT_EQ(t.includes.size(), includes.size());
  for (const auto& [folder, included] : includes) {
    ASSERT_TRUE(t.includes.contains(folder)) << folder;
    EXPECT_EQ(t.includes.at(folder), included) << "of the folder " << folder << ": the triangle, then what its files include";
  }
}

// In the picture of the data flow a function stands as folder/name().
TEST(DesignPage, ThePictureOfTheDataFlowNamesEveryFolderAndOnlyFunctionsThatAreThere) {
  const std::string section = section_of(project_file("docs/design.md"), "## The one idea");
  const std::vector<std::string> blocks = indented_blocks(section);
  ASSERT_EQ(blocks.size(), 1u);
  const std::string& picture = blocks[0];
  std::set<std::string> named;
  const std::regex folder("\\b([a-z_]+)/"), function("\\b([a-z_]+)/([a-z_0-9]+)\\(\\)");
  for (std::sregex_iterator i(picture.begin(), picture.end(), folder), end; i != end; ++i) named.insert((*i)[1]);
  named.erase("devices");  // devices/NAME.toml, a file that goes in
  EXPECT_EQ(named, folders_of_src());
  int functions = 0;
  for (std::sregex_iterator i(picture.begin(), picture.end(), function), end; i != end; ++i, functions++) {
    bool found = false;
    for (const fs::path& path : source_files({"src/" + (*i)[1].str()}))
      found = found || (path.extension() == ".h" && defines(project_file(fs::relative(path, WAFER_SOURCE_DIR).string()), (*i)[2]));
    EXPECT_TRUE(found) << (*i)[0] << ": no header of the folder declares it";
  }
  EXPECT_GE(functions, 20);
}

TEST(DesignPage, PicturesFitATerminal) {
  const std::string page = project_file("docs/design.md");
  for (const char* heading : {"## The one idea", "## Folders"})
    for (const std::string& block : indented_blocks(section_of(page, heading)))
      for (const std::string& line : lines_in(block)) EXPECT_LE(line.size() + 4, kPictureColumns) << line;
}

// The tables of both pages have every folder, in the order of the rule.
TEST(DesignPage, TablesOfFoldersAreWhole) {
  std::vector<std::string> expected;
  for (const std::string_view folder : kSourceFolders) expected.push_back("`" + std::string(folder) + "/`");
  const std::pair<const char*, const char*> tables[] = {{"docs/design.md", "## Folders"}, {"README.md", "## Map of `src/`"}};
  for (const auto& [page, heading] : tables) {
    std::vector<std::string> found;
    for (const std::vector<std::string>& row : table_rows(section_of(project_file(page), heading)))
      if (row.size() == 2) found.push_back(row[0]);
    EXPECT_EQ(found, expected) << page;
  }
  EXPECT_EQ(folders_of_src(), std::set<std::string>(std::begin(kSourceFolders), std::end(kSourceFolders)));
}

TEST(DesignPage, WhatIsWhereIsThere) {
  const std::vector<std::vector<std::string>> rows = table_rows(section_of(project_file("docs/design.md"), "### Where is ...?"));
  EXPECT_GE(rows.size(), 10u);
  for (const std::vector<std::string>& row : rows) {
    ASSERT_EQ(row.size(), 3u) << row[0];
    const auto bare = [](const std::string& cell) { return cell.size() > 2 ? cell.substr(1, cell.size() - 2) : ""; };  // the backticks
    const std::string file = bare(row[1]), name = bare(row[2]);
    ASSERT_TRUE(fs::is_regular_file(fs::path(WAFER_SOURCE_DIR) / file)) << row[0] << ": " << file;
    EXPECT_TRUE(defines(project_file(file), name)) << row[0] << ": " << name << " is not defined in " << file;
  }
}

}  // namespace
