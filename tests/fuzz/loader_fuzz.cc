// libFuzzer target: whatever the bytes, the loaders give a model and a tokenizer or throw Error; nothing else escapes.
// Seeds: the first 30,000 bytes of a small GGUF. Build (any clang with libFuzzer), beside the library's sources:
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -ffp-contract=off -Isrc tests/fuzz/loader_fuzz.cc
//     src/base/*.cc src/model/*.cc src/text/*.cc (no _test.cc) -lfmt -ltomlplusplus -ltbb -o loader_fuzz
//   ./loader_fuzz -max_total_time=20 -max_len=65536 SEEDS
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "model/model.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wafer;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  try {
    const Gguf gguf = parse_gguf(bytes, "fuzz");
    for (const GgufPair& pair : gguf.metadata) to_text(pair.value);
    const Model model = load_model(gguf);
    std::vector<float> row(static_cast<size_t>(model.config.dim));
    row_to_f32(model.output, model.config.vocab - 1, row.data());
  } catch (const Error&) {
  }
  try {
    const Tokenizer tokenizer = load_tokenizer(parse_gguf(bytes, "fuzz", GgufPart::metadata));
    const std::string text(reinterpret_cast<const char*>(data), size < 4096 ? size : 4096);
    to_valid_utf8(decode(tokenizer, encode(tokenizer, text, {.parse_special = true})));
  } catch (const Error&) {
  }
  return 0;
}
