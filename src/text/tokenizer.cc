#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <queue>

#include "base/error.h"

namespace wafer {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, how the vocabulary writes a space

bool is_special(TokenKind kind) { return kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined; }

// ---- the text between special tokens -------------------------------------------------------------------------------

// Bytes that belong to one character by its first byte; a byte that opens none stands alone. The rest is not looked at:
// ill-formed text is cut as llama.cpp cuts it.
size_t character_bytes(char first) {
  const unsigned char c = static_cast<unsigned char>(first);
  return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

// A run of bytes that is a piece, or a single character that need not be one. Merged away: bytes = 0.
struct Symbol {
  uint32_t begin = 0, bytes = 0;
  int32_t previous = -1, next = -1;
};

struct Merge {
  float score = 0;
  int32_t left = 0, right = 0;
  uint32_t bytes = 0;  // of both when it was proposed: tells whether either has changed since
};

// The top of the queue: the highest score, the leftmost of equals.
struct Later {
  bool operator()(const Merge& a, const Merge& b) const { return a.score < b.score || (a.score == b.score && a.left > b.left); }
};

void encode_plain(const Tokenizer& t, const std::string& text, std::vector<int32_t>& out) {
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t n = std::min(character_bytes(text[at]), text.size() - at);
    const int32_t index = static_cast<int32_t>(symbols.size());
    symbols.push_back({.begin = static_cast<uint32_t>(at), .bytes = static_cast<uint32_t>(n), .previous = index - 1, .next = index + 1});
    at += n;
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  std::vector<Merge> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Merge, std::vector<Merge>, Later> queue(Later{}, std::move(storage));
  const auto propose = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Symbol &a = symbols[static_cast<size_t>(left)], &b = symbols[static_cast<size_t>(right)];
    const uint32_t bytes = a.bytes + b.bytes;
    if (bytes > t.longest_piece) return;
    const auto found = t.ids.find(std::string_view(text).substr(a.begin, bytes));
    if (found != t.ids.end())
      queue.push({.score = t.scores[static_cast<size_t>(found->second)], .left = left, .right = right, .bytes = bytes});
  };

  for (size_t i = 1; i < symbols.size(); i++) propose(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Merge m = queue.top();
    queue.pop();
    Symbol &a = symbols[static_cast<size_t>(m.left)], &b = symbols[static_cast<size_t>(m.right)];
    if (a.bytes == 0 || b.bytes == 0 || a.bytes + b.bytes != m.bytes) continue;
    a.bytes = m.bytes;
    b.bytes = 0;
    a.next = b.next;
    if (b.next >= 0) symbols[static_cast<size_t>(b.next)].previous = m.left;
    propose(a.previous, m.left);
    propose(m.left, a.next);
  }

  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    const Symbol& s = symbols[static_cast<size_t>(i)];
    const std::string_view piece = std::string_view(text).substr(s.begin, s.bytes);
    const auto found = t.ids.find(piece);
    if (found != t.ids.end()) {
      out.push_back(found->second);
      continue;
    }
    for (char c : piece) {
      const int32_t id = t.byte_ids[static_cast<unsigned char>(c)];
      if (id == kNoToken)
        throw Error{{.where = "text",
                     .found = fmt::format("byte {:#04x}", static_cast<unsigned char>(c)),
                     .expected = "text that the vocabulary covers: it has no byte tokens and no unknown token",
                     .fix = "use another text or vocabulary"}};
      out.push_back(id);
    }
  }
}

// ---- special tokens in the text ------------------------------------------------------------------------------------

struct Occurrence {
  uint32_t bytes = 0;
  int32_t id = 0;
  uint32_t begin = 0;
};

// Longest first, then by id, then from the left: a special token keeps its bytes from every one that comes later.
bool first(const Occurrence& a, const Occurrence& b) {
  if (a.bytes != b.bytes) return a.bytes > b.bytes;
  return a.id != b.id ? a.id < b.id : a.begin < b.begin;
}

