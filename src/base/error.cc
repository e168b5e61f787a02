#include "base/error.h"

#include "base/printable.h"

namespace wafer {
namespace {

std::string one_line(const ErrorText& t) {
  std::string s;
  if (!t.where.empty()) s += t.where + ": ";
  s += "found " + t.found;
  if (!t.expected.empty()) s += ", expected " + t.expected;
  if (!t.fix.empty()) s += "; " + t.fix;
  return escaped(s);  // text out of a file may hold anything
}

}  // namespace

Error::Error(const ErrorText& text) : std::runtime_error(one_line(text)) {}

}  // namespace wafer
