#include "cli/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

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

}  // namespace

void write_out(std::string_view text) {
  const int fault = write_all(STDOUT_FILENO, text);
  if (fault == EPIPE) std::_Exit(0);
  if (fault != 0)
    throw Error{
        {.where = "stdout", .found = std::strerror(fault), .expected = "a stdout that takes the output", .fix = "redirect it elsewhere"}};
}

void write_err(std::string_view text) { write_all(STDERR_FILENO, text); }

void Progress::show(const std::string& what, double share) {
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  if (!terminal || stopped_) return;
  const Clock::time_point now = Clock::now();
  if (now - start_ < std::chrono::seconds(2) || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const std::string line = fmt::format("{} {:.0f} %", what, 100 * std::clamp(share, 0.0, 1.0));
  if (line == shown_) return;
  shown_ = line;
  write_err("\r\x1b[K" + line);
}

void Progress::clear() {
  if (!shown_.empty()) write_err("\r\x1b[K");
  shown_.clear();
}

void Progress::stop() {
  clear();
  stopped_ = true;
}

}  // namespace wafer::cli
