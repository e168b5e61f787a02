#include "report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <sstream>

#include "base/check.h"
#include "base/printable.h"

namespace wafer {

std::string grouped(int64_t n) {
  std::string s = std::to_string(n);
  const int first = s[0] == '-' ? 1 : 0;
  for (int at = static_cast<int>(s.size()) - 3; at > first; at -= 3) s.insert(static_cast<size_t>(at), ",");
  return s;
}

std::string counted(int64_t n, std::string_view thing) { return fmt::format("{} {}{}", grouped(n), thing, n == 1 ? "" : "s"); }

std::string significant(double value) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const int digits = static_cast<int>(std::floor(std::log10(std::fabs(value)))) + 1;
  if (digits >= 3) return grouped(std::llround(value));
  return fmt::format("{:.{}f}", value, std::min(3 - digits, 12));
}

std::string per_second(int64_t things, double seconds) {
  return things > 0 && seconds > 0 ? significant(static_cast<double>(things) / seconds) : "-";
}

std::string mesh_text(mesh::Extent e) { return fmt::format("{}x{}", e.w, e.h); }

std::string_view name_of(Numerics numerics) {
  switch (numerics) {
    case Numerics::mixed: return "mixed";
    case Numerics::fp16: return "fp16";
    case Numerics::fp32: return "fp32";
  }
  CHECK(false, "numerics {}", static_cast<int>(numerics));
}

namespace {

// Characters, not bytes: names may hold any.
size_t width_of(std::string_view cell) {
  return static_cast<size_t>(
      std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

constexpr size_t kLeastFold = 20;  // letters of a folded column
constexpr size_t kLeastName = 8;   // of a name that is shortened

// At most `width` letters, the last three of them dots where some are missing.
std::string shortened(const std::string& text, size_t width) {
  if (width_of(text) <= width) return text;
  size_t bytes = 0;
  for (size_t letters = 0; letters + 3 < width; letters++) do
      bytes++;
    while ((static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80);
  return text.substr(0, bytes) + "...";
}

// What stands between single spaces: where there are more, a name has them, which is not taken apart.
std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> out(1);
  for (size_t i = 0; i < text.size(); i++) {
    const bool between = text[i] == ' ' && i > 0 && i + 1 < text.size() && text[i - 1] != ' ' && text[i + 1] != ' ';
    if (between)
      out.emplace_back();
    else
      out.back() += text[i];
  }
  return out;
}

std::vector<std::string> lines_of(const std::vector<std::string>& words, size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : words) {
    if (!lines.empty() && width_of(lines.back()) + 1 + width_of(word) <= width)
      lines.back() += " " + word;
    else
      lines.push_back(word);
  }
  return lines;
}

// A cell in lines of at most so many letters.
std::vector<std::string> fold(const std::string& cell, size_t width) {
  if (width_of(cell) <= width) return {cell};
  std::vector<std::string> words = pieces_of(cell);
  for (std::string& word : words) word = shortened(word, width);
  return lines_of(words, width);
}

std::vector<size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  return widths;
}

}  // namespace

std::string table(const std::vector<Row>& given, std::string_view alignment, std::string_view indent, Wide wide) {
  std::vector<Row> rows = given;
  for (Row& row : rows)
    for (std::string& cell : row) cell = escaped(cell);
  std::vector<size_t> widths = widths_of(rows);
  if (widths.empty()) return "";
  const size_t last = widths.size() - 1;
  const auto width_before = [&](size_t column) {
    size_t n = indent.size();
    for (size_t i = 0; i < column; i++) n += widths[i] + 2;
    return n;
  };
  const bool too_wide = wide == Wide::no && width_before(last) + widths[last] > kLineWidth;
  const bool folds = too_wide && last > 0 && (last >= alignment.size() || alignment[last] == 'l');
  const bool below = folds && width_before(last) + kLeastFold > kLineWidth;
  // What stands beside the last column, or is all of the line.
  const size_t needed = below ? width_before(last) - 2 : folds ? 0 : width_before(last) + widths[last];
  if (too_wide && needed > kLineWidth) {
    const size_t name = std::max(kLeastName, widths[0] - std::min(widths[0], needed - kLineWidth));
    for (Row& row : rows)
      if (!row.empty()) row[0] = shortened(row[0], name);
    widths = widths_of(rows);
  }
  const std::string under(indent.size() + 4, ' ');
  const size_t room = below ? kLineWidth - under.size() : kLineWidth - std::min(kLineWidth, width_before(last));
  std::string out;
  for (const Row& row : rows) {
    std::string line(indent);
    std::vector<std::string> rest;
    for (size_t i = 0; i < row.size(); i++) {
      if (folds && i == last) {
        rest = fold(row[i], room);
        if (below) break;
      }
      const std::string& cell = folds && i == last ? rest.front() : row[i];
      const std::string fill(widths[i] - std::min(widths[i], width_of(cell)), ' ');
      const bool right = i < alignment.size() && alignment[i] == 'r';
      line += i > 0 ? "  " : "";
      line += right ? fill + cell : cell + fill;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    const std::string before = below ? under : std::string(width_before(last), ' ');
    for (size_t i = below ? 0 : 1; i < rest.size(); i++)
      if (!rest[i].empty()) out += before + rest[i] + "\n";
  }
  return out;
}

std::string folded(std::string_view text, size_t hang) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    line.erase(line.find_last_not_of(' ') + 1);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t first = line.find_first_not_of(' ');
    if (width_of(line) <= kLineWidth || first == std::string::npos) {
      out += line + "\n";
      continue;
    }
    const bool command = line.compare(first, 9, "waferllm ") == 0;
    const size_t gap = line.find("  ", first), second = gap == std::string::npos ? gap : line.find_first_not_of(' ', gap);
    const bool columns = !command && second != std::string::npos && second <= kLineWidth / 2;
    const std::string head = line.substr(0, columns ? second : first), before(columns ? second : command ? first + 4 : first + hang, ' ');
    std::vector<std::string> words = pieces_of(line.substr(head.size()));
    if (command) {  // an option and what follows it up to the next one, or to a pipe, are one piece
      std::vector<std::string> pieces;
      for (const std::string& word : words)
        if (pieces.empty() || word.starts_with('-') || word == "|")
          pieces.push_back(word);
        else
          pieces.back() += " " + word;
      words = std::move(pieces);
    }
    const std::vector<std::string> lines = lines_of(words, kLineWidth - before.size() - (command ? 2 : 0));
    for (size_t i = 0; i < lines.size(); i++)
      out += (i == 0 ? head : before) + lines[i] + (command && i + 1 < lines.size() ? " \\" : "") + "\n";
  }
  return out;
}

std::vector<Row> wrapped_rows(const std::string& name, const std::vector<std::string>& pieces, size_t width) {
  std::vector<Row> rows;
  for (const std::string& piece : pieces) {
    if (!rows.empty() && rows.back()[1].size() + 1 + piece.size() <= width)
      rows.back()[1] += " " + piece;
    else
      rows.push_back({rows.empty() ? name : "", piece});
  }
  return rows;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace wafer
