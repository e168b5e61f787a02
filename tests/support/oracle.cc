#include "support/oracle.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>

namespace wafer {

std::string shared_path(const std::string& relative) {
  const char* shared = std::getenv("WAFER_SHARED");
  return (shared ? std::string(shared) : WAFER_SOURCE_DIR "/../shared") + "/" + relative;
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

std::string read_maybe_gz(const std::string& path) {
  if (!exists(path)) throw std::runtime_error("no such file: " + path);
  const bool packed = path.ends_with(".gz");
  FILE* f = packed ? popen(("gzip -dc '" + path + "'").c_str(), "r") : std::fopen(path.c_str(), "rb");
  if (!f) throw std::runtime_error("cannot read " + path);
  std::string text;
  char buffer[1 << 16];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, f)) > 0;) text.append(buffer, n);
  if ((packed ? pclose(f) : std::fclose(f)) != 0) throw std::runtime_error("cannot read " + path);
  return text;
}

std::vector<OracleRow> read_oracle(const std::string& path) {
  const std::string data = read_maybe_gz(path);
  int32_t head[2];  // rows, vocab
  if (data.size() < 12 || data.compare(0, 4, "LGT1") != 0) throw std::runtime_error("no LGT1 file: " + path);
  std::memcpy(head, data.data() + 4, sizeof head);
  const size_t row_bytes = 8 + 4 * static_cast<size_t>(head[1]);
  if (data.size() < 12 + row_bytes * static_cast<size_t>(head[0])) throw std::runtime_error("cut short: " + path);
  std::vector<OracleRow> rows(static_cast<size_t>(head[0]));
  for (size_t i = 0; i < rows.size(); i++) {
    const char* p = data.data() + 12 + i * row_bytes;
    std::memcpy(&rows[i].position, p, 4);
    std::memcpy(&rows[i].token, p + 4, 4);
    rows[i].logits.resize(static_cast<size_t>(head[1]));
    std::memcpy(rows[i].logits.data(), p + 8, row_bytes - 8);
  }
  return rows;
}

std::vector<int32_t> read_ids(const std::string& path) {
  std::istringstream in(read_maybe_gz(path));
  std::vector<int32_t> ids;
  for (int32_t id; in >> id;) ids.push_back(id);
  return ids;
}

namespace {

struct Distance {
  double error = 0, reference = 0;  // sums of squares
};

void add(Distance& d, std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) throw std::runtime_error("rel_rms of vectors of different length");
  for (size_t i = 0; i < a.size(); i++) {
    const double x = a[i], y = b[i];
    d.error += (x - y) * (x - y);
    d.reference += y * y;
  }
}

}  // namespace

double rel_rms(std::span<const float> a, std::span<const float> b) {
  Distance d;
  add(d, a, b);
  return std::sqrt(d.error / d.reference);
}

double rel_rms(const std::vector<std::vector<float>>& a, const std::vector<OracleRow>& b, size_t rows) {
  if (a.size() < rows || b.size() < rows) throw std::runtime_error("rel_rms of fewer rows than asked for");
  Distance d;
  for (size_t i = 0; i < rows; i++) add(d, a[i], b[i].logits);
  return std::sqrt(d.error / d.reference);
}

}  // namespace wafer
