// stdout, which takes the text or the JSON alone, and the progress line on stderr.
#pragma once
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace wafer::cli {

// Writes and flushes. A reader that has hung up ends the program at once, quietly and with exit status 0: nobody wants the rest.
// Any other failure (a full disk, a closed stdout) is an Error. Requires: SIGPIPE is ignored.
void write_out(std::string_view text);

// A line to stderr, whole; failures are of no interest to anybody.
void write_err(std::string_view text);

// For work of which nobody knows the share that is done: a line on stderr that says what it is and since when, after two seconds, until
// the end of the object; only where stderr is a terminal. A thread of its own writes it, as the work calls nobody.
class Working {
 public:
  explicit Working(const std::string& what);
  ~Working();
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  std::thread writer_;
};

// One line on stderr, rewritten in place, for work longer than two seconds; only where stderr is a terminal.
class Progress {
 public:
  Progress() = default;
  ~Progress() { clear(); }  // an error message begins on a line of its own
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& what, std::optional<double> share);  // share done, 0 .. 1; nothing where it is not known
  void clear();                                                     // takes the line away; before other output
  void stop();                                                      // no line from here on: text streams to the same terminal

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
  std::string shown_;
  std::optional<Working> working_;
  bool stopped_ = false;
};

}  // namespace wafer::cli
