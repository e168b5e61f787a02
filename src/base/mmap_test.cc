#include "base/mmap.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace wafer {
namespace {

std::string temporary(const std::string& name, const std::string& content) {
  const std::string path = testing::TempDir() + "wafer_" + std::to_string(::getpid()) + "_" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(MappedFile, HoldsTheBytesAndCanDropPages) {
  const std::string content(100000, 'x');
  const std::string path = temporary("mapped", content);
  const MappedFile file(path);
  std::filesystem::remove(path);  // the mapping outlives the name
  EXPECT_EQ(file.path(), path);
  ASSERT_EQ(file.bytes().size(), content.size());
  file.drop(file.bytes().subspan(1, 90000));
  file.drop({});
  file.drop(file.bytes().first(10));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()), content);
}

std::string message(const std::string& path) {
  try {
    MappedFile file(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(MappedFile, SaysWhatIsWrong) {
  EXPECT_NE(message("/no/such/file").find("/no/such/file: found No such file"), std::string::npos);
  EXPECT_NE(message(testing::TempDir()).find("a directory"), std::string::npos);
  const std::string empty = temporary("empty", "");
  EXPECT_NE(message(empty).find("an empty file"), std::string::npos);
  std::filesystem::remove(empty);
  EXPECT_NE(message("/dev/null").find("a pipe or device"), std::string::npos);
}

}  // namespace
}  // namespace wafer
