#include "base/utf8.h"

#include <algorithm>
#include <cstddef>

namespace wafer {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the character that a lead byte opens and the range of its second byte (Unicode 15, table 3-7). 0: no lead byte.
struct Lead {
  size_t length;
  unsigned char low = 0x80, high = 0xbf;
};

Lead lead_of(unsigned char c) {
  if (c < 0x80) return {1};
  if (c < 0xc2) return {0};
  if (c < 0xe0) return {2};
  if (c == 0xe0) return {3, 0xa0, 0xbf};
  if (c == 0xed) return {3, 0x80, 0x9f};
  if (c < 0xf0) return {3};
  if (c == 0xf0) return {4, 0x90, 0xbf};
  if (c < 0xf4) return {4};
  if (c == 0xf4) return {4, 0x80, 0x8f};
  return {0};
}

// How many bytes at the head of `s` are the beginning of a character, and whether they are all of it.
struct Prefix {
  size_t length;
  bool complete;
};

Prefix prefix_of(std::string_view s) {
  const Lead lead = lead_of(static_cast<unsigned char>(s[0]));
  if (lead.length == 0) return {1, false};
  size_t n = 1;
  while (n < std::min(lead.length, s.size())) {
    const unsigned char c = static_cast<unsigned char>(s[n]);
    if (c < (n == 1 ? lead.low : 0x80) || c > (n == 1 ? lead.high : 0xbf)) break;
    n++;
  }
  return {n, n == lead.length};
}

}  // namespace

Utf8Character first_character(std::string_view text) {
  const Prefix p = prefix_of(text);
  if (!p.complete) return {p.length, std::nullopt};
  constexpr unsigned char kLeadBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};  // of the first byte, by the character's length
  char32_t code = static_cast<unsigned char>(text[0]) & kLeadBits[p.length];
  for (size_t i = 1; i < p.length; i++) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  return {p.length, code};
}

std::string push(Utf8Stream& stream, std::string_view bytes) {
  const std::string joined = stream.pending.append(bytes);
  std::string_view left = joined;
  std::string out;
  out.reserve(joined.size());
  while (!left.empty()) {
    const Prefix p = prefix_of(left);
    // Incomplete at the very end, and its first byte opens a character: more may come.
    if (!p.complete && p.length == left.size() && lead_of(static_cast<unsigned char>(left[0])).length != 0) break;
    out += p.complete ? left.substr(0, p.length) : kReplacement;
    left.remove_prefix(p.length);
  }
  stream.pending = left;
  return out;
}

std::string flush(Utf8Stream& stream) {
  const bool any = !stream.pending.empty();
  stream.pending.clear();
  return any ? std::string(kReplacement) : std::string();
}

std::string to_valid_utf8(std::string_view bytes) {
  Utf8Stream stream;
  std::string out = push(stream, bytes);
  return out + flush(stream);
}

}  // namespace wafer
