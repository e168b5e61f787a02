#include "text/tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/rng.h"
#include "support/gguf_writer.h"
#include "support/oracle.h"

namespace wafer {
namespace {

std::vector<std::string> lines(const std::string& path) {
  std::istringstream in(read_maybe_gz(path));
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

// Every text of the oracle's list must give exactly its ids.
void expect_the_oracles_ids(const Tokenizer& t, const std::string& ids_file) {
  const std::vector<std::string> texts = lines(shared_path("oracle/tok/texts.jsonl.gz")),
                                 ids = lines(shared_path("oracle/tok/" + ids_file));
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GE(texts.size(), 1000u);
  for (size_t i = 0; i < texts.size(); i++) {
    const auto text = nlohmann::json::parse(texts[i]).get<std::string>();
    const std::vector<int32_t> got = encode(t, text);
    EXPECT_EQ(nlohmann::json(got), nlohmann::json::parse(ids[i])) << "line " << i + 1 << ": " << texts[i];
    EXPECT_EQ(decode(t, got), text) << "line " << i + 1;
  }
}

std::string stories() { return shared_path("models/stories260K.f32.gguf"); }

std::string llama_vocabulary() {
  const char* peers = std::getenv("WAFER_PEERS");
  return peers ? std::string(peers) + "/vocab/ggml-vocab-llama-spm.gguf" : std::string();
}

TEST(Tokenizer, GivesTheOraclesIdsForTheStoriesVocabulary) {
  if (!exists(stories())) GTEST_SKIP() << "no " << stories();
  const Tokenizer t = load_tokenizer(stories());
  EXPECT_EQ(t.pieces.size(), 512u);
  EXPECT_EQ(t.bos, 1);
  EXPECT_EQ(t.eos, 2);
  EXPECT_EQ(t.unk, 0);
  EXPECT_EQ(t.stop, std::vector<int32_t>{2});
  EXPECT_TRUE(t.add_bos && t.add_space_prefix && t.byte_fallback);
  expect_the_oracles_ids(t, "tok512.jsonl.gz");
}

TEST(Tokenizer, GivesTheOraclesIdsForTheLlamaVocabulary) {
  if (!exists(llama_vocabulary())) GTEST_SKIP() << "WAFER_PEERS names no folder with vocab/ggml-vocab-llama-spm.gguf";
  expect_the_oracles_ids(load_tokenizer(llama_vocabulary()), "llama2.plain.jsonl.gz");
}

TEST(Tokenizer, ReadsTheVocabularyOfModelsWhoseTensorsAreNotSupported) {
  const std::string file = shared_path("models/tiny-llama.q4_k_m.gguf");
  if (!exists(file)) GTEST_SKIP() << "no " << file;
  EXPECT_EQ(load_tokenizer(file).pieces.size(), 512u);
}

TEST(Tokenizer, SpecialTokensAreFoundOnlyWhereAsked) {
  if (!exists(stories())) GTEST_SKIP() << "no " << stories();
  const Tokenizer t = load_tokenizer(stories());
  const std::string text = "<s>Once</s> upon<unk>";
  const auto special = encode(t, text, {.parse_special = true});
  EXPECT_EQ(special.front(), t.bos);
  EXPECT_EQ(special.back(), t.unk);
  EXPECT_EQ(std::count(special.begin(), special.end(), t.eos), 1);
  EXPECT_EQ(decode(t, special), "Once  upon");  // the text's own space and the one that encode() puts after </s>, which nothing shows
  EXPECT_EQ(decode(t, special, SpecialText::show), text);
  const auto plain = encode(t, text);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), t.bos), 0);
  EXPECT_EQ(decode(t, plain), text);
  EXPECT_EQ(encode(t, "", {.add_bos = true}), std::vector<int32_t>{t.bos});
  EXPECT_TRUE(encode(t, "").empty());
}

// U+2581 is how the vocabulary writes a space, so it comes back as one; and an ill-formed text may hide a space inside
// what its lead byte takes for one character, where it stays U+2581.
std::string with_spaces(std::string text) {
  for (size_t at; (at = text.find("\xe2\x96\x81")) != std::string::npos;) text.replace(at, 3, " ");
  return text;
}

