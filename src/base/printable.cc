#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.h"

namespace wafer {
namespace {

struct Range {
  char32_t first, last;
};

// The general categories Cc, Zl, Zp and Cf of Unicode 15, without the Arabic and Kaithi signs of Cf, which are seen.
constexpr Range kInvisible[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c},   {0x180e, 0x180e},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe007f},
};

std::string written_out(char32_t code) {
  const auto number = static_cast<uint32_t>(code);
  switch (number) {
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
  }
  return number < 0x80      ? fmt::format("\\x{:02x}", number)
         : number < 0x10000 ? fmt::format("\\u{:04x}", number)
                            : fmt::format("\\U{:08x}", number);
}

void append_character(std::string& out, std::string_view bytes, std::optional<char32_t> code) {
  if (!code)
    for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  else
    out += is_invisible(*code) ? written_out(*code) : std::string(bytes);
}

}  // namespace

bool is_invisible(char32_t code) {
  return std::any_of(std::begin(kInvisible), std::end(kInvisible), [&](const Range& r) { return r.first <= code && code <= r.last; });
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Character c = first_character(text);
    append_character(out, text.substr(0, c.bytes), c.code);
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string quoted(std::string_view text) {
  constexpr int kMost = 60;
  std::string out = "\"";
  for (int n = 0; !text.empty(); n++) {
    if (n == kMost) return out + "...\"";
    const Utf8Character c = first_character(text);
    if (c.code == U'"' || c.code == U'\\') out += '\\';
    append_character(out, text.substr(0, c.bytes), c.code);
    text.remove_prefix(c.bytes);
  }
  return out + "\"";
}

}  // namespace wafer
