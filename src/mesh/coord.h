// Places on the mesh: axes, rectangles of cores, and the interleaved ring of WaferLLM's algorithm 1.
#pragma once
#include <cstdint>

namespace wafer::mesh {

enum class Axis : uint8_t { x, y };

inline Axis other(Axis a) { return a == Axis::x ? Axis::y : Axis::x; }
inline const char* name(Axis a) { return a == Axis::x ? "x" : "y"; }

struct Extent {
  int w = 1;  // cores along x
  int h = 1;  // cores along y
  bool operator==(const Extent&) const = default;
};

inline int side(Extent e, Axis a) { return a == Axis::x ? e.w : e.h; }

struct Rect {
  int x = 0;
  int y = 0;
  int w = 1;
  int h = 1;
  bool operator==(const Rect&) const = default;
};

inline Extent extent(const Rect& r) { return {r.w, r.h}; }

// The ring of n cores on a line: even positions ascending, then odd positions descending, so that ring neighbours are at most
// two apart (paper, algorithm 1). Both maps are for 0 <= argument < n.
inline int ring_to_position(int ring, int n) { return 2 * ring < n ? 2 * ring : 2 * (n - ring) - 1; }
inline int position_to_ring(int position, int n) { return position % 2 == 0 ? position / 2 : n - (position + 1) / 2; }

// How a ring lies on its line: interleaved, or in the order of the line, where all neighbours are one apart but the two ends n - 1.
enum class LineOrder : uint8_t { interleaved, natural };
inline int ring_to_position(LineOrder order, int ring, int n) { return order == LineOrder::natural ? ring : ring_to_position(ring, n); }
inline int position_to_ring(LineOrder order, int position, int n) {
  return order == LineOrder::natural ? position : position_to_ring(position, n);
}

}  // namespace wafer::mesh
