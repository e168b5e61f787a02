#include "mesh/print.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lower/lower.h"
#include "mesh/builder.h"

namespace wafer::mesh {
namespace {

// Two regions of 3 x 2 cores and one step of every kind.
Program every_kind() {
  Program p{.name = "demo", .mesh = {8, 4}};
  const RegionId left = add_region(p, {.name = "left", .rect = {0, 0, 3, 2}}),
                 right = add_region(p, {.name = "right", .rect = {3, 0, 3, 2}});
  const PhaseId work = add_phase(p, "work"), hand_over = add_phase(p, "hand over");
  const auto buffer = [&](const std::string& name, RegionId region, Dtype dtype, std::vector<Dim> dims, std::vector<DimCut> cuts,
                          BufferKind kind = BufferKind::activations) {
    const TensorId tensor = add_tensor(p, {.name = name, .dtype = dtype, .dims = std::move(dims)});
    return add_buffer(
        p, {.name = name, .tensor = tensor, .region = region, .kind = kind, .cuts = std::move(cuts), .phases = {work, hand_over}});
  };
  const DimCut in_y{0, Axis::y, parts_cut(2)}, out_x{1, Axis::x, parts_cut(3)}, rows_y{0, Axis::y, ring_cut(2, 3)},
      k_x{1, Axis::x, ring_cut(3, 3)};
  const Dim rows = dim("rows", SizeKind::rows, 7);
  const BufferId w = buffer("w", left, Dtype::f16, {dim("in", 5), dim("out", 7)}, {in_y, out_x}, BufferKind::weights);
  const BufferId x = buffer("x", left, Dtype::f16, {dim("in", 5)}, {in_y});
  const BufferId y = buffer("y", left, Dtype::f32, {dim("out", 7)}, {{0, Axis::x, parts_cut(3)}});
  const BufferId a = buffer("a", left, Dtype::f16, {rows, dim("k", 8)}, {rows_y, k_x});
  const BufferId b = buffer("b", left, Dtype::q8_0, {dim("k", 8), dim("n", 4)},
                            {{0, Axis::y, ring_cut(2, 3)}, {1, Axis::x, ring_cut(3, 3)}}, BufferKind::weights);
  const BufferId c = buffer("c", left, Dtype::f32, {rows, dim("n", 4)}, {rows_y, k_x});
  const BufferId keys = buffer("keys", left, Dtype::f16, {dim("positions", SizeKind::positions, 9), dim("k", 8)},
                               {{0, Axis::y, shift_cut(2)}, k_x}, BufferKind::cache);
  const BufferId far = buffer("far", right, Dtype::f32, {dim("out", 7)}, {{0, Axis::x, parts_cut(3)}});
  p.tensors[p.buffers[b].tensor].copies = 4;
  p.buffers[b].first_copy = 1;
  p.buffers[b].copies = 2;
  p.buffers[a].slots = 2;

  const Forest column = line_forest(2, {}), line = run_forest({{0, 2}, {2, 3}}, 1);
  const RouteId tree = add_route(p, "tree", work, left, Axis::y, forest_paths(column)[0]),
                cast = add_route(p, "cast", work, left, Axis::y, broadcast_paths(column));
  const RouteId down = add_route(p, "down", work, left, Axis::x, ring_paths({{0, 3}}, true)),
                up = add_route(p, "up", work, left, Axis::x, ring_paths({{0, 3}}, false));
  const MoveId m = add_move(p, {.name = "result", .source = y, .destination = far});

  const auto step = [&](const char* name, decltype(Step::what) what, std::vector<RouteId> routes = {}) {
    return Step{.name = name, .phase = work, .what = std::move(what), .routes = std::move(routes)};
  };
  Steps steps = {
      step("token", Host{.buffer = x}),
      step("gemv", Group{.kind = GroupKind::block,
                         .body = {step("dots", Local{.op = LocalOp::mat_vec, .in = {w, x}, .out = {y}}),
                                  step("sum", Reduce{.axis = Axis::y, .parts = {{y}}, .forest = column}, {tree, cast})}}),
      step("max", Reduce{.axis = Axis::x, .parts = {{y, ReduceOp::max, false}, {x, ReduceOp::add, true}}, .forest = line}),
      step("layers",
           Loop{.begin = 1,
                .fixed = 2,
                .body = {step("gemm", Product{.a = a, .b = b, .c = c, .runs = {{0, 3}}, .a_aligned = true, .x_routes = {down, up}})}}),
      step("shift", Shift{.axis = Axis::x, .buffer = a, .runs = {{0, 3}}}, {down, up}),
      step("row", Multicast{.axis = Axis::x, .buffer = x}),
      step("make_room", RowShift{.buffers = {keys}}),
      step("root", RootReduce{.partial = c, .out = c, .runs = {{0, 2}, {2, 3}}}),
      step("rows", Loop{.var = LoopVar::row, .count = CountKind::rows, .body = {step("clear", Local{.op = LocalOp::clear, .out = {y}})}}),
      step("round", RingReduce{.axis = Axis::x, .parts = {{c}}, .runs = {{0, 3}}}, {down}),
  };
  steps.push_back({.name = "give", .phase = hand_over, .what = Send{m}});
  p.entries = {
      {.name = "go",
       .lists = {{.region = left, .steps = steps}, {.region = right, .steps = {{.name = "take", .phase = hand_over, .what = Receive{m}}}}},
       .inputs = {w, x},
       .outputs = {far}}};
  return p;
}

TEST(Print, EveryKindOfStep) {
  EXPECT_EQ(print(every_kind()), R"(program demo  numerics mixed  mesh 8x4  parameters cached, rows, row, chunk
phases 0 work, 1 hand over

region left  3x2 at (0,0)
  w              weights     f16     [in 2-3 of 5 /y parts, out 2-3 of 7 /x parts]  phases 0-1
  x              activations f16     [in 2-3 of 5 /y parts]  phases 0-1
  y              activations f32     [out 2-3 of 7 /x parts]  phases 0-1
  a              activations f16     [rows 2-5 of up to 7 /y ring of 3, k 2-3 of 8 /x ring]  2 slots  phases 0-1
  b              weights     q8_0    [k 2-6 of 8 /y ring of 3, n 1-2 of 4 /x ring]  copies 1-2 of 4  phases 0-1
  c              activations f32     [rows 2-5 of up to 7 /y ring of 3, n 1-2 of 4 /x ring]  phases 0-1
  keys           kv_cache    f16     [positions 4-5 of up to 9 /y shift, k 2-3 of 8 /x ring]  phases 0-1

region right  3x2 at (3,0)
  far            activations f32     [out 2-3 of 7 /x parts]  phases 0-1

routes  phase work  region left  8 colours
  tree                 y  1 path, at most 1 hop  colours 0
  cast                 y  1 multicast, at most 1 hop  colours 1
  down                 x  3 paths, at most 2 hops  colours 2-4
  up                   x  3 paths, at most 2 hops  colours 5-7

moves
  result  relay  y of left -> far of right

entry go  inputs w, x
entry go  outputs far

entry go  region left
        -- phase work
    1   token                             from host  x[2-3]
        gemv: block
    2     dots                            mat_vec  w[2-3 x 2-3], x[2-3] -> y[2-3]
    3     sum                             add along y  y[2-3]: 2-3 words, tree (1), cast to all  colours 0-1
    4   max                               max, add along x  y[2-3], x[2-3]: 3-5 words, tree (1), 2 runs of 1-2, cast x[2-3] to all
        layers: for layer 1-2
          gemm: mesh_gemm  c[2-5 x 1-2] = a[2-5 x 2-3] b[2-6 x 1-2], aligned before
            gemm.steps: for ring_step 0-2
              gemm.step: overlap
    5           gemm.product              tile_fma  a[2-5 x 2-3], b[2-6 x 1-2] +=> c[2-5 x 1-2]
    6           gemm.shift_a              ring shift along x  a[2-5 x 2-3]: tile of 2-8 words  colours 2-7
    7           gemm.shift_b              ring shift along y  b[2-6 x 1-2]: tile of 1-2 words and scales
    8   shift                             ring shift along x  a[2-5 x 2-3]: tile of 2-8 words  colours 2-7
    9   row                               multicast along x  x[2-3]: 1-2 words
   10   make_room                         oldest row up where rows below are fuller, along y  keys[4-5 x 2-3]
   11   root                              add along x to the step's root  c[2-5 x 1-2] -> c[2-5 x 1-2], 2 runs of 1-2
        rows: for row 0 to rows-1
   12     clear                           clear -> y[2-3]
   13   round                             add round the ring along x  c[2-5 x 1-2]: 2-10 words, round again to all  colours 2-4
        -- phase hand over
   14   give                              send result  y[2-3]: 2-3 words

entry go  region right
        -- phase hand over
    1   take                              receive result  far[2-3]: 2-3 words
)");
}

ModelConfig small_model(int64_t layers) {
  return {.name = "small",
          .architecture = "llama",
          .layers = layers,
          .dim = 64,
          .heads = 8,
          .kv_heads = 4,
          .head_dim = 8,
          .ffn = 172,
          .vocab = 512,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 10000};
}

Lowered lowered(int layers) {
  Plan plan{.context = 64, .chunk = 20, .max_prompt = 60};
  plan.prefill.regions = {{.rect = {0, 0, 9, 7}, .layers = layers, .head = true}};
  plan.decode.regions = {{.rect = {0, 0, 12, 8}, .layers = layers, .head = true}};
  return lower(small_model(layers), uniform_types(TensorType::q8_0), plan, {750, 994});
}

TEST(Print, IsTheSameEachTime) { EXPECT_EQ(print(lowered(3).program()), print(lowered(3).program())); }

// Layers are copies and turns of a loop: the text does not grow with them.
TEST(Print, IsAsLongForManyLayersAsForTwo) {
  const auto lines = [](const std::string& s) { return std::count(s.begin(), s.end(), '\n'); };
  EXPECT_EQ(lines(print(lowered(2).program())), lines(print(lowered(40).program())));
}

}  // namespace
}  // namespace wafer::mesh
