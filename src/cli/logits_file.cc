#include "cli/logits_file.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/error.h"

namespace wafer::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is written as memory holds it");

[[noreturn]] void refuse(const std::string& path) {
  throw Error{
      {.where = "--logits " + path, .found = std::strerror(errno), .expected = "a file that can be written", .fix = "choose another path"}};
}

void put(LogitsFile& f, const void* data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, f.file.get()) != bytes) refuse(f.path);
}

void put_head(LogitsFile& f) {
  const int32_t head[2] = {f.rows, f.vocab};
  put(f, "LGT1", 4);
  put(f, head, sizeof head);
}

}  // namespace

LogitsFile open_logits_file(const std::string& path, const std::string& model, int64_t vocab) {
  std::error_code ec;
  if (std::filesystem::equivalent(path, model, ec))
    throw Error{{.where = "--logits " + path, .found = "the model's own file", .expected = "another file", .fix = "choose another path"}};
  LogitsFile f{
      .path = path, .file = std::unique_ptr<std::FILE, CloseFile>(std::fopen(path.c_str(), "wb")), .vocab = static_cast<int32_t>(vocab)};
  if (!f.file) refuse(path);
  put_head(f);
  return f;
}

void add_row(LogitsFile& f, int64_t position, int32_t token, std::span<const float> logits) {
  CHECK(logits.size() == static_cast<size_t>(f.vocab), "{} logits, vocabulary of {}", logits.size(), f.vocab);
  const int32_t head[2] = {static_cast<int32_t>(position), token};
  put(f, head, sizeof head);
  put(f, logits.data(), logits.size_bytes());
  f.rows++;
}

void finish(LogitsFile& f) {
  if (std::fseek(f.file.get(), 0, SEEK_SET) != 0) refuse(f.path);
  put_head(f);
  if (std::fclose(f.file.release()) != 0) refuse(f.path);
}

}  // namespace wafer::cli
