// GGUF, the checkpoint format of the ggml world: versions 2 and 3, little endian. docs/formats.md says what is read.
//
// The file is mapped and checked whole before anything is used: after load_gguf every view below lies inside the file and
// every array holds as many elements as it says. Nothing is decoded or copied until it is asked for, so a false count in
// a broken file costs nothing.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mmap.h"
#include "model/config.h"

namespace wafer {

// The numbers are the file's.
enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

std::string_view name_of(GgufType type);

// One metadata value, still in the file's bytes: a number's, a string's text, or the elements of an array one after the other.
struct GgufValue {
  GgufType type = GgufType::u8;
  GgufType element = GgufType::u8;  // of an array
  uint64_t count = 1;               // elements of an array, else 1
  std::span<const std::byte> bytes;
};

struct GgufPair {
  std::string_view key;
  GgufValue value;
};

struct GgufTensor {
  std::string_view name;
  TensorType type = TensorType::f32;
  std::array<int64_t, 4> shape = {1, 1, 1, 1};  // [0] is contiguous
  int dimensions = 1;
  std::span<const std::byte> bytes;
};

struct Gguf {
  std::string path;
  std::shared_ptr<const MappedFile> file;  // keeps every view alive; null where the bytes were given
  uint32_t version = 0;
  uint64_t alignment = 32;
  std::vector<GgufPair> metadata;   // in the file's order
  std::vector<GgufTensor> tensors;  // in the file's order; empty where only metadata was asked for
  std::unordered_map<std::string_view, size_t> metadata_index;
  std::unordered_map<std::string_view, size_t> tensor_index;
};

// A tokenizer needs only the metadata, and so reads files whose tensors are of types not supported here.
enum class GgufPart { all, metadata };

Gguf load_gguf(const std::string& path, GgufPart part = GgufPart::all);
// The same of bytes in memory, which must outlive the result; `path` is for messages.
Gguf parse_gguf(std::span<const std::byte> bytes, const std::string& path, GgufPart part = GgufPart::all);

const GgufValue* find_value(const Gguf& gguf, std::string_view key);     // null: no such key
const GgufTensor* find_tensor(const Gguf& gguf, std::string_view name);  // null: no such tensor

// The value of a key, nothing where there is no such key. A value of another type, or one that does not fit, is an Error.
std::optional<int64_t> get_int(const Gguf& gguf, std::string_view key);
std::optional<double> get_float(const Gguf& gguf, std::string_view key);  // integers too
std::optional<bool> get_bool(const Gguf& gguf, std::string_view key);
std::optional<std::string_view> get_string(const Gguf& gguf, std::string_view key);
std::optional<std::vector<int64_t>> get_ints(const Gguf& gguf, std::string_view key);
std::optional<std::vector<float>> get_floats(const Gguf& gguf, std::string_view key);
std::optional<std::vector<std::string_view>> get_strings(const Gguf& gguf, std::string_view key);

// The same of a key that must be there.
int64_t need_int(const Gguf& gguf, std::string_view key);
double need_float(const Gguf& gguf, std::string_view key);
std::string_view need_string(const Gguf& gguf, std::string_view key);

// Throws Error where the file is one part of a model in several (split.count), which it tells by itself.
void refuse_part_of_split(const Gguf& gguf);

// One value as short text for listings: "32", "llama", "[512 x string]".
std::string to_text(const GgufValue& value);

}  // namespace wafer
