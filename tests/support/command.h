// For tests: runs a program as a user does, and keeps what it printed.
#pragma once
#include <string>
#include <vector>

namespace wafer {

struct CommandResult {
  int status = -1;  // exit status; 128 + the signal that ended it
  std::string out;
  std::string err;
};

struct CommandInput {
  std::string in;                        // stdin
  std::vector<std::string> environment;  // "NAME=value", beside the test's own
};

// words[0] is the program's path. Throws std::runtime_error where it cannot be started.
CommandResult run_program(const std::vector<std::string>& words, const CommandInput& input = {});

// Expects what every bad input gets: exit status 2, nothing on stdout, one whole line on stderr that begins with the program's name and has
// `part` in it. `context` goes to the message of a failure.
void expect_refusal(const CommandResult& result, const std::string& part, const std::string& context = "");

// The words of a report with one space between them, however its lines are folded.
std::string unfolded(const std::string& text);

// A folder that is there as long as the object.
struct TemporaryFolder {
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path;
};

void write_file(const std::string& path, const std::string& bytes);
std::string read_file(const std::string& path);  // throws std::runtime_error where it cannot

}  // namespace wafer
