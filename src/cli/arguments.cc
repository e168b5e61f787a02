#include "cli/arguments.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/printable.h"
#include "model/gguf.h"

namespace wafer::cli {
namespace {

[[noreturn]] void refuse(std::string_view option, std::string_view text, const std::string& expected) {
  throw Error{{.where = std::string(option), .found = wafer::quoted(text), .expected = expected, .fix = "correct the option"}};
}

// All of the text as one number, or nothing.
template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

int64_t integer_of(std::string_view option, std::string_view text, int64_t least, int64_t most) {
  const std::optional<int64_t> value = number_in<int64_t>(text);
  if (!value || *value < least || *value > most) refuse(option, text, fmt::format("an integer from {} to {}", least, most));
  return *value;
}

std::vector<int> integers_of(std::string_view option, std::string_view text, int64_t least, int64_t most) {
  std::vector<int> values;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    values.push_back(static_cast<int>(integer_of(option, text.substr(at, end - at), least, most)));
    at = end + 1;
  }
  return values;
}

uint64_t seed_of(std::string_view option, std::string_view text) {
  const std::optional<uint64_t> value = number_in<uint64_t>(text);
  if (!value) refuse(option, text, "an integer from 0 to 2^64 - 1");
  return *value;
}

double real_of(std::string_view option, std::string_view text) {
  const std::optional<double> value = number_in<double>(text);
  if (!value) refuse(option, text, "a number");
  return *value;
}

mesh::Extent mesh_of(std::string_view option, std::string_view text) {
  const size_t at = text.find_first_of("xX");
  if (at != std::string_view::npos) {
    const std::optional<int> w = number_in<int>(text.substr(0, at)), h = number_in<int>(text.substr(at + 1));
    if (w && h && *w > 0 && *h > 0) return {.w = *w, .h = *h};
  }
  refuse(option, text, "WxH, the cores along x and along y of a region, such as 360x360");
}

Numerics numerics_of(std::string_view option, std::string_view text) {
  if (text == "mixed") return Numerics::mixed;
  if (text == "fp16") return Numerics::fp16;
  if (text == "fp32") return Numerics::fp32;
  refuse(option, text, "mixed, fp16 or fp32");
}

std::vector<int32_t> ids_of(std::string_view option, std::string_view text, int64_t vocab) {
  constexpr std::string_view kBetween = " \t\r\n,";
  std::string_view left = text;
  if (left.starts_with('[') && left.ends_with(']')) left = left.substr(1, left.size() - 2);  // as `tokenize` prints them
  std::vector<int32_t> ids;
  while (true) {
    left.remove_prefix(std::min(left.find_first_not_of(kBetween), left.size()));
    if (left.empty()) break;
    const std::string_view word = left.substr(0, left.find_first_of(kBetween));
    const std::optional<int32_t> id = number_in<int32_t>(word);
    if (!id || *id < 0 || *id >= vocab)
      refuse(option, word, fmt::format("token ids from 0 to {} with spaces or commas between them, such as \"1 403 407\"", vocab - 1));
    ids.push_back(*id);
    left.remove_prefix(word.size());
  }
  if (ids.empty()) refuse(option, text, "at least one token id, such as \"1\"");
  return ids;
}

}  // namespace wafer::cli
