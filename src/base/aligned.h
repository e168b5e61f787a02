// A block of memory that starts on a cache line, not cleared. Large blocks ask the system for huge pages: the kernels of run/ read
// them once from end to end, and with 4 KB pages the first touch alone costs more than a read.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace wafer {

struct FreeDeleter {
  void operator()(std::byte* p) const { std::free(p); }
};

struct AlignedBuffer {
  std::unique_ptr<std::byte[], FreeDeleter> bytes;
  size_t size = 0;

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(bytes.get());
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(bytes.get());
  }
};

// Requires: size > 0. Throws std::bad_alloc.
inline AlignedBuffer make_aligned(size_t size) {
  const size_t huge_page = size_t{2} << 20;
  const size_t alignment = size >= 2 * huge_page ? huge_page : 64;
  const size_t rounded = (size + alignment - 1) / alignment * alignment;
  auto* p = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  if (p == nullptr) throw std::bad_alloc();
  if (alignment == huge_page) madvise(p, rounded, MADV_HUGEPAGE);  // only a wish: nothing depends on its success
  return {.bytes = std::unique_ptr<std::byte[], FreeDeleter>(p), .size = size};
}

template <class T>
AlignedBuffer make_aligned_array(size_t count) {
  return make_aligned((count > 0 ? count : 1) * sizeof(T));
}

}  // namespace wafer
