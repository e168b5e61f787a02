#include "paper/gnuplot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "base/error.h"

extern char** environ;

namespace wafer {
namespace {

struct Close {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, Close>;

// Files that no one else sees, not pipes: neither side can wait for the other.
File temporary_file() {
  File f(std::tmpfile());
  if (f == nullptr)
    throw Error{{.where = "a temporary file", .found = std::strerror(errno), .fix = "make room in the folder for temporary files"}};
  return f;
}

std::string text_of(std::FILE* f, size_t most) {
  std::rewind(f);
  std::string text(most, '\0');
  text.resize(std::fread(text.data(), 1, most, f));
  return text;
}

Error no_file(const std::string& path, int fault) {
  return Error{{.where = path, .found = std::strerror(fault), .expected = "a file to be written", .fix = "give --plots another folder"}};
}

// Runs gnuplot without a shell; its exit status. `more` are its arguments beside -d, which keeps settings of the user out.
int run_gnuplot(const std::vector<std::string>& more, int in, int out, int err) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
  std::vector<char*> words = {const_cast<char*>("gnuplot"), const_cast<char*>("-d")};
  for (const std::string& word : more) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t child = 0;
  const int fault = posix_spawnp(&child, "gnuplot", &files, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (fault != 0) throw Error{{.where = "--plots", .found = "no gnuplot", .expected = "it on PATH", .fix = "install gnuplot-nox"}};
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Throws Error where gnuplot fails, or ends well without a whole picture, as on a full disk.
void draw(const Plot& plot, std::FILE* picture) {
  const File script = temporary_file(), complaints = temporary_file();
  if (std::fwrite(plot.script.data(), 1, plot.script.size(), script.get()) != plot.script.size() || std::fflush(script.get()) != 0)
    throw no_file("the script of " + plot.file, errno);
  std::rewind(script.get());
  const int status = run_gnuplot({"-"}, fileno(script.get()), fileno(picture), fileno(complaints.get()));
  std::string end;
  if (std::fseek(picture, -16, SEEK_END) == 0) {
    end.resize(16);
    end.resize(std::fread(end.data(), 1, end.size(), picture));
  }
  if (status == 0 && end.find("</svg>") != std::string::npos) return;
  std::string said = text_of(complaints.get(), 300);
  while (said.starts_with('\n')) said.erase(0, 1);
  throw Error{{.where = plot.file,
               .found = status != 0 ? "gnuplot failed: " + said : "half a picture " + said,
               .expected = "a picture by gnuplot 5.4 or later",
               .fix = "see that gnuplot works and the disk has room"}};
}

}  // namespace

void check_plotting(const std::string& folder) {
  std::error_code fault;
  std::filesystem::create_directories(folder, fault);
  if (fault || !std::filesystem::is_directory(folder, fault))
    throw Error{{.where = "--plots " + folder,
                 .found = fault ? fault.message() : "a file",
                 .expected = "a folder, or a name for a new one",
                 .fix = "give another folder"}};
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw Error{{.where = "--plots " + folder,
                 .found = std::strerror(errno),
                 .expected = "a folder that takes new files",
                 .fix = "give another folder"}};
  const File nothing = temporary_file(), ignored = temporary_file();
  run_gnuplot({"--version"}, fileno(nothing.get()), fileno(ignored.get()), fileno(ignored.get()));
}

std::vector<std::string> draw_plots(const std::vector<Plot>& plots, const std::string& folder) {
  std::vector<std::string> paths;
  for (const Plot& plot : plots) {
    const std::string path = (std::filesystem::path(folder) / plot.file).string(), part = path + ".part";
    const File picture(std::fopen(part.c_str(), "w+e"));
    if (picture == nullptr) throw no_file(part, errno);
    try {
      draw(plot, picture.get());
    } catch (const Error&) {
      std::remove(part.c_str());
      throw;
    }
    if (std::rename(part.c_str(), path.c_str()) != 0) {
      const int fault = errno;
      std::remove(part.c_str());
      throw no_file(path, fault);
    }
    paths.push_back(path);
  }
  return paths;
}

}  // namespace wafer
