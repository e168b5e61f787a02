#include "model/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"

namespace wafer {
namespace {

constexpr std::string_view kTypeNames[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
constexpr uint64_t kTypeBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};  // 0: of no fixed size
constexpr int kDeepestArray = 4;                                            // arrays in arrays; real files have none
constexpr uint64_t kLongestName = 65535;                                    // of a key or tensor; the format's own bound for keys

// ggml's numbers of tensor types, for messages; holes are types that were removed.
constexpr std::string_view kGgmlTypes[] = {"F32",       "F16",       "Q4_0",    "Q4_1",  "(removed)", "(removed)", "Q5_0",      "Q5_1",
                                           "Q8_0",      "Q8_1",      "Q2_K",    "Q3_K",  "Q4_K",      "Q5_K",      "Q6_K",      "Q8_K",
                                           "IQ2_XXS",   "IQ2_XS",    "IQ3_XXS", "IQ1_S", "IQ4_NL",    "IQ3_S",     "IQ2_S",     "IQ4_XS",
                                           "I8",        "I16",       "I32",     "I64",   "F64",       "IQ1_M",     "BF16",      "(removed)",
                                           "(removed)", "(removed)", "TQ1_0",   "TQ2_0", "(removed)", "(removed)", "(removed)", "MXFP4"};

// A position in the file; every read checks what is left first.
struct Reader {
  std::span<const std::byte> bytes;
  const std::string& path;
  size_t offset = 0;
};

[[noreturn]] void fail(const Reader& r, size_t offset, std::string found, std::string expected,
                       std::string fix = "get the file again, it is damaged") {
  throw Error{{.where = fmt::format("{}, byte {}", r.path, offset),
               .found = std::move(found),
               .expected = std::move(expected),
               .fix = std::move(fix)}};
}

size_t left(const Reader& r) { return r.bytes.size() - r.offset; }

std::span<const std::byte> take(Reader& r, uint64_t count, std::string_view what) {
  if (count > left(r))
    fail(r, r.offset, fmt::format("the end of the file after {} bytes", left(r)), fmt::format("{} bytes of {}", count, what),
         "get the file again, it is cut short or damaged");
  const std::span<const std::byte> part = r.bytes.subspan(r.offset, count);
  r.offset += count;
  return part;
}

template <class T>
T load(std::span<const std::byte> bytes, size_t index = 0) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <class T>
T number(Reader& r, std::string_view what) {
  return load<T>(take(r, sizeof(T), what));
}

std::string_view as_text(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string_view text(Reader& r, std::string_view what) { return as_text(take(r, number<uint64_t>(r, what), what)); }

std::string_view name(Reader& r, std::string_view what) {
  const size_t start = r.offset;
  const std::string_view s = text(r, what);
  if (s.empty() || s.size() > kLongestName)
    fail(r, start, fmt::format("a {} of {} bytes", what, s.size()), fmt::format("1 to {}", kLongestName));
  return s;
}

GgufType value_type(Reader& r) {
  const size_t start = r.offset;
  const uint32_t type = number<uint32_t>(r, "value type");
  if (type >= std::size(kTypeNames)) fail(r, start, fmt::format("value type {}", type), fmt::format("0 to {}", std::size(kTypeNames) - 1));
  return static_cast<GgufType>(type);
}

void array_header(Reader& r, GgufValue& value) {
  value.element = value_type(r);
  value.count = number<uint64_t>(r, "array length");
}

// Steps over the elements of an array, checking each.
void skip_elements(Reader& r, const GgufValue& array, int depth) {
  if (array.element == GgufType::string) {
    for (uint64_t i = 0; i < array.count; i++) text(r, "string in an array");
  } else if (array.element == GgufType::array) {
    if (depth == kDeepestArray) fail(r, r.offset, "arrays nested deeper", fmt::format("at most {} levels", kDeepestArray));
    for (uint64_t i = 0; i < array.count; i++) {
      GgufValue inner{.type = GgufType::array};
      array_header(r, inner);
      skip_elements(r, inner, depth + 1);
    }
  } else {
    const uint64_t size = kTypeBytes[static_cast<size_t>(array.element)];
    if (array.count > left(r) / size)
      fail(r, r.offset, fmt::format("an array of {} {}", array.count, name_of(array.element)),
           fmt::format("at most the {} bytes that are left", left(r)));
    take(r, array.count * size, "array");
  }
}

GgufValue value(Reader& r) {
  GgufValue v{.type = value_type(r)};
  if (v.type == GgufType::string) {
    v.bytes = take(r, number<uint64_t>(r, "string length"), "string");
  } else if (v.type == GgufType::array) {
    array_header(r, v);
    const size_t start = r.offset;
    skip_elements(r, v, 1);
    v.bytes = r.bytes.subspan(start, r.offset - start);
  } else {
    const size_t start = r.offset;
    v.bytes = take(r, kTypeBytes[static_cast<size_t>(v.type)], name_of(v.type));
    if (v.type == GgufType::boolean && load<uint8_t>(v.bytes) > 1) fail(r, start, fmt::format("bool {}", load<uint8_t>(v.bytes)), "0 or 1");
  }
  return v;
}

// Magic, version and the two counts.
struct Counts {
  uint64_t tensors, pairs;
};

Counts header(Reader& r, Gguf& g) {
  const std::string_view start = as_text(r.bytes.first(std::min<size_t>(r.bytes.size(), 4)));
  if (start != "GGUF") fail(r, 0, quoted(start), "\"GGUF\"", "name a GGUF checkpoint");
  r.offset = 4;
  g.version = number<uint32_t>(r, "version");
  if (g.version != 0 && (g.version & 0xffffu) == 0)
    fail(r, 4, fmt::format("version {:#x}, so a big-endian file", g.version), "little endian",
         "convert the model for little-endian machines");
  if (g.version != 2 && g.version != 3) fail(r, 4, fmt::format("GGUF version {}", g.version), "version 2 or 3", "convert the model again");
  Counts c;
  c.tensors = number<uint64_t>(r, "tensor count");
  c.pairs = number<uint64_t>(r, "metadata count");
  return c;
}

void metadata(Reader& r, Gguf& g, uint64_t count) {
  // The smallest pair: a key of one byte, a type, a value of one byte.
  if (count > left(r) / 14)
    fail(r, 16, fmt::format("{} metadata pairs", count), fmt::format("at most {} in a file of this size", left(r) / 14));
  g.metadata.reserve(count);
  for (uint64_t i = 0; i < count; i++) {
    const size_t start = r.offset;
    const std::string_view key = name(r, "metadata key");
    const GgufValue v = value(r);
    if (!g.metadata_index.emplace(key, g.metadata.size()).second)
      fail(r, start, fmt::format("the key {} twice", quoted(key)), "each key once");
    g.metadata.push_back({key, v});
  }
  if (const GgufValue* alignment = find_value(g, "general.alignment")) {
    if (alignment->type != GgufType::u32 || !std::has_single_bit(load<uint32_t>(alignment->bytes)))
      throw Error{
          {.where = r.path + ", general.alignment", .found = to_text(*alignment), .expected = "a u32 that is a power of two", .fix = ""}};
    g.alignment = load<uint32_t>(alignment->bytes);
  }
}

TensorType tensor_type(uint32_t ggml, std::string_view tensor, const std::string& path) {
  switch (ggml) {
    case 0: return TensorType::f32;
    case 1: return TensorType::f16;
    case 2: return TensorType::q4_0;
    case 8: return TensorType::q8_0;
    case 30: return TensorType::bf16;
  }
  const std::string_view known = ggml < std::size(kGgmlTypes) ? kGgmlTypes[ggml] : "unknown";
  throw Error{{.where = fmt::format("{}, tensor {}", path, quoted(tensor)),
               .found = fmt::format("tensor type {} (ggml type {})", known, ggml),
               .expected = "F32, F16, BF16, Q8_0 or Q4_0",
               .fix = "convert or quantise the model to one of these"}};
}

// Reads one tensor's record. Its data follow later: `offset` is counted from the start of the data.
GgufTensor tensor(Reader& r, uint64_t& offset) {
  GgufTensor t;
  t.name = name(r, "tensor name");
  const std::string where = fmt::format("{}, tensor {}", r.path, quoted(t.name));
  const uint32_t dimensions = number<uint32_t>(r, "number of dimensions");
  if (dimensions < 1 || dimensions > 4)
    throw Error{{.where = where,
                 .found = fmt::format("{} dimensions", dimensions),
                 .expected = "1 to 4",
                 .fix = "get the file again, it is damaged"}};
  t.dimensions = static_cast<int>(dimensions);
  int64_t elements = 1;
  for (uint32_t d = 0; d < dimensions; d++) {
    const uint64_t extent = number<uint64_t>(r, "dimension");
    // 2^48 elements: no file is larger, and the bytes of every type still fit.
    if (extent < 1 || extent > (uint64_t{1} << 48) || __builtin_mul_overflow(elements, static_cast<int64_t>(extent), &elements) ||
        elements > (int64_t{1} << 48))
      throw Error{{.where = where,
                   .found = fmt::format("extent {} in dimension {}", extent, d),
                   .expected = "at least 1 and at most 2^48 elements in all",
                   .fix = "get the file again, it is damaged"}};
    t.shape[d] = static_cast<int64_t>(extent);
  }
  t.type = tensor_type(number<uint32_t>(r, "tensor type"), t.name, r.path);
  if (t.shape[0] % block_elements(t.type) != 0)
    throw Error{{.where = where,
                 .found = fmt::format("rows of {} elements", t.shape[0]),
                 .expected = fmt::format("a multiple of {}, a block of {}", block_elements(t.type), name_of(t.type)),
                 .fix = "get the file again, it is damaged"}};
  offset = number<uint64_t>(r, "tensor offset");
  return t;
}

void tensors(Reader& r, Gguf& g, uint64_t count) {
  // The smallest record: a name of one byte, one dimension.
  if (count > left(r) / 33) fail(r, 8, fmt::format("{} tensors", count), fmt::format("at most {} in a file of this size", left(r) / 33));
  g.tensors.reserve(count);
  std::vector<uint64_t> offsets(count);
  for (uint64_t i = 0; i < count; i++) {
    const size_t start = r.offset;
    const GgufTensor t = tensor(r, offsets[i]);
    if (!g.tensor_index.emplace(t.name, i).second) fail(r, start, fmt::format("the tensor {} twice", quoted(t.name)), "each tensor once");
    g.tensors.push_back(t);
  }
  // An offset of 2^63 would still not wrap below: alignment is at most 2^31 and the file smaller than 2^63.
  const uint64_t data = (r.offset + g.alignment - 1) / g.alignment * g.alignment;
  for (uint64_t i = 0; i < count; i++) {
    GgufTensor& t = g.tensors[i];
    const std::string where = fmt::format("{}, tensor {}", r.path, quoted(t.name));
    if (offsets[i] % g.alignment != 0)
      throw Error{{.where = where,
                   .found = fmt::format("offset {}", offsets[i]),
                   .expected = fmt::format("a multiple of {}", g.alignment),
                   .fix = "get the file again, it is damaged"}};
    const uint64_t size = static_cast<uint64_t>(bytes_of(t.type, t.shape[0] * t.shape[1] * t.shape[2] * t.shape[3]));
    const uint64_t room = data < r.bytes.size() ? r.bytes.size() - data : 0;
    if (offsets[i] > room || size > room - offsets[i])
      throw Error{{.where = where,
                   .found = fmt::format("{} bytes at byte {} + {} of a file of {}", size, data, offsets[i], r.bytes.size()),
                   .expected = "the tensor to lie inside the file",
                   .fix = "get the file again, it is cut short or damaged"}};
    t.bytes = r.bytes.subspan(data + offsets[i], size);
  }
}

}  // namespace

std::string_view name_of(GgufType type) { return kTypeNames[static_cast<size_t>(type)]; }

Gguf parse_gguf(std::span<const std::byte> bytes, const std::string& path, GgufPart part) {
  Gguf g{.path = path};
  Reader r{.bytes = bytes, .path = path};
  const Counts counts = header(r, g);
  metadata(r, g, counts.pairs);
  if (part == GgufPart::all) tensors(r, g, counts.tensors);
  return g;
}

Gguf load_gguf(const std::string& path, GgufPart part) {
  auto file = std::make_shared<const MappedFile>(path);
  Gguf g = parse_gguf(file->bytes(), path, part);
  g.file = std::move(file);
  return g;
}

const GgufValue* find_value(const Gguf& g, std::string_view key) {
  const auto found = g.metadata_index.find(key);
  return found == g.metadata_index.end() ? nullptr : &g.metadata[found->second].value;
}

const GgufTensor* find_tensor(const Gguf& g, std::string_view tensor_name) {
  const auto found = g.tensor_index.find(tensor_name);
  return found == g.tensor_index.end() ? nullptr : &g.tensors[found->second];
}

}  // namespace wafer
