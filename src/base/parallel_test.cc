#include "base/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

namespace wafer {
namespace {

TEST(Parallel, CoversEveryItemOnce) {
  for (int threads : {1, 2, 0}) {
    set_thread_count(threads);
    for (int64_t count : {0, 1, 7, 1000}) {
      std::vector<std::atomic<int>> seen(count);
      parallel_for(0, count, 3, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) seen[i]++;
      });
      for (const auto& times : seen) EXPECT_EQ(times, 1);
    }
  }
}

TEST(Parallel, TheCapIsKept) {
  set_thread_count(1);
  EXPECT_EQ(thread_count(), 1);
  std::atomic<int> inside{0}, most{0};
  parallel_for(0, 100, 1, [&](int64_t, int64_t) {
    most = std::max<int>(most, ++inside);
    inside--;
  });
  EXPECT_EQ(most, 1);
  set_thread_count(0);
  EXPECT_GE(thread_count(), 1);
}

TEST(Parallel, ExceptionsComeBack) {
  EXPECT_THROW(parallel_for(0, 100, 1,
                            [](int64_t begin, int64_t) {
                              if (begin >= 0) throw std::runtime_error("x");
                            }),
               std::runtime_error);
}

}  // namespace
}  // namespace wafer
