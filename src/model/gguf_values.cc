// The values of GGUF metadata, decoded when they are asked for. The parser has checked every length.
#include <fmt/format.h>

#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "model/gguf.h"

namespace wafer {
namespace {

template <class T>
T load(const GgufValue& v, uint64_t index) {
  T x;
  std::memcpy(&x, v.bytes.data() + index * sizeof(T), sizeof(T));
  return x;
}

std::string_view text_of(const GgufValue& v) { return {reinterpret_cast<const char*>(v.bytes.data()), v.bytes.size()}; }

[[noreturn]] void wrong_type(const Gguf& g, std::string_view key, const GgufValue& v, const char* expected) {
  throw Error{{.where = fmt::format("{}, {}", g.path, key),
               .found = fmt::format("{} of type {}", to_text(v), name_of(v.type)),
               .expected = expected,
               .fix = "convert the model again"}};
}

// Element `i` as an integer, nothing if it is none or does not fit.
std::optional<int64_t> integer(const GgufValue& v, GgufType type, uint64_t i) {
  switch (type) {
    case GgufType::u8: return load<uint8_t>(v, i);
    case GgufType::i8: return load<int8_t>(v, i);
    case GgufType::u16: return load<uint16_t>(v, i);
    case GgufType::i16: return load<int16_t>(v, i);
    case GgufType::u32: return load<uint32_t>(v, i);
    case GgufType::i32: return load<int32_t>(v, i);
    case GgufType::i64: return load<int64_t>(v, i);
    case GgufType::u64: {
      const uint64_t x = load<uint64_t>(v, i);
      return x <= static_cast<uint64_t>(INT64_MAX) ? std::optional(static_cast<int64_t>(x)) : std::nullopt;
    }
    default: return {};
  }
}

std::optional<double> real(const GgufValue& v, GgufType type, uint64_t i) {
  if (type == GgufType::f32) return load<float>(v, i);
  if (type == GgufType::f64) return load<double>(v, i);
  if (const auto n = integer(v, type, i)) return static_cast<double>(*n);
  return {};
}

template <class T>
T need(const Gguf& g, std::string_view key, const std::optional<T>& value) {
  if (value) return *value;
  throw Error{
      {.where = g.path, .found = fmt::format("no metadata key {}", key), .expected = "it to be there", .fix = "convert the model again"}};
}

}  // namespace

std::optional<int64_t> get_int(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  const auto n = integer(*v, v->type, 0);
  if (!n) wrong_type(g, key, *v, "a whole number below 2^63");
  return n;
}

std::optional<double> get_float(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  const auto x = real(*v, v->type, 0);
  if (!x) wrong_type(g, key, *v, "a number");
  return x;
}

std::optional<bool> get_bool(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  if (v->type != GgufType::boolean) wrong_type(g, key, *v, "a bool");
  return load<uint8_t>(*v, 0) != 0;
}

std::optional<std::string_view> get_string(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  if (v->type != GgufType::string) wrong_type(g, key, *v, "a string");
  return text_of(*v);
}

std::optional<std::vector<int64_t>> get_ints(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  if (v->type != GgufType::array) wrong_type(g, key, *v, "an array of whole numbers");
  std::vector<int64_t> out;
  out.reserve(v->element == GgufType::array || v->element == GgufType::string ? 0 : v->count);
  for (uint64_t i = 0; i < v->count; i++) {
    const auto n = integer(*v, v->element, i);
    if (!n) wrong_type(g, key, *v, "an array of whole numbers");
    out.push_back(*n);
  }
  return out;
}

std::optional<std::vector<float>> get_floats(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  if (v->type != GgufType::array) wrong_type(g, key, *v, "an array of numbers");
  std::vector<float> out;
  out.reserve(v->element == GgufType::array || v->element == GgufType::string ? 0 : v->count);
  for (uint64_t i = 0; i < v->count; i++) {
    const auto x = real(*v, v->element, i);
    if (!x) wrong_type(g, key, *v, "an array of numbers");
    out.push_back(static_cast<float>(*x));
  }
  return out;
}

std::optional<std::vector<std::string_view>> get_strings(const Gguf& g, std::string_view key) {
  const GgufValue* v = find_value(g, key);
  if (!v) return {};
  if (v->type != GgufType::array || v->element != GgufType::string) wrong_type(g, key, *v, "an array of strings");
  std::vector<std::string_view> out;
  out.reserve(v->count);  // at least 8 bytes of the file each
  const char* p = reinterpret_cast<const char*>(v->bytes.data());
  for (uint64_t i = 0; i < v->count; i++) {
    uint64_t length;
    std::memcpy(&length, p, sizeof length);
    out.emplace_back(p + sizeof length, length);
    p += sizeof length + length;
  }
  return out;
}

int64_t need_int(const Gguf& g, std::string_view key) { return need(g, key, get_int(g, key)); }
double need_float(const Gguf& g, std::string_view key) { return need(g, key, get_float(g, key)); }
std::string_view need_string(const Gguf& g, std::string_view key) { return need(g, key, get_string(g, key)); }

void refuse_part_of_split(const Gguf& g) {
  const int64_t parts = get_int(g, "split.count").value_or(1);
  if (parts <= 1) return;
  const std::optional<int64_t> part = get_int(g, "split.no");  // from 0
  throw Error{{.where = g.path,
               .found = part ? fmt::format("part {} of {} of a split file", *part + 1, parts)
                             : fmt::format("one of the {} parts of a split file", parts),
               .expected = "the whole model in one file, as parts are not read",
               .fix = "join the parts, such as with llama.cpp's `llama-gguf-split --merge FIRST-PART JOINED`"}};
}

std::string to_text(const GgufValue& v) {
  switch (v.type) {
    case GgufType::array: return fmt::format("[{} x {}]", v.count, name_of(v.element));
    case GgufType::string: return quoted(text_of(v));
    case GgufType::boolean: return load<uint8_t>(v, 0) ? "true" : "false";
    case GgufType::f32: return fmt::format("{}", load<float>(v, 0));
    case GgufType::f64: return fmt::format("{}", load<double>(v, 0));
    case GgufType::u64: return fmt::format("{}", load<uint64_t>(v, 0));
    default: return fmt::format("{}", integer(v, v.type, 0).value_or(0));
  }
}

}  // namespace wafer
