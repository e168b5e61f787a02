#include "cli/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"

namespace wafer::cli {
namespace {

// Returns 0 or errno.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {  // somebody made the descriptor non-blocking
      pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&wait, 1, -1);
      continue;
    }
    if (n < 0) return errno;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

bool stderr_is_terminal() {
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return terminal;
}

// Back to the start of the line, and the line is empty.
constexpr const char* kEmptyLine = "\r\x1b[K";
constexpr std::chrono::seconds kPatience{2};

}  // namespace

void write_out(std::string_view text) {
  const int fault = write_all(STDOUT_FILENO, text);
  if (fault == EPIPE) std::_Exit(0);
  if (fault != 0)
    throw Error{
        {.where = "stdout", .found = std::strerror(fault), .expected = "a stdout that takes the output", .fix = "redirect it elsewhere"}};
}

void write_err(std::string_view text) { write_all(STDERR_FILENO, text); }

Working::Working(const std::string& what) {
  if (!stderr_is_terminal()) return;
  writer_ = std::thread([this, what = escaped(what)] {
    std::unique_lock lock(mutex_);
    const auto start = std::chrono::steady_clock::now();
    std::chrono::seconds after = kPatience;
    for (; !end_.wait_until(lock, start + after, [&] { return ended_; }); after += std::chrono::seconds(1))
      write_err(fmt::format("{}waferllm: {}, {} s", kEmptyLine, what, after.count()));
    if (after > kPatience) write_err(kEmptyLine);
  });
}

Working::~Working() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_one();
  writer_.join();
}

void Progress::show(const std::string& what, std::optional<double> share) {
  if (!stderr_is_terminal() || stopped_) return;
  if (!share) {
    clear();
    working_.emplace(what);
    return;
  }
  working_.reset();
  const Clock::time_point now = Clock::now();
  if (now - start_ < kPatience || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const std::string line = fmt::format("waferllm: {} {:.0f} %", escaped(what), 100 * std::clamp(*share, 0.0, 1.0));
  if (line == shown_) return;
  shown_ = line;
  write_err(kEmptyLine + line);
}

void Progress::clear() {
  working_.reset();
  if (!shown_.empty()) write_err(kEmptyLine);
  shown_.clear();
}

void Progress::stop() {
  clear();
  stopped_ = true;
}

}  // namespace wafer::cli
