// GEMM in the cyclic order of a MeshGEMM, as one register-blocked product over the permuted sequence of k.
//
// Every core goes round the same circle of parts, each from its own start. Rows and outputs are sorted by their part, so the starts
// inside a tile of tile_rows x tile_lanes outputs lie close together: counted from the earliest start, an element is active in steps
// [o, o + L) where o = (i + j) - (i0 + j0). Steps up to the latest start and after the first end are masked, all between are plain.
// There is no blocking over k: the accumulators stay in registers for the whole chain. (A prototype reached 96 % of a tuned sgemm with
// this.)
#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "base/half.h"
#include "base/parallel.h"
#include "run/matmul.h"
#include "run/matmul_kernels.h"

namespace wafer::run {
namespace {

constexpr int kMaxTileRows = 12;
constexpr int kMaxTileLanes = 32;
constexpr int64_t kRowTilesPerTask = 24;          // the unpacking of a strip of B is shared by so many tiles
constexpr int64_t kBytesOfA = int64_t{64} << 20;  // packed at a time

// The circle: all ranges of all parts one after the other, and where each part starts in it.
struct Circle {
  int parts = 0;
  int64_t size = 0;                  // number of k's
  std::vector<KRange> ranges;        // none empty
  std::vector<int64_t> start;        // [parts + 1], steps along the circle
  std::vector<int64_t> bounds;       // quantised: the pieces, as steps along the circle; [pieces + 1]
  std::vector<int64_t> piece_k;      // first k of each piece
  std::vector<int64_t> piece_start;  // [parts + 1], the first piece of each part
};

Circle make_circle(const GemmOrder& order, bool quantised, int64_t k) {
  Circle c{.parts = static_cast<int>(order.parts.size())};
  for (const auto& part : order.parts) {
    c.start.push_back(c.size);
    c.piece_start.push_back(static_cast<int64_t>(c.piece_k.size()));
    for (const KRange& range : part) {
      CHECK(range.begin >= 0 && range.begin <= range.end && range.end <= k, "range {}..{} of {}", range.begin, range.end, k);
      if (range.begin == range.end) continue;
      c.ranges.push_back(range);
      for (int64_t at = range.begin; quantised && at < range.end; at = (at / kQuantBlock + 1) * kQuantBlock) {
        c.bounds.push_back(c.size + at - range.begin);
        c.piece_k.push_back(at);
      }
      c.size += range.end - range.begin;
    }
  }
  c.start.push_back(c.size);
  c.piece_start.push_back(static_cast<int64_t>(c.piece_k.size()));
  c.bounds.push_back(c.size);
  return c;
}

std::vector<int> sorted_by_part(std::span<const int> part, int parts) {
  for (int p : part) CHECK(p >= 0 && p < parts, "part {} of {}", p, parts);
  std::vector<int> order(part.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int x, int y) { return part[x] < part[y]; });
  return order;
}

// Rows of A that share a tile: [step][rows], rows padded with zeros to a size that is compiled.
struct RowTile {
  int64_t first = 0;  // in the sorted order
  int rows = 0;
  int padded = 0;
  const float* a = nullptr;
};

void pack_tile(const RowTile& tile, const Circle& circle, const float* a, int64_t lda, const int* sorted, float* to) {
  static constexpr float kZero = 0;
  const float* rows[kMaxTileRows];
  int64_t step[kMaxTileRows];  // 0 for the rows that pad the tile
  for (int r = 0; r < tile.padded; r++) {
    rows[r] = r < tile.rows ? a + sorted[tile.first + r] * lda : &kZero;
    step[r] = r < tile.rows ? 1 : 0;
  }
  for (const KRange& range : circle.ranges) {
    for (int64_t k = range.begin; k < range.end; k++, to += tile.padded) {
      for (int r = 0; r < tile.padded; r++) to[r] = rows[r][k * step[r]];
    }
  }
}

// Up to tile_lanes outputs: their weights along the circle, as floats.
struct Strip {
  struct Run {  // consecutive outputs inside one panel
    int64_t n = 0;
    int lane = 0, count = 0;
  };
  int lanes = 0;
  std::vector<Run> runs;
  std::vector<uint32_t> up_to;  // [j - j0]: the lanes whose part is at most j
  int first_part = 0, last_part = 0;
  AlignedBuffer weights;  // [step][tile_lanes]
  AlignedBuffer scales;   // [piece][tile_lanes]
};

void fill_strip(Strip& strip, const PanelMatrix& b, const Circle& circle, const GemmKernels& kernels, std::span<const int> outputs,
                std::span<const int> col_part) {
  strip.lanes = static_cast<int>(outputs.size());
  strip.runs.clear();
  for (int lane = 0; lane < strip.lanes; lane++) {
    const int64_t n = outputs[lane];
    if (lane > 0 && outputs[lane - 1] + 1 == n && n % kPanelLanes != 0) {
      strip.runs.back().count++;
    } else {
      strip.runs.push_back({.n = n, .lane = lane, .count = 1});
    }
  }
  strip.first_part = col_part[outputs.front()];
  strip.last_part = col_part[outputs.back()];
  strip.up_to.assign(strip.last_part - strip.first_part + 1, 0);
  for (int lane = 0; lane < strip.lanes; lane++) strip.up_to[col_part[outputs[lane]] - strip.first_part] |= 1u << lane;
  for (size_t j = 1; j < strip.up_to.size(); j++) strip.up_to[j] |= strip.up_to[j - 1];

  const int width = kernels.tile_lanes;
  const UnpackLanes unpack = kernels.unpack[static_cast<int>(b.type)];
  float* to = strip.weights.as<float>();
  for (const KRange& range : circle.ranges) {
    for (const auto& run : strip.runs) {
      unpack(panel_data(b, run.n / kPanelLanes), static_cast<int>(run.n % kPanelLanes), run.count, range.begin, range.end, to + run.lane,
             width);
    }
    to += (range.end - range.begin) * width;
  }
  if (!is_quantised(b.type)) return;
  const int64_t block_bytes = b.type == PanelType::q8_0 ? kQ8BlockBytes : kQ4BlockBytes;
  float* scales = strip.scales.as<float>();
  for (int64_t k : circle.piece_k) {
    for (const auto& run : strip.runs) {
      const std::byte* block = panel_data(b, run.n / kPanelLanes) + k / kQuantBlock * block_bytes;
      kernels.f16_to_f32(reinterpret_cast<const uint16_t*>(block) + run.n % kPanelLanes, scales + run.lane, run.count);
    }
    scales += width;
  }
}

// One tile's walk round the circle; kept between tiles for its memory.
struct Walk {
  std::vector<uint8_t> is_start;
  std::vector<int> starts;
  std::vector<uint32_t> masks;  // [start][2][kMaxTileRows]: before and after the first end
  std::vector<TileSpan> spans;
};

// Appends parts [first, first + count) of the circle; first < parts, count <= parts, so the end of the circle may be passed once.
void append_parts(Walk& walk, const std::vector<int64_t>& start, int first, int count, const uint32_t* masks) {
  const int parts = static_cast<int>(start.size()) - 1;
  const int last = first + count;
  const auto append = [&](int from, int to) {
    if (start[from] != start[to]) walk.spans.push_back({.begin = start[from], .end = start[to], .masks = masks});
  };
  append(first, std::min(last, parts));
  if (last > parts) append(0, last - parts);
}

// Fills walk.spans. `start` is where each part begins, in steps or in pieces.
void plan_walk(Walk& walk, const std::vector<int64_t>& start, const Strip& strip, std::span<const int> row_parts) {
  const int parts = static_cast<int>(start.size()) - 1;
  const int origin = (row_parts.front() + strip.first_part) % parts;  // the part of step 0
  const int most = row_parts.back() + strip.last_part - row_parts.front() - strip.first_part;
  walk.spans.clear();
  if (most == 0) return append_parts(walk, start, origin, parts, nullptr);

  // The distinct starts, as offsets from the origin modulo the number of parts.
  walk.is_start.assign(std::min(most + 1, parts), 0);
  for (size_t r = 0; r < row_parts.size(); r++) {
    if (r > 0 && row_parts[r] == row_parts[r - 1]) continue;
    for (size_t j = 0; j < strip.up_to.size(); j++) {
      if (j == 0 || strip.up_to[j] != strip.up_to[j - 1]) walk.is_start[(row_parts[r] - row_parts.front() + j) % parts] = 1;
    }
  }
  walk.starts.clear();
  for (size_t o = 0; o < walk.is_start.size(); o++) {
    if (walk.is_start[o]) walk.starts.push_back(static_cast<int>(o));
  }

  // Lanes of row r whose offset, not yet reduced, is at most `offset`.
  const auto started = [&](size_t r, int offset) -> uint32_t {
    const int j = offset - (row_parts[r] - row_parts.front());
    if (j < 0) return 0;
    return strip.up_to[std::min<size_t>(j, strip.up_to.size() - 1)];
  };
  walk.masks.assign(walk.starts.size() * 2 * kMaxTileRows, 0);
  for (size_t e = 0; e < walk.starts.size(); e++) {
    uint32_t* head = walk.masks.data() + e * 2 * kMaxTileRows;
    for (size_t r = 0; r < row_parts.size(); r++) {
      head[r] = started(r, walk.starts[e]);
      if (most >= parts) head[r] |= started(r, walk.starts[e] + parts) & ~started(r, parts - 1);
      head[kMaxTileRows + r] = ~head[r];
    }
  }
  for (const bool head : {true, false}) {
    for (size_t e = 0; e + 1 < walk.starts.size(); e++) {
      const uint32_t* masks = walk.masks.data() + (e * 2 + (head ? 0 : 1)) * kMaxTileRows;
      append_parts(walk, start, (origin + walk.starts[e]) % parts, walk.starts[e + 1] - walk.starts[e], masks);
    }
    if (head) append_parts(walk, start, (origin + walk.starts.back()) % parts, parts - walk.starts.back(), nullptr);
  }
}

}  // namespace

