#include "support/source_tree.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "support/command.h"

namespace wafer {

namespace fs = std::filesystem;

std::vector<fs::path> source_files(const std::vector<std::string>& folders) {
  std::vector<fs::path> found;
  for (const std::string& folder : folders) {
    const fs::path root = fs::path(WAFER_SOURCE_DIR) / folder;
    if (!fs::is_directory(root)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".cc" || extension == ".h") found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string quoted_include(std::string_view line) {
  const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_blanks();
  if (!line.starts_with('#')) return "";
  line.remove_prefix(1);
  skip_blanks();
  if (!line.starts_with("include")) return "";
  line.remove_prefix(7);
  skip_blanks();
  if (!line.starts_with('"')) return "";
  line.remove_prefix(1);
  return std::string(line.substr(0, line.find('"')));
}

std::map<std::string, std::set<std::string>> folder_includes() {
  std::map<std::string, std::set<std::string>> all;
  for (const fs::path& path : source_files({"src"})) {
    const std::string folder = fs::relative(path, fs::path(WAFER_SOURCE_DIR) / "src").begin()->string();
    std::set<std::string>& included = all[folder];
    if (path.stem().string().ends_with("_test")) continue;
    for (const std::string& line : lines_of(path)) {
      const std::string name = quoted_include(line), other = name.substr(0, name.find('/'));
      if (!other.empty() && other != folder) included.insert(other);
    }
  }
  return all;
}

std::vector<std::string> tracked_files() {
  std::string names;
  FILE* git = popen("git -c safe.directory='*' -C '" WAFER_SOURCE_DIR "' ls-files -z 2>/dev/null", "r");
  if (!git) return {};
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, git)) > 0;) names.append(buffer, n);
  pclose(git);
  std::vector<std::string> files;
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = std::min(names.find('\0', begin), names.size());
    files.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  return files;
}

std::string project_file(const std::string& name) { return read_file((fs::path(WAFER_SOURCE_DIR) / name).string()); }

std::vector<std::string> page_names() {
  std::vector<std::string> names = {"README.md", "models/README.md"};
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(WAFER_SOURCE_DIR) / "docs"))
    if (entry.path().extension() == ".md") names.push_back("docs/" + entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string section_of(const std::string& page, const std::string& heading) {
  const size_t depth = heading.find(' ');
  std::istringstream in(page);
  std::string out;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    const size_t marks = std::min(line.find_first_not_of('#'), line.size());
    if (line == heading) {
      inside = true;
      continue;
    }
    if (inside && marks > 0 && marks <= depth) break;
    if (inside) out += line + "\n";
  }
  return out;
}

std::vector<std::string> indented_blocks(const std::string& text) {
  std::vector<std::string> blocks;
  std::istringstream in(text);
  bool open = false;
  int blank = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("    ")) {
      if (!open) blocks.emplace_back();
      if (open) blocks.back().append(static_cast<size_t>(blank), '\n');
      blocks.back() += line.substr(4) + "\n";
      open = true;
      blank = 0;
    } else if (line.empty()) {
      blank++;
    } else {
      open = false;
      blank = 0;
    }
  }
  return blocks;
}

std::vector<std::vector<std::string>> table_rows(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.size() < 2 || line.front() != '|' || line.back() != '|') continue;
    if (line.find_first_not_of("|-: ") == std::string::npos) {  // the rule below a heading
      if (!rows.empty()) rows.pop_back();
      continue;
    }
    std::vector<std::string>& cells = rows.emplace_back();
    for (size_t begin = 1; begin < line.size();) {
      const size_t end = line.find('|', begin);
      const std::string cell = line.substr(begin, end - begin);
      const size_t first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
      cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
      begin = end + 1;
    }
  }
  return rows;
}

std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!std::isspace(static_cast<unsigned char>(c))) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return out;
}

}  // namespace wafer
