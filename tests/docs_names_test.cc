// What pages and comments name is there: files, folders, functions, sections, options of the command line, targets of make.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/source_tree.h"

namespace {

namespace fs = std::filesystem;
using namespace wafer;

// Names of files in examples, which are nobody's. Names with a capital letter in them, such as MODEL.gguf, are taken for examples anyway.
const std::set<std::string> kExamples = {"mychip.toml", "checkpoint.gguf", "model.gguf", "shape.toml", "x.cc", "x.h", "x_test.cc"};
// Functions that a page may name before they are written; the name leaves this list with the function's first line.
const std::set<std::string> kNotThereYet = {"fabric"};

struct Text {
  std::string where;   // "docs/design.md", "src/mesh/cut.h:12"
  std::string folder;  // of the file, relative to the project
  std::string text;
};

// The part of a line from // on, if these begin a comment; else nothing.
size_t comment_at(const std::string& line) {
  for (size_t at = line.find("//"); at != std::string::npos; at = line.find("//", at + 1))
    if (at == 0 || line[at - 1] == ' ') return at;
  return std::string::npos;
}

std::vector<Text> pages() {
  std::vector<Text> all;
  for (const std::string& name : page_names()) all.push_back({name, fs::path(name).parent_path().string(), project_file(name)});
  return all;
}

std::vector<Text> comments() {
  std::vector<Text> all;
  for (const fs::path& path : source_files({"src", "bench", "tests/support"})) {
    const fs::path name = fs::relative(path, WAFER_SOURCE_DIR);
    const std::vector<std::string> lines = lines_of(path);
    for (size_t i = 0; i < lines.size(); i++)
      if (const size_t at = comment_at(lines[i]); at != std::string::npos)
        all.push_back({name.string() + ":" + std::to_string(i + 1), name.parent_path().string(), lines[i].substr(at)});
  }
  return all;
}

std::vector<Text> pages_and_comments() {
  std::vector<Text> all = pages();
  for (Text& t : comments()) all.push_back(std::move(t));
  return all;
}

// All files and folders, as names relative to the project, and the files' own names.
struct Tree {
  std::set<std::string> paths, names;
};
Tree tree_of(const std::vector<std::string>& files) {
  Tree tree;
  for (const std::string& file : files) {
    tree.names.insert(fs::path(file).filename().string());
    for (fs::path p = file; !p.empty(); p = p.parent_path()) tree.paths.insert(p.string());
  }
  return tree;
}

bool is_there(const Tree& tree, const std::string& word, const std::string& folder) {
  std::string path = word;
  while (path.ends_with('/')) path.pop_back();
  const bool pattern = path.find('*') != std::string::npos;
  if (!pattern && path.find('/') == std::string::npos && tree.names.contains(path)) return true;
  for (const std::string& base : {std::string(), std::string("src/"), folder.empty() ? folder : folder + "/"}) {
    if (!pattern && tree.paths.contains(base + path)) return true;
    if (!pattern) continue;
    std::string expression;
    for (const char c : base + path) expression += c == '*' ? "[^/]*" : c == '.' ? "[.]" : std::string(1, c);
    const std::regex wanted(expression);
    if (std::any_of(tree.paths.begin(), tree.paths.end(), [&](const std::string& p) { return std::regex_match(p, wanted); })) return true;
  }
  return false;
}

// The words of a text that must be files or folders: those that end like a file of ours, and those that begin with a folder of ours.
std::vector<std::string> paths_in(const std::string& text, const Tree& tree) {
  static const std::regex word("[A-Za-z0-9_.*-]*[A-Za-z0-9_*](/[A-Za-z0-9_.*-]*[A-Za-z0-9_*])*/?");
  static const std::regex file(".*[A-Za-z0-9_*-][.](cc|h|md|py|sh|toml|gguf|svg)");
  std::vector<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) {
    const std::string w = i->str();
    const bool call = i->suffix().str().substr(0, 2) == "()";
    const bool capital = std::any_of(w.begin(), w.end(), [](char c) { return c >= 'A' && c <= 'Z'; }) && !tree.names.contains(w);
    const size_t slash = w.find('/');
    const std::string first = w.substr(0, slash);
    const bool in_ours = slash != std::string::npos && (tree.paths.contains(first) || tree.paths.contains("src/" + first));
    if (call || capital || kExamples.contains(fs::path(w).filename().string())) continue;
    if (std::regex_match(w, file) || in_ours) found.push_back(w);
  }
  return found;
}

// Our sources without comments and strings.
std::string code() {
  static const std::regex string("\"(\\\\.|[^\"\\\\])*\"");
  std::string out;
  for (const fs::path& path : source_files({"src", "bench", "tests"}))
    for (const std::string& line : lines_of(path)) out += std::regex_replace(line.substr(0, comment_at(line)), string, "\"\"") + "\n";
  return out;
}

