// Cut and damaged files: model and tokenizer load, or an Error says why. Here and not beside gguf.cc, as it needs both.
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "model/model.h"
#include "support/checkpoint.h"
#include "support/oracle.h"
#include "text/tokenizer.h"

namespace wafer {
namespace {

// Whatever the bytes: a model and a tokenizer, or an Error.
bool loads(std::span<const char> bytes) {
  try {
    const Gguf g = parse_gguf(std::as_bytes(bytes), "test");
    const Model m = load_model(g);
    std::vector<float> row(static_cast<size_t>(m.config.dim));
    row_to_f32(m.output, m.config.vocab - 1, row.data());
    encode(load_tokenizer(g), "Once upon a time\xff", {.parse_special = true});
    for (const GgufPair& p : g.metadata) EXPECT_FALSE(to_text(p.value).empty());
    return true;
  } catch (const Error& e) {
    for (const char* c = e.what(); *c; c++) EXPECT_GE(static_cast<unsigned char>(*c), 0x20);
    return false;
  }
}

// The bytes are given to the parser in a buffer of exactly their size, so that a sanitizer sees every step past the end. What fills the
// file up to 32 bytes may be missing.
void expect_no_cut_loads(const std::string& whole, size_t head, size_t head_step, size_t step) {
  EXPECT_TRUE(loads(whole));
  for (size_t n = 0; n < whole.size() - 32; n += n < head ? head_step : step) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
    EXPECT_FALSE(loads(cut)) << n;
  }
}

// Damages bytes of the head; returns how many of the files load all the same.
int flip(const std::string& whole, size_t head, int rounds) {
  Rng rng(11);
  int loaded = 0;
  for (int round = 0; round < rounds; round++) {
    std::string bytes = whole;
    for (uint64_t flips = 1 + next_below(rng, 4); flips > 0; flips--) {
      char& c = bytes[next_below(rng, head)];
      c = static_cast<char>(round % 2 ? next_below(rng, 256)
                                      : static_cast<uint64_t>(static_cast<unsigned char>(c)) ^ (uint64_t{1} << next_below(rng, 8)));
    }
    loaded += loads(bytes);
  }
  return loaded;
}

TEST(Damage, ASmallFileCutAtAnyByteIsAnError) {
  const std::string whole = talking_checkpoint();
  expect_no_cut_loads(whole, 4000, 1, 97);
}

TEST(Damage, FlippedBytesOfASmallFileAreNeverFatal) { RecordProperty("loaded", flip(talking_checkpoint(), 4000, 1000)); }

// A real model, where it is there: metadata and tensor records lie before byte 20,000.
TEST(Damage, ACutFileIsAnErrorWhereverItIsCut) {
  const std::string file = shared_path("models/stories260K.q4_0.gguf");
  if (!exists(file)) GTEST_SKIP() << "no " << file;
  expect_no_cut_loads(read_maybe_gz(file), 20000, 97, 997);
}

TEST(Damage, FlippedBytesAreNeverFatal) {
  const std::string file = shared_path("models/stories260K.q4_0.gguf");
  if (!exists(file)) GTEST_SKIP() << "no " << file;
  RecordProperty("loaded", flip(read_maybe_gz(file), 20000, 1000));
}

}  // namespace
}  // namespace wafer
