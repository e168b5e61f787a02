// For tests: reference logits, and the distance from them.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wafer {

// Where the data shared by all work trees lies: $WAFER_SHARED, else ../shared beside the sources. The path need not exist.
std::string shared_path(const std::string& relative);
bool exists(const std::string& path);

struct OracleRow {
  int32_t position = 0;
  int32_t token = 0;          // fed at that position
  std::vector<float> logits;  // [vocab]
};

// Reads a file of the form "LGT1", i32 rows, i32 vocab, rows x (i32 position, i32 token, f32 logits[vocab]); gzipped where
// the name ends in .gz. Throws std::runtime_error where it cannot.
std::vector<OracleRow> read_oracle(const std::string& path);

// The bytes of a file, unpacked where its name ends in .gz.
std::string read_maybe_gz(const std::string& path);
// Whitespace separated ids.
std::vector<int32_t> read_ids(const std::string& path);

// sqrt(sum (a - b)^2 / sum b^2); b is the reference. Requires: equal sizes.
double rel_rms(std::span<const float> a, std::span<const float> b);

// The same over the first `rows` rows at once.
double rel_rms(const std::vector<std::vector<float>>& a, const std::vector<OracleRow>& b, size_t rows);

}  // namespace wafer