// The special tokens to be cut out of the text, from left to right. `bytes` includes the white space that goes with one.
std::vector<Occurrence> find_special(const Tokenizer& t, std::string_view text, bool parse_special) {
  std::vector<Occurrence> all;
  for (size_t at = 0; at < text.size(); at++) {
    if (!t.special_first[static_cast<unsigned char>(text[at])]) continue;
    for (size_t length : t.special_lengths) {
      if (length > text.size() - at) continue;
      const auto found = t.ids.find(text.substr(at, length));
      if (found == t.ids.end()) continue;
      const TokenKind kind = t.kinds[static_cast<size_t>(found->second)];
      if (kind == TokenKind::user_defined || (parse_special && is_special(kind)))
        all.push_back({.bytes = static_cast<uint32_t>(length), .id = found->second, .begin = static_cast<uint32_t>(at)});
    }
  }
  std::sort(all.begin(), all.end(), first);

  std::vector<bool> covered(all.empty() ? 0 : text.size());
  std::vector<Occurrence> kept;
  for (Occurrence o : all) {
    // One taken before is at least as long, so it covers an end of whatever it overlaps.
    if (covered[o.begin] || covered[o.begin + o.bytes - 1]) continue;
    size_t end = o.begin + o.bytes;
    if (t.strips_right.contains(o.id))
      while (end < text.size() && !covered[end] && (text[end] == ' ' || (text[end] >= '\t' && text[end] <= '\r'))) end++;
    std::fill(covered.begin() + o.begin, covered.begin() + static_cast<ptrdiff_t>(end), true);
    o.bytes = static_cast<uint32_t>(end) - o.begin;
    kept.push_back(o);
  }
  std::sort(kept.begin(), kept.end(), [](const Occurrence& a, const Occurrence& b) { return a.begin < b.begin; });
  return kept;
}

std::string with_pieces_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (char c : text)
    if (c == ' ')
      out += kSpace;
    else
      out += c;
  return out;
}

}  // namespace

std::vector<int32_t> encode(const Tokenizer& t, std::string_view text, const EncodeOptions& options) {
  constexpr size_t kMost = size_t{1} << 28;  // 256 MB; with three bytes for a space, indices still fit 32 bits
  if (text.size() > kMost)
    throw Error{
        {.where = "text", .found = fmt::format("{} bytes", text.size()), .expected = fmt::format("at most {}", kMost), .fix = "cut it"}};
  std::vector<int32_t> out;
  if (options.add_bos) {
    if (t.bos == kNoToken)
      throw Error{{.where = "tokenizer", .found = "no BOS token", .expected = "one, to put it first", .fix = "encode without BOS"}};
    out.push_back(t.bos);
  }
  bool after_special = true;
  size_t at = 0;
  const auto plain = [&](size_t end) {
    if (end == at) return;
    const std::string prefix = t.add_space_prefix && after_special ? " " : "";
    encode_plain(t, with_pieces_spaces(prefix + std::string(text.substr(at, end - at))), out);
    after_special = false;
  };
  for (const Occurrence& o : find_special(t, text, options.parse_special)) {
    plain(o.begin);
    out.push_back(o.id);
    at = o.begin + o.bytes;
    after_special = true;
  }
  plain(text.size());
  return out;
}

std::string_view next_piece(const Tokenizer& t, Decoding& decoding, int32_t id) {
  if (id < 0 || static_cast<size_t>(id) >= t.bytes.size())
    throw Error{{.where = "token ids",
                 .found = fmt::format("{}", id),
                 .expected = fmt::format("0 to {}", static_cast<int64_t>(t.bytes.size()) - 1),
                 .fix = "correct the id"}};
  const TokenKind kind = t.kinds[static_cast<size_t>(id)];
  // A token that the vocabulary could not spell stands for a character of the text, also where it prints nothing.
  const bool lost_character = kind == TokenKind::unknown && !t.byte_fallback;
  const bool hidden = decoding.special == SpecialText::hide && (kind == TokenKind::control || kind == TokenKind::unknown);
  std::string_view s = hidden ? std::string_view() : std::string_view(t.bytes[static_cast<size_t>(id)]);
  if (decoding.special == SpecialText::show && is_special(kind)) {
    decoding.space_is_ours = !lost_character;
    return s;
  }
  const bool begins = decoding.space_is_ours && (!s.empty() || lost_character);
  if (begins) decoding.space_is_ours = false;
  if (begins && t.add_space_prefix && !is_special(kind) && s.starts_with(' ')) s.remove_prefix(1);
  return s;
}

std::string decode(const Tokenizer& t, std::span<const int32_t> ids, SpecialText special) {
  std::string out;
  Decoding decoding{.special = special};
  for (int32_t id : ids) out += next_piece(t, decoding, id);
  return out;
}

bool is_stop(const Tokenizer& t, int32_t id) { return std::binary_search(t.stop.begin(), t.stop.end(), id); }

}  // namespace wafer
