// SUMMA and allgather GEMM: every core keeps what has arrived of A and of B, by the element's index, and multiplies with nothing else.
#include <algorithm>
#include <cstdlib>

#include "mesh/expand.h"
#include "support/naive_executor_state.h"

namespace wafer::naive {
namespace {

struct CastProduct {
  State& state;
  const Product& product;
  const Context& context;
  Rect at;
  int blocks = 1;                        // L
  std::vector<std::vector<int64_t>> ks;  // [blocks] inner indices
  int64_t turn = 0;
  // What a core has received and not used up: [y * w + x]. SUMMA forgets a block after its turn.
  std::vector<Holding> a, b;

  Holding& of(std::vector<Holding>& list, int x, int y) const { return list[static_cast<size_t>(y * at.w + x)]; }

  // Who owns a block of k along an axis: the core that holds its indices.
  int owner(Axis axis, int block) const {
    const Buffer& operand = state.buffer(axis == Axis::x ? product.a : product.b);
    const int size = side(extent(at), axis);
    for (int p = 0; p < size; p++) {
      const Range own = logical_positions(p, size, blocks);
      if (block >= own.begin && block < own.end) {
        const Cut& cut = cut_of(operand, axis == Axis::x ? 1 : 0).cut;
        const auto held = flatten(
            ranges_at(cut, size_of(state.tensor(axis == Axis::x ? product.a : product.b).dims[axis == Axis::x ? 1 : 0], context), p));
        for (int64_t k : ks[static_cast<size_t>(block)])
          if (std::find(held.begin(), held.end(), k) == held.end()) state.fail(fmt::format("position {} does not hold block {}", p, block));
        return p;
      }
    }
    return -1;
  }

  // One block of an operand to all cores of each line; a core that owns it takes its own.
  void cast(Axis axis, int block) {
    const BufferId buffer = axis == Axis::x ? product.a : product.b;
    const int from = owner(axis, block);
    for (int y = 0; y < at.h; y++)
      for (int x = 0; x < at.w; x++) {
        const CoreTile source = core_tile(state, buffer, axis == Axis::x ? from : x, axis == Axis::x ? y : from, context);
        Holding& to = of(axis == Axis::x ? a : b, x, y);
        for (int64_t k : ks[static_cast<size_t>(block)])
          for (int64_t other : source.own[axis == Axis::x ? 0 : 1]) {
            const auto index = axis == Axis::x ? std::pair{other, k} : std::pair{k, other};
            to.put(source.flat({index.first, index.second}), source.element({index.first, index.second}));
          }
      }
  }

  void cast(const TileCast& c) {
    if (c.buffer != (c.axis == Axis::x ? product.a : product.b)) state.fail("a cast along the wrong axis");
    if (!c.all) {
      if (turn + c.ahead < blocks) cast(c.axis, static_cast<int>(turn + c.ahead));
      return;
    }
    for (int block = 0; block < blocks; block++) cast(c.axis, block);
  }

  void multiply(int first, int last) {
    for (int y = 0; y < at.h; y++)
      for (int x = 0; x < at.w; x++) {
        const CoreTile sizes_a = core_tile(state, product.a, x, y, context), sizes_b = core_tile(state, product.b, x, y, context);
        CoreTile c = core_tile(state, product.c, x, y, context);
        for (int64_t row : c.own[0])
          for (int64_t column : c.own[1]) {
            float sum = c.read({row, column});
            for (int block = first; block < last; block++) {
              const std::vector<int64_t>& list = ks[static_cast<size_t>(block)];
              const auto find = [&](std::vector<Holding>& held, int64_t flat) -> const Element& {
                const Element* e = of(held, x, y).find(flat);
                if (!e) state.fail(fmt::format("core ({},{}) has not received element {} of block {}", x, y, flat, block));
                return *e;
              };
              const auto weight = [&](size_t k) -> const Element& { return find(b, sizes_b.flat({list[k], column})); };
              const auto input = [&](size_t k) { return find(a, sizes_a.flat({row, list[k]})).value; };
              sum = dot(state, list, weight, input, sum);
            }
            c.write({row, column}, sum);
          }
        // Two slots: a block that has been used is gone.
        for (std::vector<Holding>* held : {&a, &b})
          for (int64_t k : ks[static_cast<size_t>(first)])
            for (int64_t i : of(*held, x, y).indices())
              if ((held == &a ? i % sizes_a.sizes[1] : i / sizes_b.sizes[1]) == k) of(*held, x, y).erase(i);
      }
  }

  void walk(const Steps& steps) {
    for (const Step& step : steps) {
      state.step = step.name;
      const auto refuse = [&] { state.fail("a step that is no part of a product by casts"); };
      visit(
          step,
          [&](const Loop& s) {
            if (s.fixed != blocks) state.fail("not as many steps as blocks");
            for (turn = 0; turn < s.fixed; turn++) walk(s.body);
          },
          [&](const Group& s) { walk(s.body); }, [&](const TileCast& s) { cast(s); },
          [&](const Local& s) {
            if (s.op != LocalOp::tile_fma) refuse();
            product.algorithm == Algorithm::summa ? multiply(static_cast<int>(turn), static_cast<int>(turn) + 1) : multiply(0, blocks);
          },
          for_kinds<Opaque, Reduce, RingReduce, Multicast, Shift, RowShift, RootReduce, Send, Receive, Host, Product>(refuse));
    }
  }
};

}  // namespace

void run_cast_gemm(State& s, const Step& step, const Product& g, RegionId region, const Context& context) {
  const Rect r = s.rect(region);
  const std::string product_name = s.step;
  CastProduct p{.state = s, .product = g, .context = context, .at = r, .blocks = std::max(r.w, r.h), .ks = {}, .a = {}, .b = {}};
  const int64_t k = size_of(s.tensor(g.a).dims[1], context);
  for (int block = 0; block < p.blocks; block++) p.ks.push_back(flatten({part(k, block, p.blocks)}));
  p.a.resize(static_cast<size_t>(r.w * r.h));
  p.b = p.a;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) {
      CoreTile c = core_tile(s, g.c, x, y, context);
      c.holding.clear();
      for (int64_t row : c.own[0])
        for (int64_t column : c.own[1]) c.write({row, column}, 0.0f);
    }
  // An axis of one core casts nothing: its tiles are where they are used.
  for (const Axis axis : {Axis::x, Axis::y})
    if (side(extent(r), axis) == 1)
      for (int block = 0; block < p.blocks; block++) p.cast(axis, block);
  p.walk(s.expansion(s.program, step));
  s.step = product_name;
  for (int y = 0; y < r.h; y++)
    for (int x = 0; x < r.w; x++) core_tile(s, g.c, x, y, context).check_complete();
}

}  // namespace wafer::naive
