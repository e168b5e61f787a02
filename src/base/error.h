// The one type thrown for bad input: a file, an option, a device, a plan that does not fit.
// Our own bugs go to CHECK (check.h) instead; nothing else is thrown.
#pragma once
#include <stdexcept>
#include <string>

namespace wafer {

// What to tell the user. `where` is a file, byte offset, key or option; `fix` is what to do; any may be empty but `found`.
struct ErrorText {
  std::string where;
  std::string found;
  std::string expected;
  std::string fix;
};

// One line, escaped (printable.h): "WHERE: found FOUND, expected EXPECTED; FIX". The CLI prints it and exits with 2.
class Error : public std::runtime_error {
 public:
  explicit Error(const ErrorText& text);
};

}  // namespace wafer
