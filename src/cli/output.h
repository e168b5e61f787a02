// stdout, which takes the text or the JSON alone, and the progress line on stderr.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

namespace wafer::cli {

// Writes and flushes. A reader that has hung up ends the program at once, quietly and with exit status 0: nobody wants the rest.
// Any other failure (a full disk, a closed stdout) is an Error. Requires: SIGPIPE is ignored.
void write_out(std::string_view text);

// A line to stderr, whole; failures are of no interest to anybody.
void write_err(std::string_view text);

// One line on stderr, rewritten in place, for work longer than two seconds; only where stderr is a terminal.
class Progress {
 public:
  Progress() = default;
  ~Progress() { clear(); }  // an error message begins on a line of its own
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& what, double share);  // share done, 0 .. 1
  void clear();                                      // takes the line away; before other output
  void stop();                                       // no line from here on: text streams to the same terminal

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
  std::string shown_;
  bool stopped_ = false;
};

}  // namespace wafer::cli
