// Text to token ids and back, for vocabularies in the SentencePiece style ("llama" in GGUF).
//
// A text is cut into characters; then, again and again, the two neighbours whose joined text is the piece of the highest
// score become one (of equals, the leftmost). What is no piece in the end is written as byte tokens <0x00>..<0xFF>.
// Spaces are written U+2581, and one is put before the text and after each special token.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/gguf.h"

namespace wafer {

inline constexpr int32_t kNoToken = -1;

// The numbers are GGUF's (tokenizer.ggml.token_type).
enum class TokenKind : uint8_t { undefined = 0, normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
using StringMap = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

struct Tokenizer {
  std::vector<std::string> pieces;  // as in the file: U+2581 for a space
  std::vector<std::string> bytes;   // what each token stands for in text; special tokens: their own name
  std::vector<float> scores;
  std::vector<TokenKind> kinds;
  StringMap ids;                             // piece -> id
  size_t longest_piece = 0;                  // bytes
  std::vector<size_t> special_lengths;       // of control, unknown and user-defined pieces, descending, each once
  std::array<bool, 256> special_first = {};  // bytes with which they begin
  std::unordered_set<int32_t> strips_right;  // those that swallow the white space after them (Phi-3's)
  std::array<int32_t, 256> byte_ids = {};    // token of a byte that no piece covers; else unk
  bool byte_fallback = false;                // every byte has such a token
  int32_t bos = kNoToken, eos = kNoToken, unk = kNoToken;
  std::vector<int32_t> stop;  // tokens that end a generation: eos and the end-of-turn tokens, ascending
  bool add_bos = true;        // the model expects BOS before a prompt
  bool add_eos = false;       // the file's flag; encode() leaves it to the caller
  bool add_space_prefix = true;
};

// Reads the tokenizer.ggml.* keys. Other models than "llama" are an Error naming the model.
Tokenizer load_tokenizer(const Gguf& gguf);
Tokenizer load_tokenizer(const std::string& path);  // reads only the file's metadata

struct EncodeOptions {
  bool add_bos = false;
  bool parse_special = false;  // control and unknown tokens are recognised in the text; user-defined ones always are
};

// Any bytes are a text. O(n log n).
std::vector<int32_t> encode(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options = {});

// What control and unknown tokens (<s>, </s>, ...) become in text.
enum class SpecialText { hide, show };

// Where a text that is decoded token by token stands. At its start the one space that encode() puts there is taken away again, however
// many hidden tokens come before. Later, where special tokens are hidden, no space is: "friend.<s> Once" is "friend. Once" as llama.cpp
// prints it. Where they are shown, the space that encode() puts after each goes, so that the text is the one that was encoded.
struct Decoding {
  SpecialText special = SpecialText::hide;
  bool space_is_ours = true;  // a space at the head of the next piece is encode()'s, not the text's
};

// The bytes of `id`, the next token of that text: for streaming. Throws Error for an id outside the vocabulary.
std::string_view next_piece(const Tokenizer& tokenizer, Decoding& decoding, int32_t id);

// All of it. With special tokens shown, decode(encode(text)) == text for well-formed UTF-8, except that U+2581 comes back as a space, and
// characters that the vocabulary has not are lost where it has no byte tokens; hidden, the same of a text without special tokens.
std::string decode(const Tokenizer& tokenizer, std::span<const int32_t> ids, SpecialText special = SpecialText::hide);

bool is_stop(const Tokenizer& tokenizer, int32_t id);

}  // namespace wafer