TEST(Tokenizer, AnyBytesComeBack) {
  if (!exists(stories())) GTEST_SKIP() << "no " << stories();
  const Tokenizer t = load_tokenizer(stories());
  Rng rng(1);
  for (int round = 0; round < 3000; round++) {
    std::string text;
    const uint64_t alphabet = round % 3 == 0 ? 256 : 128, length = next_below(rng, 40);
    for (uint64_t i = 0; i < length; i++)
      text += round % 3 == 1 ? " abthe.\n"[next_below(rng, 8)] : static_cast<char>(next_below(rng, alphabet));
    const std::vector<int32_t> ids = encode(t, text);
    std::string streamed;
    Decoding decoding;
    for (const int32_t id : ids) streamed += next_piece(t, decoding, id);
    EXPECT_EQ(with_spaces(streamed), with_spaces(text));
    // Special tokens in the text (here there are hardly any) come back too.
    EXPECT_EQ(with_spaces(decode(t, encode(t, text, {.parse_special = true}), SpecialText::show)), with_spaces(text));
  }
}

TEST(Tokenizer, LongTextsTakeNoLongTime) {
  if (!exists(stories())) GTEST_SKIP() << "no " << stories();
  const Tokenizer t = load_tokenizer(stories());
  for (const std::string& unit :
       {std::string("a"), std::string(" "), std::string("once upon a time "), std::string("<s>"), std::string("<"), std::string("\xf0")}) {
    std::string text;
    while (text.size() < (unit.size() > 10 ? 1u << 20 : 1u << 17)) text += unit;
    const auto start = std::chrono::steady_clock::now();
    const auto ids = encode(t, text, {.parse_special = true});
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_EQ(decode(t, ids, SpecialText::show), text);
    EXPECT_LT(seconds, 5) << unit;  // about 0.2 s; quadratic would be minutes
  }
}

