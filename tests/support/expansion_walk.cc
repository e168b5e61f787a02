#include "support/expansion_walk.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/check.h"
#include "mesh/visit.h"
#include "time/product_schedule.h"

namespace wafer {

using namespace mesh;

namespace {

using Sizes = std::vector<int64_t>;  // [L] elements of logical tiles

const Cut& cut_of(const Program& p, BufferId id, size_t d) {
  for (const DimCut& c : p.buffers[id].cuts)
    if (c.dim == static_cast<int>(d)) return c.cut;
  static const Cut whole = whole_cut();
  return whole;
}

// The position of the core that owns a logical position.
int owner(int64_t logical, int side, int64_t L, LineOrder order) {
  for (int ring = 0; ring < side; ring++) {
    const Range own = logical_positions(ring, side, static_cast<int>(L));
    if (logical >= own.begin && logical < own.end) return ring_to_position(order, ring, side);
  }
  check_failed(__FILE__, __LINE__, "owner", "nobody owns a logical position");
}

// One rectangle of a product's region.
struct RectangleWalk {
  const Program& program;
  const Product& product;
  const Params& params;
  int64_t chunk;
  const Device& device;
  Range run;  // columns
  int w, h, region_w;
  int64_t L;
  LineOrder order = order_of(product.algorithm);
  std::vector<int> columns{}, rows{};  // of the region, by logical position: where its core is
  Sizes row_tiles{}, k_tiles{};
  std::vector<Sizes> n_tiles{};  // [heads of the rectangle]: columns of C; of GEMM-T [heads][columns of the rectangle] dims of B
  std::vector<Sizes> a{}, b{};   // [L][L] the block of k that a slot's tile has. GEMM-T: b is [L][w], the block of keys
  int64_t turn = 0;
  bool computes = false;  // the current turn
  WalkCounts out{};
  time::StreamActions actions{};
  int64_t descriptors = 0;  // of tile products

  size_t at(int64_t i) const { return static_cast<size_t>((i % L + L) % L); }
  int64_t size(BufferId id, size_t d) const {
    const Size& s = program.tensors[program.buffers[id].tensor].dims[d].size;
    return s.kind == SizeKind::keys ? keys() : value(s, params);
  }
  int64_t keys() const { return std::min((chunk + 1) * params.chunk, params.cached + params.rows) - chunk * params.chunk; }
  Dtype type(BufferId id) const { return program.tensors[program.buffers[id].tensor].dtype; }
  int64_t wavelets(Dtype t, int64_t elements) const { return time::wavelets(device, t, elements); }

  Sizes tiles(const Cut& cut, int64_t n, Range positions) const {
    Sizes out_sizes;
    for (const auto& ranges : logical_tiles(cut, n, static_cast<int>(L), positions)) out_sizes.push_back(count(ranges));
    return out_sizes;
  }
  // Rows of an operand that are the inner dimension, or keys: of a cache, those of the chunk.
  Sizes tiles_along_y(BufferId id) const {
    const Cut& cut = cut_of(program, id, 0);
    if (cut.kind == CutKind::chunks) return tiles(ring_cut(cut.positions, cut.logical), keys(), {0, h});
    return tiles(cut, size(id, 0), {0, h});
  }
  Range heads() const {
    if (product.heads == 0) return {0, 1};
    return heads_at(product.heads, region_w, static_cast<int>(run.begin));
  }

  void place() {
    for (int64_t l = 0; l < L; l++) {
      columns.push_back(static_cast<int>(run.begin) + owner(l, w, L, order));
      rows.push_back(owner(l, h, L, order));
    }
    const size_t last = program.tensors[program.buffers[product.a].tensor].dims.size() - 1;
    row_tiles = tiles(cut_of(program, product.a, last - 1), params.rows, {0, h});
    const bool transposed = product.algorithm == Algorithm::gemm_t;
    k_tiles = transposed || w < L ? tiles_along_y(product.b) : tiles(cut_of(program, product.a, last), size(product.a, last), run);
    const Range own_heads = heads();
    for (int64_t head = own_heads.begin; head < own_heads.end; head++) n_tiles.push_back(transposed ? dims_of(head) : columns_of(head));
    a.assign(static_cast<size_t>(L), Sizes(static_cast<size_t>(L)));
    b = a;
    for (int64_t i = 0; i < L; i++)
      for (int64_t j = 0; j < L; j++) {
        a[at(i)][at(j)] = product.a_aligned ? (i + j) % L : j;
        b[at(i)][at(j)] = product.b_aligned && !transposed ? (i + j) % L : i;
      }
  }
  Range dims(BufferId id, int64_t head) const {
    const int64_t n = size(id, 1), each = n / std::max(1, product.heads);
    return product.heads == 0 ? Range{0, n} : Range{head * each, (head + 1) * each};
  }
  Sizes columns_of(int64_t head) const {
    Sizes sizes;
    for (const auto& ranges :
         logical_tiles(cut_of(program, product.c, 1), size(product.c, 1), static_cast<int>(L), run, dims(product.c, head)))
      sizes.push_back(count(ranges));
    return sizes;
  }
  Sizes dims_of(int64_t head) const {
    Sizes sizes;
    const Range own = dims(product.b, head);
    for (int64_t x = run.begin; x < run.end; x++) {
      int64_t n = 0;
      for (const Range& r : ranges_at(cut_of(program, product.b, 1), size(product.b, 1), static_cast<int>(x)))
        for (int64_t i = r.begin; i < r.end; i++) n += i >= own.begin && i < own.end ? 1 : 0;
      sizes.push_back(n);
    }
    return sizes;
  }