void gemm(const float* a, int64_t lda, const PanelMatrix& b, const GemmOrder& order, std::span<const int> row_part,
          std::span<const int> col_part, Numerics numerics, float* c, int64_t ldc) {
  const int64_t t = static_cast<int64_t>(row_part.size());
  const int64_t n = b.n;
  CHECK(static_cast<int64_t>(col_part.size()) == n && !order.parts.empty(), "{} outputs, {} parts of outputs", n, col_part.size());
  CHECK(numerics != Numerics::fp16 || !is_quantised(b.type), "fp16 numerics round quantised weights to fp16 first");
  if (t == 0 || n == 0) return;
  const GemmKernels& kernels = gemm_kernels(current_isa());
  const Circle circle = make_circle(order, is_quantised(b.type), b.k);
  const TileProduct product = numerics == Numerics::fp16 ? kernels.tile_fp16 : kernels.tile;
  const std::vector<int> rows = sorted_by_part(row_part, circle.parts);
  const std::vector<int> outputs = sorted_by_part(col_part, circle.parts);
  std::vector<int> sorted_row_parts(t);
  for (int64_t r = 0; r < t; r++) sorted_row_parts[r] = row_part[rows[r]];

  const int64_t tiles = (t + kernels.tile_rows - 1) / kernels.tile_rows;
  const int64_t tile_floats = std::max<int64_t>(circle.size, 1) * kernels.tile_rows;
  const int64_t batch = std::clamp<int64_t>(kBytesOfA / (4 * tile_floats), std::min(tiles, kRowTilesPerTask), tiles);
  const int64_t strips = (n + kernels.tile_lanes - 1) / kernels.tile_lanes;
  AlignedBuffer packed = make_aligned_array<float>(batch * tile_floats);
  std::vector<RowTile> row_tiles(tiles);
  for (int64_t i = 0; i < tiles; i++) {
    const int64_t first = t * i / tiles, last = t * (i + 1) / tiles;
    const int count = static_cast<int>(last - first);
    row_tiles[i] = {.first = first, .rows = count, .padded = padded_tile_rows(count), .a = packed.as<float>() + i % batch * tile_floats};
  }
  for (int64_t batch_first = 0; batch_first < tiles; batch_first += batch) {
    const int64_t batch_last = std::min(tiles, batch_first + batch);
    parallel_for(batch_first, batch_last, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        pack_tile(row_tiles[i], circle, a, lda, rows.data(), packed.as<float>() + i % batch * tile_floats);
      }
    });
    const int64_t groups = (batch_last - batch_first + kRowTilesPerTask - 1) / kRowTilesPerTask;
    parallel_for(0, groups * strips, 1, [&](int64_t begin, int64_t end) {
      Strip strip{.weights = make_aligned_array<float>(circle.size * kernels.tile_lanes),
                  .scales = make_aligned_array<float>(circle.piece_k.size() * kernels.tile_lanes)};
      std::memset(strip.weights.as<float>(), 0, strip.weights.size);
      std::memset(strip.scales.as<float>(), 0, strip.scales.size);
      Walk walk;
      alignas(64) float tile[kMaxTileRows * kMaxTileLanes];
      for (int64_t task = begin; task < end; task++) {
        const int64_t first_output = task % strips * kernels.tile_lanes;
        const int64_t lanes = std::min<int64_t>(kernels.tile_lanes, n - first_output);
        fill_strip(strip, b, circle, kernels, std::span(outputs).subspan(first_output, lanes), col_part);
        const int64_t first_tile = batch_first + task / strips * kRowTilesPerTask;
        const int64_t last_tile = std::min(batch_last, first_tile + kRowTilesPerTask);
        for (int64_t i = first_tile; i < last_tile; i++) {
          const RowTile& row_tile = row_tiles[i];
          plan_walk(walk, is_quantised(b.type) ? circle.piece_start : circle.start, strip,
                    std::span(sorted_row_parts).subspan(row_tile.first, row_tile.rows));
          const int64_t spans = static_cast<int64_t>(walk.spans.size());
          if (is_quantised(b.type)) {
            kernels.tile_quant(row_tile.a, row_tile.padded, strip.weights.as<float>(), circle.bounds.data(), strip.scales.as<float>(),
                               walk.spans.data(), spans, tile);
          } else {
            product(row_tile.a, row_tile.padded, strip.weights.as<float>(), walk.spans.data(), spans, tile);
          }
          for (int r = 0; r < row_tile.rows; r++) {
            float* row = c + rows[row_tile.first + r] * ldc;
            for (const auto& run : strip.runs)
              std::memcpy(row + run.n, tile + r * kernels.tile_lanes + run.lane, sizeof(float) * run.count);
          }
        }
      }
    });
  }
}

}  // namespace wafer::run
