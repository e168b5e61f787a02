// MeshGEMM and GEMM-T as tiles in slots that travel from core to core. A slot is a pair of logical ring positions of a rectangle; the core
// that owns the slot computes with the tiles that are in it now. Tiles are read once, from the cores that hold them by placement, and then
// live in the slots only.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/half.h"
#include "mesh/expand.h"
#include "support/naive_executor_state.h"

namespace wafer::naive {
namespace {

using Indices = std::vector<int64_t>;
using Tiles = std::vector<Indices>;  // [L] indices of a dimension

Tiles tiles_of(const Cut& cut, int64_t n, int L, Range run) {
  Tiles out;
  for (const auto& ranges : logical_tiles(cut, n, L, run)) out.push_back(flatten(ranges));
  return out;
}

// The tiles of one head's dims: what each core holds of them, dealt evenly to the core's logical positions.
Tiles tiles_of_head(const Cut& cut, int64_t n, int L, Range run, Range dims) {
  Tiles out(static_cast<size_t>(L));
  const int S = static_cast<int>(run.size());
  for (int ring = 0; ring < S; ring++) {
    Indices held = flatten(ranges_at(cut, n, static_cast<int>(run.begin) + ring_to_position(ring, S)));
    std::erase_if(held, [&](int64_t i) { return i < dims.begin || i >= dims.end; });
    const Range own = logical_positions(ring, S, L);
    for (int64_t l = own.begin; l < own.end; l++) {
      const Range piece = part(static_cast<int64_t>(held.size()), l - own.begin, own.size());
      out[static_cast<size_t>(l)].assign(held.begin() + piece.begin, held.begin() + piece.end);
    }
  }
  return out;
}

// The physical position of the core that owns a logical position on a side of S cores.
int owner(int logical, int S, int L, LineOrder order = LineOrder::interleaved) {
  for (int ring = 0; ring < S; ring++) {
    const Range own = logical_positions(ring, S, L);
    if (logical >= own.begin && logical < own.end) return ring_to_position(order, ring, S);
  }
  return -1;
}

struct Rectangle {
  Range run;  // columns of the region
  int h = 1;
  int L = 1;
  std::vector<int> columns, rows;  // of the region, by logical position: where its core is
  int w() const { return static_cast<int>(run.size()); }
  int column(int logical) const { return columns[static_cast<size_t>(logical)]; }
  int row(int logical) const { return rows[static_cast<size_t>(logical)]; }
};

Rectangle rectangle(Range run, int h, LineOrder order = LineOrder::interleaved) {
  Rectangle at{.run = run, .h = h, .L = std::max(static_cast<int>(run.size()), h), .columns = {}, .rows = {}};
  for (int l = 0; l < at.L; l++) {
    at.columns.push_back(static_cast<int>(run.begin) + owner(l, at.w(), at.L, order));
    at.rows.push_back(owner(l, h, at.L, order));
  }
  return at;
}

int widest_of(const std::vector<Range>& runs, int h) {
  int64_t L = h;
  for (const Range& run : runs) L = std::max(L, run.size());
  return static_cast<int>(L);
}

// A tile that travels: block (row, column) of its matrix, elements row-major. What is on its way is the whole tile, never changed.
struct Tile {
  int row = 0;
  int column = 0;
  std::shared_ptr<const std::vector<Element>> elements;
};

Tile tile(int row, int column, std::vector<Element> elements) {
  return {.row = row, .column = column, .elements = std::make_shared<const std::vector<Element>>(std::move(elements))};
}

using Slots = std::vector<std::vector<Tile>>;  // [L][L]

// A product in one rectangle, for one KV head or for all of the region.
struct TileProduct {
  State& state;
  const Product& product;
  const Context& context;
  Rectangle at;
  int head = -1;               // attention: the KV head
  Tiles rows, inner, columns;  // of C's rows, of k, of C's columns, by logical position
  Slots a{}, b{};
  int widest = 1;          // L of the widest rectangle of the region
  int64_t turn = 0;        // of the innermost loop
  int64_t multiplied = 0;  // blocks of the inner dimension

  int L() const { return at.L; }
  int wrap(int i) const { return (i % L() + L()) % L(); }

