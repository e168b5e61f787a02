#include "base/parallel.h"

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <optional>

namespace wafer {
namespace {

std::optional<tbb::global_control>& cap() {
  static std::optional<tbb::global_control> control;
  return control;
}

}  // namespace

void set_thread_count(int count) {
  cap().reset();
  if (count > 0) cap().emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(count));
}

int thread_count() {
  const auto active = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  return std::min(static_cast<int>(active), tbb::info::default_concurrency());
}

void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& fn) {
  if (begin >= end) return;
  if (end - begin <= grain) return fn(begin, end);
  tbb::parallel_for(tbb::blocked_range<int64_t>(begin, end, static_cast<size_t>(std::max<int64_t>(grain, 1))),
                    [&](const tbb::blocked_range<int64_t>& r) { fn(r.begin(), r.end()); });
}

}  // namespace wafer
