#include "report/json_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "base/utf8.h"

namespace wafer {
namespace {

// JSON writes characters past U+FFFF as two surrogates.
std::string json_escape(char32_t code) {
  const auto number = static_cast<uint32_t>(code);
  if (number < 0x10000) return fmt::format("\\u{:04x}", number);
  return fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((number - 0x10000) >> 10), 0xdc00 + ((number - 0x10000) & 0x3ff));
}

}  // namespace

std::string json_line(const nlohmann::ordered_json& json) {
  // The library writes out what is below 0x20 and no more; all that is left stands inside strings.
  const std::string text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (std::string_view left = text; !left.empty();) {
    const Utf8Character c = first_character(left);
    if (c.code && is_invisible(*c.code))
      out += json_escape(*c.code);
    else
      out += left.substr(0, c.bytes);
    left.remove_prefix(c.bytes);
  }
  return out;
}

}  // namespace wafer