  // The tile of slot (i, j) of `to` is the one of slot (from_i, from_j): the transfer between their cores.
  void take(Slots& to, int i, int j, const Slots& from, int from_i, int from_j, Axis axis, LineOrder order) const {
    const int dx = std::abs(at.column(j) - at.column(from_j)), dy = std::abs(at.row(i) - at.row(from_i));
    // In the order of the line neighbours are one hop apart, and its ends are neighbours too.
    const bool far = order == LineOrder::interleaved ? dx + dy > 2 : dx + dy > 1 && dx + dy != (axis == Axis::x ? at.w() : at.h) - 1;
    if ((axis == Axis::x ? dy : dx) != 0 || far)
      state.fail(fmt::format("a tile goes from core ({},{}) to ({},{}), which are no ring neighbours along {}", at.column(from_j),
                             at.row(from_i), at.column(j), at.row(i), name(axis)));
    to[static_cast<size_t>(i)][static_cast<size_t>(j)] = from[static_cast<size_t>(from_i)][static_cast<size_t>(from_j)];
  }

  void shift(const Shift& s) {
    const bool is_a = s.buffer == product.a;
    if (!is_a && s.buffer != product.b) state.fail("a shift of neither operand");
    if (is_a != (s.axis == Axis::x)) state.fail("an operand shifts along the wrong axis");
    Slots& slots = is_a ? a : b;
    const Slots before = slots;
    for (int i = 0; i < L(); i++)
      for (int j = 0; j < L(); j++) {
        // How far along the axis the tile that arrives was.
        int step = 1;
        if (s.kind != ShiftKind::ring_down) {
          const int left = s.kind == ShiftKind::align_rows ? i : j;
          if (turn >= std::min(left, L() - left)) continue;
          step = left <= L() - left ? 1 : -1;
        }
        if (s.axis == Axis::x)
          take(slots, i, j, before, i, wrap(j + step), s.axis, s.order);
        else
          take(slots, i, j, before, wrap(i + step), j, s.axis, s.order);
      }
  }
};

int turns_of(const Loop& loop) {
  return loop.var == LoopVar::ring_step && loop.count == CountKind::fixed ? static_cast<int>(loop.fixed) : -1;
}

bool aligns(const Steps& steps) {
  bool any = false;
  for_each_step(steps, [&](const Step& step) {
    visit(
        step, [&](const Shift& s) { any |= s.kind == ShiftKind::align_rows || s.kind == ShiftKind::align_cols; },
        nothing_for<Local, Opaque, Reduce, RingReduce, Multicast, TileCast, RowShift, RootReduce, Send, Receive, Host, Loop, Group,
                    Product>());
  });
  return any;
}

// The cut along y of an operand whose rows are the product's inner dimension or its keys; of a cache, the part of the loop's chunk.
struct RowsOfB {
  Cut cut;
  int64_t n = 0;
  int64_t offset = 0;
};

RowsOfB rows_of_b(const State& s, BufferId b, const Context& c) {
  const Cut& cut = cut_of(s.buffer(b), 0).cut;
  if (cut.kind != CutKind::chunks) return {.cut = cut, .n = size_of(s.tensor(b).dims[0], c), .offset = 0};
  const int64_t begin = c.chunk * c.params.chunk;
  return {
      .cut = ring_cut(cut.positions, cut.logical), .n = std::min(c.params.chunk, c.params.cached + c.params.rows - begin), .offset = begin};
}

// Heads whose products run in a rectangle; -1: the product is not one of attention.
std::vector<int> heads_in(const Product& g, const Rectangle& at, int w) {
  if (g.heads == 0) return {-1};
  std::vector<int> out;
  const Range own = heads_at(g.heads, w, static_cast<int>(at.run.begin));
  for (int64_t h = own.begin; h < own.end; h++) out.push_back(static_cast<int>(h));
  return out;
}

// ---- MeshGEMM ----------------------------------------------------------------------------------------------------------------------

// Fills the slots. Where an operand is placed, the slots begin aligned: A by the product before this one, which left its tiles so (the
// buffer is marked); weights because the host put them there. The holdings of both are kept in the unaligned order of the placement.
void read_tiles(TileProduct& p, bool a_placed, bool b_placed) {
  State& s = p.state;
  p.a.assign(static_cast<size_t>(p.L()), std::vector<Tile>(static_cast<size_t>(p.L())));
  p.b = p.a;
  for (int i = 0; i < p.L(); i++)
    for (int j = 0; j < p.L(); j++) {
      const int k_of_a = a_placed ? p.wrap(i + j) : j, k_of_b = b_placed ? p.wrap(i + j) : i;
      const CoreTile a = core_tile(s, p.product.a, p.at.column(k_of_a), p.at.row(i), p.context);
      std::vector<Element> ta, tb;
      for (int64_t r : p.rows[static_cast<size_t>(i)])
        for (int64_t k : p.inner[static_cast<size_t>(k_of_a)]) ta.push_back(p.head < 0 ? a.element({r, k}) : a.element({p.head, r, k}));
      const CoreTile b = core_tile(s, p.product.b, p.at.column(j), p.at.row(k_of_b), p.context);
      const int64_t offset = rows_of_b(s, p.product.b, p.context).offset;
      for (int64_t k : p.inner[static_cast<size_t>(k_of_b)])
        for (int64_t n : p.columns[static_cast<size_t>(j)]) tb.push_back(b.element({k + offset, n}));
      p.a[static_cast<size_t>(i)][static_cast<size_t>(j)] = tile(i, k_of_a, std::move(ta));
      p.b[static_cast<size_t>(i)][static_cast<size_t>(j)] = tile(k_of_b, j, std::move(tb));
    }
}

void tile_fma(TileProduct& p) {
  State& s = p.state;
  p.multiplied++;
  for (int i = 0; i < p.L(); i++)
    for (int j = 0; j < p.L(); j++) {
      const Tile &a = p.a[static_cast<size_t>(i)][static_cast<size_t>(j)], &b = p.b[static_cast<size_t>(i)][static_cast<size_t>(j)];
      const int kb = p.wrap(i + j + static_cast<int>(p.turn));
      if (a.row != i || b.column != j || a.column != kb || b.row != kb)
        s.fail(
            fmt::format("slot ({},{}) has A block ({},{}) and B block ({},{}) at step {}", i, j, a.row, a.column, b.row, b.column, p.turn));
      const Indices &rows = p.rows[static_cast<size_t>(i)], &ks = p.inner[static_cast<size_t>(kb)],
                    &columns = p.columns[static_cast<size_t>(j)];
      CoreTile c = core_tile(s, p.product.c, p.at.column(j), p.at.row(i), p.context);
      for (size_t r = 0; r < rows.size(); r++)
        for (size_t n = 0; n < columns.size(); n++) {
          const auto weight = [&](size_t k) -> const Element& { return (*b.elements)[k * columns.size() + n]; };
          const auto input = [&](size_t k) { return (*a.elements)[r * ks.size() + k].value; };
          c.write({rows[r], columns[n]}, dot(s, ks, weight, input, c.read({rows[r], columns[n]})));
        }
    }
}

// C = 0 in the slots of the product.
void clear_result(TileProduct& p) {
  for (int i = 0; i < p.L(); i++)
    for (int j = 0; j < p.L(); j++) {
      CoreTile c = core_tile(p.state, p.product.c, p.at.column(j), p.at.row(i), p.context);
      for (int64_t r : p.rows[static_cast<size_t>(i)])
        for (int64_t n : p.columns[static_cast<size_t>(j)]) c.write({r, n}, 0.0f);
    }
}

void walk_gemm(TileProduct& p, const Steps& steps);

void walk_turns(TileProduct& p, const Loop& loop) {
  const int turns = turns_of(loop);
  if (turns < 0) p.state.fail("a loop of unknown length inside a product");
  const bool alignment = aligns(loop.body);
  if (turns != (alignment ? p.widest / 2 : p.widest))
    p.state.fail(fmt::format("{} turns of a loop on at most {} ring positions", turns, p.widest));
  for (int t = 0; t < turns; t++) {
    if (!alignment && t >= p.L()) break;  // a smaller rectangle beside a larger one
    p.turn = t;
    walk_gemm(p, loop.body);
  }
}

void walk_gemm(TileProduct& p, const Steps& steps) {
  for (const Step& step : steps) {
    p.state.step = step.name;
    const auto refuse = [&] { p.state.fail("a step that is no part of a MeshGEMM"); };
    visit(
        step, [&](const Loop& s) { walk_turns(p, s); }, [&](const Group& s) { walk_gemm(p, s.body); }, [&](const Shift& s) { p.shift(s); },
        [&](const Local& s) { s.op == LocalOp::tile_fma ? tile_fma(p) : refuse(); },
        for_kinds<Opaque, Reduce, RingReduce, Multicast, TileCast, RowShift, RootReduce, Send, Receive, Host, Product>(refuse));
  }
}

// The tiles of the inner dimension: A's columns and B's rows. Along the longer side of the rectangle every core has one, which is all it
// holds; along the shorter one a core has several, whose bounds are those of the other side.
Tiles inner_tiles(const State& s, const Product& g, const Rectangle& at, const Context& c) {
  const int last = static_cast<int>(s.tensor(g.a).dims.size()) - 1;
  const RowsOfB rows = rows_of_b(s, g.b, c);
  const int64_t n = size_of(s.tensor(g.a).dims[static_cast<size_t>(last)], c);
  if (n != rows.n) s.fail(fmt::format("A has {} columns, B has {} rows", n, rows.n));
  Tiles tiles = at.w() == at.L ? tiles_of(cut_of(s.buffer(g.a), last).cut, n, at.L, at.run) : tiles_of(rows.cut, n, at.L, {0, at.h});
  Indices all;
  for (const Indices& t : tiles) all.insert(all.end(), t.begin(), t.end());
  std::sort(all.begin(), all.end());
  if (all != flatten({{0, n}})) s.fail(fmt::format("the tiles of {} inner indices hold {}", n, fmt::join(all, ",")));
  return tiles;
}

}  // namespace

void run_gemm(State& s, const Step& step, const Product& g, RegionId region, const Context& context) {
  const Rect r = s.rect(region);
  const std::string product_name = s.step;
  const Steps steps = s.expansion(s.program, step);
  if (g.a_aligned != s.aligned[g.a]) s.fail(fmt::format("buffer {} is {}aligned", s.buffer(g.a).name, g.a_aligned ? "not " : ""));
  const int rows_dim = static_cast<int>(s.tensor(g.a).dims.size()) - 2;
  const int64_t rows = size_of(s.tensor(g.c).dims[0], context), columns = size_of(s.tensor(g.c).dims[1], context);
  check_replicas(s, g.a, context);
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) core_tile(s, g.c, x, y, context).holding.clear();
  s.aligned[g.c] = false;
  for (const Range& run : g.runs) {
    const Rectangle at = rectangle(run, r.h, order_of(cut_of(s.buffer(g.a), rows_dim).cut));
    for (int head : heads_in(g, at, r.w)) {
      TileProduct p{.state = s,
                    .product = g,
                    .context = context,
                    .at = at,
                    .head = head,
                    .rows = {},
                    .inner = {},
                    .columns = {},
                    .widest = widest_of(g.runs, r.h)};
      p.rows = tiles_of(cut_of(s.buffer(g.a), rows_dim).cut, rows, at.L, {0, r.h});
      p.inner = inner_tiles(s, g, at, context);
      const Cut& columns_x = cut_of(s.buffer(g.c), 1).cut;
      const int64_t head_dim = g.heads == 0 ? 0 : columns / g.heads;
      p.columns = head < 0 ? tiles_of(columns_x, columns, at.L, run)
                           : tiles_of_head(columns_x, columns, at.L, run, {head * head_dim, (head + 1) * head_dim});
      read_tiles(p, g.a_aligned, g.b_aligned);
      clear_result(p);
      walk_gemm(p, steps);
      if (p.multiplied != p.L()) s.fail(fmt::format("{} of {} blocks are multiplied", p.multiplied, p.L()));
    }
  }
  s.step = product_name;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) core_tile(s, g.c, x, y, context).check_complete();
  s.aligned[g.a] = true;
}

