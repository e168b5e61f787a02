// Bytes that arrive in pieces, given on as whole characters: half a character is never printed.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace wafer {

// Holds back the beginning of an incomplete character (at most 3 bytes). Each maximal ill-formed part becomes one U+FFFD,
// as the Unicode standard recommends (section 3.9) and browsers do.
struct Utf8Stream {
  std::string pending;
};

// Returns what can be printed now, always valid UTF-8.
std::string push(Utf8Stream& stream, std::string_view bytes);
// At the end: U+FFFD where an incomplete character is left, else nothing.
std::string flush(Utf8Stream& stream);

// A whole text: push and flush.
std::string to_valid_utf8(std::string_view bytes);

// The first character of a text, or the first part of it that is none.
struct Utf8Character {
  size_t bytes = 0;              // at least 1
  std::optional<char32_t> code;  // nothing: ill-formed
};
Utf8Character first_character(std::string_view text);  // Requires: text is not empty

}  // namespace wafer
