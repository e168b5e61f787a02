#include "base/error.h"

namespace wafer {
namespace {

std::string one_line(const ErrorText& t) {
  std::string s;
  if (!t.where.empty()) s += t.where + ": ";
  s += "found " + t.found;
  if (!t.expected.empty()) s += ", expected " + t.expected;
  if (!t.fix.empty()) s += "; " + t.fix;
  // Text out of a file may hold anything; the message stays one printable line.
  for (char& c : s)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return s;
}

}  // namespace

Error::Error(const ErrorText& text) : std::runtime_error(one_line(text)) {}

}  // namespace wafer