// ---- GEMM-T ------------------------------------------------------------------------------------------------------------------------

namespace {

// Scores of one KV head in its rectangle. Only B travels: one tile for each column of the rectangle and logical row.
struct Scores {
  State& state;
  const Product& product;
  const Context& context;
  Rectangle at;
  int head = 0;
  int64_t head_dim = 0, group_size = 1;
  Tiles rows{}, keys{};
  std::vector<std::vector<Tile>> b{};  // [logical row][column of the run]; Tile::row is the key block
  struct Partial {
    int block = 0;
    std::vector<float> values;  // [rows of the tile][keys of the block]
  };
  std::vector<std::vector<Partial>> partial{};  // [logical row][column of the run]
  int widest = 1;                               // L of the widest rectangle of the region
  int turn = 0, summed = 0;

  // The head's dims that a column holds, as indices inside the head.
  Indices dims(int x) const {
    Indices out;
    for (int64_t i : flatten(ranges_at(cut_of(state.buffer(product.b), 1).cut, state.tensor(product.b).dims[1].size.fixed, x)))
      if (i / head_dim == head) out.push_back(i % head_dim);
    return out;
  }
};

void read_keys(Scores& p) {
  const RowsOfB rows = rows_of_b(p.state, p.product.b, p.context);
  p.b.assign(static_cast<size_t>(p.at.L), {});
  for (int i = 0; i < p.at.L; i++)
    for (int c = 0; c < p.at.w(); c++) {
      const int x = static_cast<int>(p.at.run.begin) + c;
      const CoreTile b = core_tile(p.state, p.product.b, x, p.at.row(i), p.context);
      std::vector<Element> elements;
      for (int64_t key : p.keys[static_cast<size_t>(i)])
        for (int64_t d : p.dims(x)) elements.push_back(b.element({key + rows.offset, p.head * p.head_dim + d}));
      p.b[static_cast<size_t>(i)].push_back(tile(i, c, std::move(elements)));
    }
}

void tile_fma_t(Scores& p) {
  State& s = p.state;
  p.partial.assign(static_cast<size_t>(p.at.L), std::vector<Scores::Partial>(static_cast<size_t>(p.at.w())));
  const int64_t query_head = p.head * p.group_size + p.context.member;
  for (int i = 0; i < p.at.L; i++)
    for (int c = 0; c < p.at.w(); c++) {
      const Tile& b = p.b[static_cast<size_t>(i)][static_cast<size_t>(c)];
      if (b.row != (i + p.turn) % p.at.L) s.fail(fmt::format("row tile {} has key block {} at step {}", i, b.row, p.turn));
      const int x = static_cast<int>(p.at.run.begin) + c;
      const CoreTile a = core_tile(s, p.product.a, x, p.at.row(i), p.context);
      const Indices dims = p.dims(x);
      const size_t keys = p.keys[static_cast<size_t>(b.row)].size();
      Scores::Partial& out = p.partial[static_cast<size_t>(i)][static_cast<size_t>(c)];
      out.block = b.row;
      for (int64_t row : p.rows[static_cast<size_t>(i)])
        for (size_t key = 0; key < keys; key++) {
          float sum = 0;
          for (size_t d = 0; d < dims.size(); d++)
            sum = multiply_add(s, a.read({row, query_head * p.head_dim + dims[d]}), (*b.elements)[key * dims.size() + d].value, sum);
          out.values.push_back(rounded(s.tensor(p.product.c).dtype, sum));
        }
    }
}

void shift_keys(Scores& p, const Shift& shift) {
  if (shift.kind != ShiftKind::ring_down || shift.axis != Axis::y || shift.buffer != p.product.b)
    p.state.fail("an unknown shift inside a GEMM-T");
  const auto before = p.b;
  for (int i = 0; i < p.at.L; i++) {
    const int from = (i + 1) % p.at.L;
    if (std::abs(p.at.row(i) - p.at.row(from)) > 2) p.state.fail(fmt::format("keys go from row {} to row {}", p.at.row(from), p.at.row(i)));
    p.b[static_cast<size_t>(i)] = before[static_cast<size_t>(from)];
  }
}

void root_reduce(Scores& p) {
  State& s = p.state;
  p.summed++;
  const Dtype dtype = s.tensor(p.product.c).dtype;
  const auto sum = [&](float own, float v) { return dtype == Dtype::f16 ? add_f16(own, v) : own + v; };
  for (int i = 0; i < p.at.L; i++) {
    const auto& parts = p.partial[static_cast<size_t>(i)];
    const int block = parts[0].block;
    const int root = owner(block, p.at.w(), p.at.L);  // position in the run
    CoreTile out = core_tile(s, p.product.c, static_cast<int>(p.at.run.begin) + root, p.at.row(i), p.context);
    const Indices &rows = p.rows[static_cast<size_t>(i)], &keys = p.keys[static_cast<size_t>(block)];
    for (size_t e = 0; e < rows.size() * keys.size(); e++) {
      const auto value = [&](int c) { return parts[static_cast<size_t>(c)].values[e]; };
      float v = value(root);
      if (root > 0) {
        float low = value(0);
        for (int c = 1; c < root; c++) low = sum(value(c), low);
        v = sum(v, low);
      }
      if (root < p.at.w() - 1) {
        float high = value(p.at.w() - 1);
        for (int c = p.at.w() - 2; c > root; c--) high = sum(value(c), high);
        v = sum(v, high);
      }
      const int64_t row = rows[e / keys.size()], key = keys[e % keys.size()];
      if (std::find(out.own[2].begin(), out.own[2].end(), key) == out.own[2].end())
        s.fail(fmt::format("core ({},{}) gets the score of key {}, which it does not own", out.x, out.y, key));
      out.write({p.head, row, key}, v);
    }
  }
}

void walk_scores(Scores& p, const Steps& steps) {
  for (const Step& step : steps) {
    p.state.step = step.name;
    const auto refuse = [&] { p.state.fail("a step that is no part of a GEMM-T"); };
    visit(
        step,
        [&](const Loop& s) {
          if (turns_of(s) != p.widest) p.state.fail(fmt::format("{} turns of a loop on at most {} ring positions", turns_of(s), p.widest));
          for (int t = 0; t < p.at.L; t++) {
            p.turn = t;
            walk_scores(p, s.body);
          }
        },
        [&](const Group& s) { walk_scores(p, s.body); }, [&](const Shift& s) { shift_keys(p, s); },
        [&](const RootReduce&) { root_reduce(p); }, [&](const Local& s) { s.op == LocalOp::tile_fma_t ? tile_fma_t(p) : refuse(); },
        for_kinds<Opaque, Reduce, RingReduce, Multicast, TileCast, RowShift, Send, Receive, Host, Product>(refuse));
  }
}

}  // namespace

