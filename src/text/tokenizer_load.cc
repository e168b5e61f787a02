// Tokenizer out of GGUF metadata. Where a key may be missing, the default is the one that llama.cpp takes.
#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"
#include "text/tokenizer.h"

namespace wafer {
namespace {

// Tokens that end a turn in the chat formats of models with such vocabularies; GGUF has keys for some of them only.
constexpr std::string_view kStopTexts[] = {"</s>",
                                           "<|eot_id|>",
                                           "<|im_end|>",
                                           "<|end|>",
                                           "<|eom_id|>",
                                           "<end_of_turn>",
                                           "<|endoftext|>",
                                           "<|end_of_text|>",
                                           "<EOT>",
                                           "_<EOT>",
                                           "[EOT]",
                                           "[EOS]",
                                           "<end_of_utterance>",
                                           "<eos>",
                                           "<|return|>",
                                           "<|call|>",
                                           "<|flush|>",
                                           "<|calls|>",
                                           "<turn|>",
                                           "<|tool_response>",
                                           "[e~[",
                                           "<\xef\xbd\x9c"
                                           "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"};

[[noreturn]] void fail(const Gguf& g, std::string_view key, std::string found, std::string expected) {
  throw Error{{.where = fmt::format("{}, {}", g.path, key),
               .found = std::move(found),
               .expected = std::move(expected),
               .fix = "convert the model again"}};
}

// The byte of a piece like <0x0A>, or -1.
int byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int value = 0;
  for (char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

std::string with_plain_spaces(std::string_view piece) {
  std::string out;
  while (!piece.empty()) {
    const bool space = piece.starts_with("\xe2\x96\x81");
    out += space ? ' ' : piece[0];
    piece.remove_prefix(space ? 3 : 1);
  }
  return out;
}

// What a token stands for in text. Unused tokens stand for nothing, user-defined and special ones for themselves.
std::string bytes_of_token(std::string_view piece, TokenKind kind) {
  switch (kind) {
    case TokenKind::normal: return with_plain_spaces(piece);
    case TokenKind::byte: return std::string(1, static_cast<char>(byte_of(piece)));
    case TokenKind::unknown:
    case TokenKind::control:
    case TokenKind::user_defined: return std::string(piece);
    case TokenKind::undefined:
    case TokenKind::unused: break;
  }
  return {};
}

void read_pieces(const Gguf& g, Tokenizer& t) {
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens", kScores = "tokenizer.ggml.scores", kKinds = "tokenizer.ggml.token_type";
  const auto tokens = get_strings(g, kTokens);
  if (!tokens || tokens->empty() || tokens->size() > INT32_MAX)
    fail(g, kTokens, tokens ? fmt::format("{} tokens", tokens->size()) : "no such key", "a vocabulary");
  const size_t n = tokens->size();
  t.scores = get_floats(g, kScores).value_or(std::vector<float>(n, 0.0f));
  const std::vector<int64_t> kinds = get_ints(g, kKinds).value_or(std::vector<int64_t>(n, 1));
  if (t.scores.size() != n) fail(g, kScores, fmt::format("{} scores", t.scores.size()), fmt::format("one for each of {} tokens", n));
  if (kinds.size() != n) fail(g, kKinds, fmt::format("{} types", kinds.size()), fmt::format("one for each of {} tokens", n));
  t.ids.reserve(n);
  for (size_t i = 0; i < n; i++) {
    if (std::isnan(t.scores[i])) fail(g, kScores, fmt::format("score {} is not a number", i), "a number");
    if (kinds[i] < 0 || kinds[i] > 6) fail(g, kKinds, fmt::format("type {} of token {}", kinds[i], i), "0 to 6");
    const auto kind = static_cast<TokenKind>(kinds[i]);
    const std::string piece = (*tokens)[i].empty() ? fmt::format("[EMPTY_{}]", i) : std::string((*tokens)[i]);
    if (kind == TokenKind::byte && byte_of(piece) < 0)
      fail(g, kTokens, fmt::format("the byte token {}", quoted(piece)), "<0x00> to <0xFF>");
    const auto [other, fresh] = t.ids.emplace(piece, static_cast<int32_t>(i));
    if (!fresh) fail(g, kTokens, fmt::format("tokens {} and {} both {}", other->second, i, quoted(piece)), "each piece once");
    t.longest_piece = std::max(t.longest_piece, piece.size());
    t.pieces.push_back(piece);
    t.kinds.push_back(kind);
  }
}

// The id that a key names, or its default where that is in the vocabulary.
int32_t token_id(const Gguf& g, const Tokenizer& t, std::string_view key, int32_t otherwise) {
  const int64_t n = static_cast<int64_t>(t.pieces.size());
  const auto id = get_int(g, key);
  if (!id) return otherwise < n ? otherwise : kNoToken;
  if (*id < 0 || *id >= n) fail(g, key, fmt::format("token {}", *id), fmt::format("0 to {}", n - 1));
  return static_cast<int32_t>(*id);
}

void read_stop_tokens(const Gguf& g, Tokenizer& t) {
  for (std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (const int32_t id = token_id(g, t, key, kNoToken); id != kNoToken) t.stop.push_back(id);
  if (t.eos != kNoToken) t.stop.push_back(t.eos);
  for (std::string_view text : kStopTexts)
    if (const auto found = t.ids.find(text); found != t.ids.end()) {
      t.stop.push_back(found->second);
      // Some files call them normal text; llama.cpp overrides that, and so the ids of a text depend on it.
      t.kinds[static_cast<size_t>(found->second)] = TokenKind::control;
    }
  std::sort(t.stop.begin(), t.stop.end());
  t.stop.erase(std::unique(t.stop.begin(), t.stop.end()), t.stop.end());
}

void index_special_tokens(const Gguf& g, Tokenizer& t) {
  std::string name(get_string(g, "general.name").value_or(""));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const bool phi3 = name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
  for (size_t i = 0; i < t.pieces.size(); i++) {
    const TokenKind kind = t.kinds[i];
    if (kind != TokenKind::control && kind != TokenKind::unknown && kind != TokenKind::user_defined) continue;
    const std::string& piece = t.pieces[i];
    t.special_lengths.push_back(piece.size());
    t.special_first[static_cast<unsigned char>(piece[0])] = true;
    // GGUF does not say it, so it goes by the name: Phi-3's special tokens swallow the white space after them.
    if (phi3 && piece != "<unk>" && piece != "<s>" && piece != "<|endoftext|>") t.strips_right.insert(static_cast<int32_t>(i));
  }
  std::sort(t.special_lengths.begin(), t.special_lengths.end(), std::greater<>());
  t.special_lengths.erase(std::unique(t.special_lengths.begin(), t.special_lengths.end()), t.special_lengths.end());
}

void index_bytes(Tokenizer& t) {
  t.byte_fallback = true;
  for (int b = 0; b < 256; b++) {
    auto found = t.ids.find(fmt::format("<0x{:02X}>", b));
    if (found == t.ids.end()) found = t.ids.find(std::string(1, static_cast<char>(b)));
    if (found == t.ids.end()) t.byte_fallback = false;
    t.byte_ids[static_cast<size_t>(b)] = found != t.ids.end() ? found->second : t.unk;
  }
}

}  // namespace

Tokenizer load_tokenizer(const Gguf& g) {
  if (!find_value(g, "tokenizer.ggml.model")) refuse_part_of_split(g);  // the first part has all of it
  const std::string_view model = need_string(g, "tokenizer.ggml.model");
  if (model != "llama")
    throw Error{{.where = fmt::format("{}, tokenizer.ggml.model", g.path),
                 .found = quoted(model),
                 .expected = "\"llama\" (SentencePiece)",
                 .fix = "this kind of tokenizer is not supported yet"}};
  Tokenizer t;
  read_pieces(g, t);
  t.bos = token_id(g, t, "tokenizer.ggml.bos_token_id", 1);
  t.eos = token_id(g, t, "tokenizer.ggml.eos_token_id", 2);
  t.unk = token_id(g, t, "tokenizer.ggml.unknown_token_id", 0);
  t.add_bos = get_bool(g, "tokenizer.ggml.add_bos_token").value_or(true);
  t.add_eos = get_bool(g, "tokenizer.ggml.add_eos_token").value_or(false);
  t.add_space_prefix = get_bool(g, "tokenizer.ggml.add_space_prefix").value_or(true);
  read_stop_tokens(g, t);
  index_special_tokens(g, t);
  index_bytes(t);
  for (size_t i = 0; i < t.pieces.size(); i++) t.bytes.push_back(bytes_of_token(t.pieces[i], t.kinds[i]));
  return t;
}

Tokenizer load_tokenizer(const std::string& path) { return load_tokenizer(load_gguf(path, GgufPart::metadata)); }

}  // namespace wafer
