#include "base/data_folder.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace wafer {

namespace fs = std::filesystem;

std::vector<std::string> data_folders(const std::string& name, const char* environment_variable) {
  std::vector<fs::path> candidates;
  if (const char* only = std::getenv(environment_variable); only && *only) {
    candidates = {only};
  } else {
    std::error_code ec;
    const fs::path program = fs::read_symlink("/proc/self/exe", ec);
    if (!ec) candidates = {program.parent_path() / ".." / name, program.parent_path() / "../share/waferllm" / name};
    candidates.emplace_back(name);
    candidates.push_back(fs::path(WAFER_SOURCE_DIR) / name);
  }
  std::vector<std::string> folders;
  for (const fs::path& candidate : candidates) {
    std::error_code ec;
    const std::string folder = fs::canonical(candidate, ec).string();
    if (!ec && fs::is_directory(folder, ec) && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  }
  return folders;
}

}  // namespace wafer