std::set<std::string> all_matches(const std::string& text, const char* expression) {
  const std::regex wanted(expression);
  std::set<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), wanted), end; i != end; ++i) found.insert((*i)[1]);
  return found;
}

TEST(NamesInPages, TheChecksThemselvesWork) {
  const Tree tree = tree_of({"src/mesh/cut.h", "src/run/matmul_gemm.cc", "docs/design.md", "README.md"});
  EXPECT_EQ(paths_in("see mesh/cut.h, MODEL.gguf; n*i/P and tokens/s, mesh/cuts.", tree),
            (std::vector<std::string>{"mesh/cut.h", "mesh/cuts"}));
  EXPECT_EQ(paths_in("`algorithms.md`, mesh/verify() and README.md.", tree), (std::vector<std::string>{"algorithms.md", "README.md"}));
  for (const char* there : {"mesh/cut.h", "src/mesh/", "cut.h", "run/matmul_*", "src/*/cut.h"})
    EXPECT_TRUE(is_there(tree, there, "")) << there;
  EXPECT_TRUE(is_there(tree, "design.md", "docs"));
  for (const char* gone : {"mesh/cuts.h", "algorithms.md", "run/rows_*", "lower/cut.h"}) EXPECT_FALSE(is_there(tree, gone, "")) << gone;
}

TEST(NamesInPages, FilesAndFoldersExist) {
  const std::vector<std::string> files = tracked_files();
  if (files.empty()) GTEST_SKIP() << "not a git repository";
  const Tree tree = tree_of(files);
  int seen = 0;
  for (const Text& t : pages_and_comments()) {
    for (const std::string& word : paths_in(t.text, tree)) {
      EXPECT_TRUE(is_there(tree, word, t.folder)) << t.where << " names " << word << ", which is not in the project";
      seen++;
    }
  }
  EXPECT_GT(seen, 200);
}

TEST(NamesInPages, FunctionsExist) {
  const std::set<std::string> defined = all_matches(code(), "\\b([A-Za-z_][A-Za-z0-9_]*)\\s*\\(");
  for (const Text& t : pages_and_comments())
    for (const std::string& name : all_matches(t.text, "\\b([A-Za-z_][A-Za-z0-9_]*)\\(\\)"))
      EXPECT_TRUE(defined.contains(name) || kNotThereYet.contains(name)) << t.where << " names " << name << "(), which no source has";
  for (const std::string& name : kNotThereYet)
    EXPECT_FALSE(defined.contains(name)) << name << "() is there now: no page may call it planned";
}

// docs/design.md, "Numerics" and [design.md](design.md), "Numerics": a heading, or words in bold at the beginning of a line.
TEST(NamesInPages, SectionsExist) {
  int seen = 0;
  static const std::regex reference("([a-z-]+[.]md)[)]?, \"([^\"]+)\"");
  for (const Text& t : pages_and_comments()) {
    for (std::sregex_iterator i(t.text.begin(), t.text.end(), reference), end; i != end; ++i, seen++) {
      const std::string page = "\n" + project_file("docs/" + (*i)[1].str()), title = (*i)[2];
      EXPECT_TRUE(std::regex_search(page, std::regex("\n#+ " + title + "\\b")) || page.find("\n**" + title) != std::string::npos)
          << t.where << ": " << (*i)[0];
    }
  }
  EXPECT_GT(seen, 5);
}

TEST(NamesInPages, OptionsExist) {
  std::string cli;
  for (const fs::path& path : source_files({"src/cli"}))
    for (const std::string& line : lines_of(path)) cli += line + "\n";
  for (const fs::directory_entry& tool : fs::directory_iterator(fs::path(WAFER_SOURCE_DIR) / "tools"))
    for (const std::string& line : lines_of(tool.path())) cli += line + "\n";
  std::set<std::string> options = all_matches(cli, "\"(?:-[a-z],)?(--[a-z0-9-]+)[\",]");
  options.insert("--help");
  for (const Text& t : pages())
    for (const std::string& option : all_matches(t.text, "(?:^|[ `(])(--[a-z0-9]+(?:-[a-z0-9]+)*)(?![a-z0-9-])"))
      EXPECT_TRUE(options.contains(option)) << t.where << " names " << option << ", which no command or tool has";
}

TEST(NamesInPages, TargetsOfMakeExist) {
  const std::set<std::string> targets = all_matches("\n" + project_file("Makefile"), "\n([a-z-]+(?: [a-z-]+)*):");
  std::set<std::string> words;
  for (const std::string& t : targets)
    for (const std::string& word : all_matches(t, "([a-z-]+)")) words.insert(word);
  for (const Text& t : pages())
    for (const std::string& target : all_matches(t.text, "(?:`|    )make ([a-z-]+)"))
      EXPECT_TRUE(words.contains(target)) << t.where << ": make " << target;
}

}  // namespace
