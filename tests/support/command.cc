#include "support/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

extern char** environ;

namespace wafer {

CommandResult run_program(const std::vector<std::string>& words, const CommandInput& input) {
  // Files, not pipes: no side can wait for the other.
  const TemporaryFolder folder;
  const std::string in = folder.path + "/in", out = folder.path + "/out", err = folder.path + "/err";
  write_file(in, input.in);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char*> arguments, environment;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& pair : input.environment) environment.push_back(const_cast<char*>(pair.c_str()));
  for (char** e = environ; *e != nullptr; e++) environment.push_back(*e);
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  pid_t child = 0;
  const int fault = posix_spawn(&child, words.at(0).c_str(), &files, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  if (fault != 0) throw std::runtime_error("cannot start " + words[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), .out = read_file(out), .err = read_file(err)};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "wafer-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << bytes).flush()) throw std::runtime_error("cannot write " + path);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string unfolded(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string word; in >> word;) out += (out.empty() ? "" : " ") + word;
  return out;
}

void expect_refusal(const CommandResult& r, const std::string& part, const std::string& context) {
  EXPECT_EQ(r.status, 2) << context << r.err;
  EXPECT_EQ(r.out, "") << context;
  EXPECT_TRUE(r.err.starts_with("waferllm: ")) << context << r.err;
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << context << r.err;
  EXPECT_TRUE(r.err.ends_with('\n')) << context << r.err;
  EXPECT_NE(r.err.find(part), std::string::npos) << context << r.err << "lacks " << part;
}

}  // namespace wafer