void run_gemm_t(State& s, const Step& step, const Product& g, RegionId region, const Context& context) {
  const Rect r = s.rect(region);
  const std::string product_name = s.step;
  const Steps steps = s.expansion(s.program, step);
  if (s.aligned[g.a]) s.fail("A lies aligned");
  check_replicas(s, g.a, context);
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) core_tile(s, g.c, x, y, context).holding.clear();
  s.aligned[g.c] = false;
  const int64_t q = s.tensor(g.a).dims[1].size.fixed, kv = s.tensor(g.b).dims[1].size.fixed;
  const RowsOfB keys = rows_of_b(s, g.b, context);
  for (const Range& run : g.runs) {
    const Rectangle at = rectangle(run, r.h);
    for (int head : heads_in(g, at, r.w)) {
      Scores p{.state = s,
               .product = g,
               .context = context,
               .at = at,
               .head = head,
               .head_dim = kv / g.heads,
               .group_size = q / kv,
               .widest = widest_of(g.runs, r.h)};
      p.rows = tiles_of(cut_of(s.buffer(g.a), 0).cut, size_of(s.tensor(g.a).dims[0], context), at.L, {0, r.h});
      p.keys = tiles_of(keys.cut, keys.n, at.L, {0, r.h});
      read_keys(p);
      walk_scores(p, steps);
      if (p.summed != at.L) s.fail(fmt::format("{} of {} blocks are summed", p.summed, at.L));
    }
  }
  s.step = product_name;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) core_tile(s, g.c, x, y, context).check_complete();
}

}  // namespace wafer::naive