  // Elements of the tiles that are in a slot, of all heads.
  int64_t elements(bool is_a, const std::vector<Sizes>& blocks, size_t i, size_t j) const {
    int64_t n = 0;
    for (const Sizes& of_head : n_tiles) n += is_a ? row_tiles[i] : of_head[j];
    return n * k_tiles[at(blocks[i][j])];
  }

  // ---- leaves ----------------------------------------------------------------------------------------------------------------------

  void cross(int from_x, int from_y, int to_x, int to_y, int64_t words) {
    for (int x = from_x; x != to_x; x += to_x > x ? 1 : -1) out.links[{x, from_y, Axis::x, to_x > x}] += words;
    for (int y = from_y; y != to_y; y += to_y > y ? 1 : -1) out.links[{to_x, y, Axis::y, to_y > y}] += words;
  }

  // What slots send to the slots below them, or above, as one message from core to core.
  void shift(const Shift& s) {
    CHECK(s.order == order, "a shift in another order");
    const bool is_a = s.buffer == product.a, along_x = s.axis == Axis::x, transposed = product.algorithm == Algorithm::gemm_t;
    CHECK(is_a == along_x, "a shift along the wrong axis");
    auto& slots = is_a ? a : b;
    const auto before = slots;
    std::map<std::array<int, 5>, int64_t> messages;  // from x, y, to x, y, sense: elements
    for (int64_t i = 0; i < L; i++)
      for (int64_t j = 0; j < (transposed ? w : L); j++) {
        int sense = 1;
        if (s.kind != ShiftKind::ring_down) {
          const int64_t left = s.kind == ShiftKind::align_rows ? i : j;
          if (turn >= std::min(left, L - left)) continue;
          sense = left <= L - left ? 1 : -1;
        }
        const int64_t from_i = along_x ? i : static_cast<int64_t>(at(i + sense)),
                      from_j = along_x ? static_cast<int64_t>(at(j + sense)) : j;
        const auto place = [&](int64_t y, int64_t x) {
          return std::array{transposed ? static_cast<int>(run.begin + x) : columns[static_cast<size_t>(x)], rows[static_cast<size_t>(y)]};
        };
        const auto from = place(from_i, from_j), to = place(i, j);
        const size_t y = static_cast<size_t>(from_i), x = static_cast<size_t>(from_j);
        // Inside a core a tile only changes its name.
        if (from != to) messages[{from[0], from[1], to[0], to[1], sense}] += elements(is_a, before, y, x);
        slots[at(i)][static_cast<size_t>(j)] = before[y][x];
      }
    for (const auto& [m, n] : messages) {
      const int64_t words = wavelets(type(s.buffer), n);
      actions = actions + time::shift_actions();
      out.sent += words;
      out.received += words;
      cross(m[0], m[1], m[2], m[3], words);
    }
  }
  void tile_product(int64_t m, int64_t k, int64_t n) {
    out.multiply_adds += m * k * n;
    if (m > 0 && n > 0) descriptors += time::kTileDescriptors * k;
  }

  void multiply() {
    computes = true;
    for (size_t i = 0; i < static_cast<size_t>(L); i++)
      for (size_t j = 0; j < static_cast<size_t>(L); j++) {
        CHECK(a[i][j] == b[i][j], "slot {} {} has block {} of A and {} of B", i, j, a[i][j], b[i][j]);
        for (const Sizes& of_head : n_tiles) tile_product(row_tiles[i], k_tiles[at(a[i][j])], of_head[j]);
      }
  }
  void multiply_transposed() {
    computes = true;
    for (size_t i = 0; i < static_cast<size_t>(L); i++)
      for (size_t x = 0; x < static_cast<size_t>(w); x++)
        for (const Sizes& dims_of_head : n_tiles) tile_product(row_tiles[i], dims_of_head[x], k_tiles[at(b[i][x])]);
  }

  // Every logical row by itself: its partial tiles come from both ends of the row of cores to the one that owns the keys.
  void row_sum(const RootReduce& r) {
    for (size_t i = 0; i < static_cast<size_t>(L); i++) {
      const int64_t block = b[i][0], heads_here = static_cast<int64_t>(n_tiles.size());
      const int root = owner(block, w, L, LineOrder::interleaved);
      const int64_t words = wavelets(type(r.partial), row_tiles[i] * k_tiles[at(block)] * heads_here);
      for (int x = 0; x < w; x++) {
        actions = actions + time::row_sum_actions(x, root, w);
        if (x == root) continue;
        out.sent += words;
        out.received += words;
        const int from = static_cast<int>(run.begin) + x;
        cross(from, rows[i], x < root ? from + 1 : from - 1, rows[i], words);
      }
    }
  }

