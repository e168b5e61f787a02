// Loops over several threads. Everything computed with them must be the same for every thread count: a task writes only its own
// outputs, and no sum crosses tasks.
#pragma once
#include <cstdint>
#include <functional>

namespace wafer {

// Caps the threads of every later parallel_for of the process; 0 restores the default, one thread for each CPU. For main and tests.
void set_thread_count(int count);
int thread_count();

// Calls fn(b, e) on disjoint pieces that cover [begin, end), each of at least `grain` items where there are that many.
// An exception of fn is rethrown here.
void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& fn);

}  // namespace wafer
