// Where files that come with the program lie: devices/, models/.
#pragma once
#include <string>
#include <vector>

namespace wafer {

// Existing folders of that name, first hit wins. The environment variable, if set, is the only one; else beside the program (../NAME,
// ../share/waferllm/NAME), ./NAME, and the source tree that the program was built from.
std::vector<std::string> data_folders(const std::string& name, const char* environment_variable);

}  // namespace wafer
