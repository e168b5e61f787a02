#include "model/gguf.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "model/model.h"
#include "support/gguf_writer.h"
#include "support/oracle.h"

namespace wafer {
namespace {

Gguf parse(const std::string& bytes, GgufPart part = GgufPart::all) { return parse_gguf(std::as_bytes(std::span(bytes)), "test", part); }

void expect_error(const std::string& bytes, const std::string& text) {
  try {
    parse(bytes);
    FAIL() << "parsed, expected " << text;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
  }
}

std::string with_pair(uint32_t type, const std::string& value) {
  GgufWriter w;
  add_raw(w, "key", type, value);
  return write(w);
}

TEST(Gguf, ReadsEveryKindOfValue) {
  GgufWriter w;
  add_raw(w, "u8", 0, "\xff");
  add_raw(w, "i8", 1, "\xff");
  add_raw(w, "u16", 2, "\xff\xff");
  add_raw(w, "i16", 3, "\xfe\xff");
  add_int(w, "u32", 4000000000u);
  add_raw(w, "i32", 5, le32(static_cast<uint32_t>(-5)));
  add_float(w, "f32", 1.5f);
  add_raw(w, "bool", 7, std::string(1, '\1'));
  add_string(w, "string", "hello");
  add_raw(w, "u64", 10, le64(uint64_t{1} << 40));
  add_raw(w, "big", 10, le64(UINT64_MAX));
  add_raw(w, "i64", 11, le64(UINT64_MAX));
  add_raw(w, "f64", 12, std::string("\0\0\0\0\0\0\xf0\x3f", 8));
  add_strings(w, "strings", {"a", "", "ccc"});
  add_floats(w, "floats", {1, 2});
  add_ints(w, "ints", {-1, 7});
  add_raw(w, "nested", 9, le32(9) + le64(2) + le32(4) + le64(1) + le32(3) + le32(8) + le64(1) + counted("x"));
  const std::string bytes = write(w);
  const Gguf g = parse(bytes);
  EXPECT_EQ(get_int(g, "u8"), 255);
  EXPECT_EQ(get_int(g, "i8"), -1);
  EXPECT_EQ(get_int(g, "u16"), 65535);
  EXPECT_EQ(get_int(g, "i16"), -2);
  EXPECT_EQ(get_int(g, "u32"), 4000000000);
  EXPECT_EQ(get_int(g, "i32"), -5);
  EXPECT_EQ(get_float(g, "f32"), 1.5);
  EXPECT_EQ(get_float(g, "i32"), -5.0);
  EXPECT_EQ(get_bool(g, "bool"), true);
  EXPECT_EQ(get_string(g, "string"), "hello");
  EXPECT_EQ(get_int(g, "u64"), int64_t{1} << 40);
  EXPECT_EQ(get_int(g, "i64"), -1);
  EXPECT_EQ(get_float(g, "f64"), 1.0);
  EXPECT_EQ(get_strings(g, "strings"), (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(get_floats(g, "floats"), (std::vector<float>{1, 2}));
  EXPECT_EQ(get_ints(g, "ints"), (std::vector<int64_t>{-1, 7}));
  EXPECT_EQ(get_int(g, "none"), std::nullopt);
  EXPECT_EQ(to_text(*find_value(g, "nested")), "[2 x array]");
  EXPECT_EQ(to_text(*find_value(g, "strings")), "[3 x string]");
  EXPECT_THROW(get_int(g, "big"), Error);
  EXPECT_THROW(get_int(g, "string"), Error);
  EXPECT_THROW(get_ints(g, "nested"), Error);
  EXPECT_THROW(get_string(g, "u8"), Error);
  EXPECT_THROW(get_bool(g, "u8"), Error);
  EXPECT_THROW(need_int(g, "none"), Error);
}

TEST(Gguf, ReadsTensorsOfBothVersions) {
  GgufWriter w;
  add_tensor(w, "a", TensorType::q8_0, {64, 3});
  add_tensor(w, "b", TensorType::f32, {5});
  for (uint32_t version : {2u, 3u}) {
    const std::string bytes = write(w, version);
    const Gguf g = parse(bytes);
    ASSERT_EQ(g.tensors.size(), 2u);
    EXPECT_EQ(g.version, version);
    const GgufTensor* a = find_tensor(g, "a");
    ASSERT_TRUE(a);
    EXPECT_EQ(a->bytes.size(), 34u * 2 * 3);
    EXPECT_EQ(a->shape[1], 3);
    EXPECT_EQ((reinterpret_cast<const char*>(a->bytes.data()) - bytes.data()) % 32, 0);
    EXPECT_EQ(find_tensor(g, "b")->bytes.size(), 20u);
    EXPECT_TRUE(parse(bytes, GgufPart::metadata).tensors.empty());
  }
}

TEST(Gguf, SaysWhatIsWrongWithTheHead) {
  expect_error("", "expected \"GGUF\"");
  expect_error("GG", "byte 0: found \"GG\"");
  expect_error("PK\3\4.......", "\"PK\\x03\\x04\"");
  expect_error(write({}, 1), "GGUF version 1");
  expect_error(write({}, 4), "GGUF version 4");
  expect_error(write({}, 0x03000000), "big-endian");
  expect_error("GGUF" + le32(3) + le64(0), "byte 16: found the end of the file");
  expect_error("GGUF" + le32(3) + le64(0) + le64(UINT64_MAX), "18446744073709551615 metadata pairs");
  expect_error("GGUF" + le32(3) + le64(UINT64_MAX) + le64(0), "18446744073709551615 tensors");
}

TEST(Gguf, SaysWhatIsWrongWithMetadata) {
  expect_error(with_pair(13, ""), "value type 13");
  expect_error(with_pair(7, "\2"), "bool 2");
  expect_error(with_pair(8, le64(UINT64_MAX)), "the end of the file after 0 bytes");
  expect_error(with_pair(9, le32(4) + le64(UINT64_MAX / 2)), "an array of 9223372036854775807 u32");
  expect_error(with_pair(9, le32(8) + le64(UINT64_MAX)), "end of the file");
  expect_error(with_pair(9, le32(99) + le64(1)), "value type 99");
  expect_error(with_pair(9, le32(9) + le64(UINT64_MAX)), "end of the file");
  // Arrays in arrays, deeper than anyone needs: an Error, not a deep recursion.
  std::string deep;
  for (int i = 0; i < 100000; i++) deep += le32(9) + le64(1);
  expect_error(with_pair(9, deep), "nested deeper");
  GgufWriter twice;
  add_int(twice, "key", 1);
  add_int(twice, "key", 2);
  expect_error(write(twice), "the key \"key\" twice");
  GgufWriter nameless;
  add_int(nameless, "", 1);
  expect_error(write(nameless), "metadata key of 0 bytes");
  for (uint32_t alignment : {0u, 3u}) {
    GgufWriter w;
    add_int(w, "general.alignment", alignment);
    expect_error(write(w), "power of two");
  }
  GgufWriter odd;
  add_string(odd, "general.alignment", "32\n");
  expect_error(write(odd), "general.alignment: found \"32\\n\"");
}

// One tensor whose record is given field by field.
std::string with_tensor(const std::string& record, size_t data_bytes = 64) {
  std::string s = "GGUF" + le32(3) + le64(1) + le64(0) + record;
  s.resize((s.size() + 31) / 32 * 32 + data_bytes);
  return s;
}

TEST(Gguf, SaysWhatIsWrongWithATensor) {
  const std::string name = counted("tensor");
  EXPECT_EQ(parse(with_tensor(name + le32(1) + le64(16) + le32(0) + le64(0))).tensors.size(), 1u);
  EXPECT_EQ(parse(with_tensor(name + le32(1) + le64(8) + le32(0) + le64(32))).tensors.size(), 1u);
  expect_error(with_tensor(name + le32(1) + le64(17) + le32(0) + le64(0)),
               "tensor \"tensor\": found 68 bytes at byte 64 + 0 of a file of 128");
  expect_error(with_tensor(name + le32(1) + le64(16) + le32(0) + le64(32)), "inside the file");
  expect_error(with_tensor(name + le32(1) + le64(16) + le32(0) + le64(UINT64_MAX - 31)), "inside the file");
  expect_error(with_tensor(name + le32(1) + le64(1) + le32(0) + le64(4)), "offset 4, expected a multiple of 32");
  expect_error(with_tensor(name + le32(0) + le32(0) + le64(0)), "0 dimensions");
  expect_error(with_tensor(name + le32(5)), "5 dimensions");
  expect_error(with_tensor(name + le32(1) + le64(0) + le32(0) + le64(0)), "extent 0");
  expect_error(with_tensor(name + le32(2) + le64(uint64_t{1} << 32) + le64(uint64_t{1} << 32) + le32(0) + le64(0)), "2^48");
  expect_error(with_tensor(name + le32(1) + le64(33) + le32(8) + le64(0)), "a multiple of 32, a block of q8_0");
  expect_error(with_tensor(name + le32(1) + le64(256) + le32(12) + le64(0)),
               "tensor \"tensor\": found tensor type Q4_K (ggml type 12), expected F32, F16, BF16, Q8_0 or Q4_0");
  expect_error(with_tensor(name + le32(1) + le64(256) + le32(14) + le64(0)), "Q6_K");
  expect_error(with_tensor(name + le32(1) + le64(32) + le32(3) + le64(0)), "Q4_1");
  expect_error(with_tensor(name + le32(1) + le64(32) + le32(6) + le64(0)), "Q5_0");
  expect_error(with_tensor(name + le32(1) + le64(32) + le32(1000) + le64(0)), "unknown (ggml type 1000)");
  GgufWriter twice;
  add_tensor(twice, "a", TensorType::f32, {1});
  add_tensor(twice, "a", TensorType::f32, {1});
  expect_error(write(twice), "the tensor \"a\" twice");
}

TEST(Gguf, RealFilesOfOtherTypesAreNamed) {
  const std::string file = shared_path("models/tiny-llama.q4_k_m.gguf");
  if (!exists(file)) GTEST_SKIP() << "no " << file;
  try {
    load_model(file);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("Q4_K"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("token_embd.weight"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace wafer
