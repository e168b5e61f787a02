// A file mapped for reading. The pages belong to the operating system's cache: nothing is copied, and two processes that
// read one checkpoint share its memory. A file that another program shortens meanwhile ends this one (SIGBUS).
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace wafer {

class MappedFile {
 public:
  // Throws Error where the path is missing, unreadable, empty or no regular file.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  // Gives the pages that lie wholly inside `part` back to the system, for a reader that has made its own copy.
  // Reading them again is slow, never wrong. Requires: part lies in bytes().
  void drop(std::span<const std::byte> part) const;

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace wafer