// A vocabulary of our own: no byte tokens, user-defined tokens that overlap, scores that tie.
GgufWriter small_vocabulary() {
  GgufWriter w;
  add_string(w, "tokenizer.ggml.model", "llama");
  add_strings(w, "tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "\xe2\x96\x81", "a", "b", "ab", "ba", "[x]", "[x][y]", "[y]", "aa"});
  add_floats(w, "tokenizer.ggml.scores", {0, 0, 0, -5, -5, -5, -1, -1, 0, 0, 0, -1});
  add_ints(w, "tokenizer.ggml.token_type", {2, 3, 3, 1, 1, 1, 1, 1, 4, 4, 4, 1});
  return w;
}

TEST(Tokenizer, LeftmostMergeWinsATie) {
  const std::string bytes = write(small_vocabulary());
  const Tokenizer t = load_tokenizer(parse_gguf(std::as_bytes(std::span(bytes)), "test"));
  EXPECT_EQ(encode(t, "aba"), (std::vector<int32_t>{3, 6, 4}));
  EXPECT_EQ(encode(t, "bab"), (std::vector<int32_t>{3, 7, 5}));
  EXPECT_EQ(encode(t, "aaa"), (std::vector<int32_t>{3, 11, 4}));
}

TEST(Tokenizer, UserDefinedTokensComeFirstAndTheLongest) {
  const std::string bytes = write(small_vocabulary());
  const Tokenizer t = load_tokenizer(parse_gguf(std::as_bytes(std::span(bytes)), "test"));
  EXPECT_EQ(encode(t, "a[x][y]b"), (std::vector<int32_t>{3, 4, 9, 3, 5}));
  EXPECT_EQ(encode(t, "[x][x][y][y]"), (std::vector<int32_t>{8, 9, 10}));
  EXPECT_EQ(encode(t, "<s>"), (std::vector<int32_t>{3, 0, 0, 0}));
  EXPECT_EQ(encode(t, "<s>", {.parse_special = true}), std::vector<int32_t>{1});
  EXPECT_FALSE(t.byte_fallback);
}

TEST(Tokenizer, NothingIsLostAtASpaceAfterAnUnknownCharacter) {
  const std::string bytes = write(small_vocabulary());
  const Tokenizer t = load_tokenizer(parse_gguf(std::as_bytes(std::span(bytes)), "test"));
  EXPECT_EQ(decode(t, encode(t, "a? b")), "a b");
}

// Tokens 1 <s> and 2 </s>, 3 a space, 4 "a", 5 "b", 6 a user-defined [x], 7 "\xe2\x96\x81b", 8 to 10 the bytes of the euro sign.
Tokenizer vocabulary_with_spaces(const GgufWriter& flags = {}) {
  GgufWriter w = flags;
  add_string(w, "tokenizer.ggml.model", "llama");
  add_strings(w, "tokenizer.ggml.tokens",
              {"<unk>", "<s>", "</s>", "\xe2\x96\x81", "a", "b", "[x]",
               "\xe2\x96\x81"
               "b",
               "<0xE2>", "<0x82>", "<0xAC>"});
  add_ints(w, "tokenizer.ggml.token_type", {2, 3, 3, 1, 1, 1, 4, 1, 6, 6, 6});
  const std::string bytes = write(w);
  return load_tokenizer(parse_gguf(std::as_bytes(std::span(bytes)), "test"));
}

TEST(Tokenizer, HiddenTokensTakeNoSpaceButTheOneAtTheStart) {
  const Tokenizer t = vocabulary_with_spaces();
  struct Case {
    std::vector<int32_t> ids;
    std::string hidden, shown;
  };
  const std::vector<Case> cases = {
      {{7}, "b", "b"},
      {{3, 7}, " b", " b"},  // one space, not all
      {{1, 7, 7}, "b b", "<s>b b"},
      {{1, 1, 2, 7}, "b", "<s><s></s>b"},  // several in a row, and the text still at its start
      {{2, 7, 7}, "b b", "</s>b b"},
      {{1, 4, 1, 7}, "a b", "<s>a<s>b"},  // in the middle: the next text begins with its space
      {{1, 4, 2, 1, 7}, "a b", "<s>a</s><s>b"},
      {{1, 4, 2, 3, 7}, "a  b", "<s>a</s> b"},
      {{1, 4, 2, 5}, "ab", "<s>a</s>b"},
      {{1, 4, 1}, "a", "<s>a<s>"},
      {{6, 7}, "[x] b", "[x]b"},  // user-defined tokens are text
      {{1, 6, 1, 7}, "[x] b", "<s>[x]<s>b"},
      {{8, 1, 9, 10, 7}, "\xe2\x82\xac b", "\xe2<s>\x82\xac b"},  // a character around a hidden token
      {{}, "", ""},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(decode(t, c.ids), c.hidden) << c.shown;
    EXPECT_EQ(decode(t, c.ids, SpecialText::show), c.shown);
  }
}

TEST(Tokenizer, NoSpaceIsTakenWhereNoneWasPut) {
  GgufWriter flags;
  add_raw(flags, "tokenizer.ggml.add_space_prefix", 7, std::string(1, 0));  // a bool
  const Tokenizer t = vocabulary_with_spaces(flags);
  EXPECT_EQ(decode(t, std::vector<int32_t>{1, 7}), " b");
  EXPECT_EQ(decode(t, std::vector<int32_t>{1, 7}, SpecialText::show), "<s> b");
}

void expect_error(const GgufWriter& w, const std::string& part) {
  const std::string bytes = write(w);
  try {
    load_tokenizer(parse_gguf(std::as_bytes(std::span(bytes)), "test"));
    FAIL() << "loaded, expected " << part;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Tokenizer, SaysWhatIsWrongWithAVocabulary) {
  GgufWriter w;
  expect_error(w, "tokenizer.ggml.model");
  add_string(w, "tokenizer.ggml.model", "gpt2");
  expect_error(w, "\"gpt2\"");
  w = {};
  add_string(w, "tokenizer.ggml.model", "llama");
  expect_error(w, "tokenizer.ggml.tokens");
  add_strings(w, "tokenizer.ggml.tokens", {"a", "b", "a"});
  expect_error(w, "tokens 0 and 2 both \"a\"");
  w = small_vocabulary();
  add_int(w, "tokenizer.ggml.bos_token_id", 12);
  expect_error(w, "token 12");
  w = {};
  add_string(w, "tokenizer.ggml.model", "llama");
  add_strings(w, "tokenizer.ggml.tokens", {"a", "b"});
  add_floats(w, "tokenizer.ggml.scores", {0});
  expect_error(w, "1 scores");
}

TEST(Tokenizer, RefusesIdsOutsideTheVocabulary) {
  const std::string bytes = write(small_vocabulary());
  const Tokenizer t = load_tokenizer(parse_gguf(std::as_bytes(std::span(bytes)), "test"));
  EXPECT_THROW(decode(t, std::vector<int32_t>{12}), Error);
  EXPECT_THROW(decode(t, std::vector<int32_t>{-1}), Error);
}

}  // namespace
}  // namespace wafer
