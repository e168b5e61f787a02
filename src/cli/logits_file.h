// The logits of a run as a file: "LGT1", i32 rows, i32 n_vocab, then for each row i32 position, i32 token fed at it, f32
// logits[n_vocab]; little endian.
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

namespace wafer::cli {

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

struct LogitsFile {
  std::string path;
  std::unique_ptr<std::FILE, CloseFile> file;
  int32_t vocab = 0;
  int32_t rows = 0;
};

// Creates or empties the file. Throws Error where it cannot, and where `path` is `model`, which must not be overwritten.
LogitsFile open_logits_file(const std::string& path, const std::string& model, int64_t vocab);
// Requires: logits.size() == vocab.
void add_row(LogitsFile& file, int64_t position, int32_t token, std::span<const float> logits);
// Writes the number of rows and closes. Without it the file says that it holds none.
void finish(LogitsFile& file);

}  // namespace wafer::cli
