// For tests of the tree itself: the folders of src/, its files, its includes, and the pages that tell of them.
#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace wafer {

// A folder of src/ may include itself and those before it. Tests may include anything.
constexpr std::string_view kSourceFolders[] = {"base",  "device", "model", "text",   "mesh",   "kernels", "kernel_bench", "time", "plan",
                                               "lower", "run",    "roles", "search", "report", "paper",   "engine",       "cli"};

// All .cc and .h files below folders of the project; a folder that is not there has none.
std::vector<std::filesystem::path> source_files(const std::vector<std::string>& folders);
std::vector<std::string> lines_of(const std::filesystem::path& path);
// The name between the quotes of an #include line; empty for any other line.
std::string quoted_include(std::string_view line);
// For each folder of src/ the other folders that its files, tests left out, include.
std::map<std::string, std::set<std::string>> folder_includes();
// Names relative to the project, as git lists them; empty where there is no git repository.
std::vector<std::string> tracked_files();

// The text of a file of the project, such as "docs/design.md". Throws std::runtime_error where it cannot be read.
std::string project_file(const std::string& name);
// Both README.md and the pages of docs/, as names relative to the project.
std::vector<std::string> page_names();
// From a heading, such as "## Folders", to the next of the same depth or less. Empty if the page has no such heading.
std::string section_of(const std::string& page, const std::string& heading);
// The blocks of lines that are indented by four blanks, without these: code and pictures. A blank line between two belongs to the block.
std::vector<std::string> indented_blocks(const std::string& text);
// The rows of the tables of a text, cell by cell, without their headings and rules.
std::vector<std::vector<std::string>> table_rows(const std::string& text);
// Every run of white space as one blank: how a sentence is found whatever the lines that it is broken into.
std::string on_one_line(std::string_view text);

}  // namespace wafer
