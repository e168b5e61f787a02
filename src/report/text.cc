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

}  // namespace

std::string table(const std::vector<Row>& given, std::string_view alignment, std::string_view indent) {
  std::vector<Row> rows = given;
  std::vector<size_t> widths;
  for (Row& row : rows) {
    for (std::string& cell : row) cell = escaped(cell);
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); i++) {
      const std::string fill(widths[i] - width_of(row[i]), ' ');
      const bool right = i < alignment.size() && alignment[i] == 'r';
      line += i > 0 ? "  " : "";
      line += right ? fill + row[i] : row[i] + fill;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
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