  // ---- products by casts: cores in the order of the line -----------------------------------------------------------------------------

  int64_t block_size(int64_t block) const { return part(size(product.a, 1), block, L).size(); }
  int64_t k_of(Range blocks) const {
    int64_t n = 0;
    for (int64_t block = blocks.begin; block < blocks.end; block++) n += block_size(block);
    return n;
  }
  int64_t rows_at(int y) const { return count_at(cut_of(program, product.a, 0), params.rows, y); }
  int64_t columns_at(int x) const { return count_at(cut_of(program, product.c, 1), size(product.c, 1), x); }

  void cast(const TileCast& c) {
    const bool along_x = c.axis == Axis::x;
    CHECK(c.buffer == (along_x ? product.a : product.b), "a cast along the wrong axis");
    const int64_t block = turn + c.ahead;
    if (!c.all && block >= L) return;
    const int length = along_x ? w : h, lines = along_x ? h : w;
    CHECK(length > 1, "a cast on one core");
    for (int line = 0; line < lines; line++)
      for (int from = 0; from < length; from++) {
        const Range own = logical_positions(from, length, static_cast<int>(L));
        if (!c.all && (block < own.begin || block >= own.end)) continue;
        const int64_t k = c.all ? k_of(own) : block_size(block);
        const int64_t words = wavelets(type(c.buffer), k * (along_x ? rows_at(line) : columns_at(line)));
        out.sent += words;
        for (int to = 0; to < length; to++) {
          actions = actions + time::cast_actions();
          if (to == from) continue;
          out.received += words;
          const int before = to > from ? to - 1 : to + 1;  // routers copy: each link carries the tile once
          along_x ? cross(before, line, to, line, words) : cross(line, before, line, to, words);
        }
      }
  }
  void multiply_cast() {
    computes = true;
    const int64_t k = product.algorithm == Algorithm::summa ? block_size(turn) : size(product.a, 1);
    for (int y = 0; y < h; y++)
      for (int x = 0; x < w; x++) tile_product(rows_at(y), k, columns_at(x));
  }

  // ---- loops -----------------------------------------------------------------------------------------------------------------------

  void local(const Local& op) {
    if (op.op == LocalOp::tile_fma_t)
      multiply_transposed();
    else if (on_rings(product.algorithm))
      multiply();
    else
      multiply_cast();
  }

  void loop(const Loop& l) {
    for (turn = 0; turn < std::min(l.fixed, L); turn++) {  // a smaller rectangle beside a larger one is done sooner
      computes = false;
      steps(l.body);
      if (computes) actions = actions + int64_t{w} * h * time::turn_actions();
    }
  }

  void steps(const Steps& list) {
    const auto refuse = [] { check_failed(__FILE__, __LINE__, "RectangleWalk::steps", "no part of a product"); };
    for (const Step& step : list)
      visit(
          step, [&](const Loop& l) { loop(l); }, [&](const Group& g) { steps(g.body); }, [&](const Local& op) { local(op); },
          [&](const Shift& s) { shift(s); }, [&](const TileCast& c) { cast(c); }, [&](const RootReduce& r) { row_sum(r); },
          for_kinds<Opaque, Reduce, RingReduce, Multicast, RowShift, Send, Receive, Host, Product>(refuse));
  }
};

}  // namespace

int64_t WalkCounts::hops() const {
  int64_t sum = 0;
  for (const auto& [link, words] : links) sum += words;
  return sum;
}

void add(WalkCounts& to, const WalkCounts& more) {
  to.actions = to.actions + more.actions;
  to.multiply_adds += more.multiply_adds;
  to.sent += more.sent;
  to.received += more.received;
  for (const auto& [link, words] : more.links) to.links[link] += words;
}

WalkCounts walk_expansion(const Program& program, const Step& step, const Steps& expansion, const Params& params, int64_t chunk,
                          const Device& device) {
  const Product& product = std::get<Product>(step.what);
  const Rect rect = program.regions[program.buffers[product.a].region].rect;
  WalkCounts all;
  for (const Range& run : product.runs) {
    const int w = static_cast<int>(run.size());
    RectangleWalk walk{.program = program,
                       .product = product,
                       .params = params,
                       .chunk = chunk,
                       .device = device,
                       .run = run,
                       .w = w,
                       .h = rect.h,
                       .region_w = rect.w,
                       .L = std::max(w, rect.h)};
    walk.place();
    walk.steps(expansion);
    walk.out.actions = {.stream_ops = walk.actions.operations,
                        .descriptor_loads = walk.actions.operations + walk.descriptors,
                        .descriptor_edits = walk.actions.operations + walk.descriptors,
                        .tasks = walk.actions.tasks};
    add(all, walk.out);
  }
  return all;
}

}  // namespace wafer
