// Lowered programs broken by hand: each fault is told, with its step and its core, before anything runs. That no unbroken program has a
// fault is tested wherever tests lower one.
#include "mesh/locality.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernel_bench/gemm_program.h"
#include "kernel_bench/gemv_program.h"
#include "kernel_bench/reduce_program.h"
#include "support/broken_program.h"

namespace wafer::mesh {
namespace {

TEST(Locality, LoweredProgramsHaveNoFault) {
  for (const bool host : {false, true})
    for (const bool keep : {false, true})
      EXPECT_TRUE(check_locality(small_program(host, keep)).empty()) << text_of(check_locality(small_program(host, keep)));
}

TEST(Locality, ProgramsOfOneKernelHaveNoFault) {
  for (const Extent e : {Extent{1, 1}, Extent{5, 3}, Extent{3, 7}, Extent{4, 4}, Extent{1, 5}, Extent{6, 1}}) {
    for (const auto algorithm : {kernels::GemmAlgorithm::meshgemm, kernels::GemmAlgorithm::cannon, kernels::GemmAlgorithm::summa,
                                 kernels::GemmAlgorithm::allgather}) {
      const Program p = kernels::gemm_program({.m = 11, .k = 13, .n = 7, .mesh = e, .algorithm = algorithm}, kBrokenMesh);
      EXPECT_TRUE(check_locality(p).empty()) << kernels::name(algorithm) << " on " << e.w << "x" << e.h << text_of(check_locality(p));
    }
    for (const char* way : {"ktree", "pipeline", "ring"})
      for (const bool broadcast : {false, true}) {
        const Program p = kernels::gemv_program({.k = 17, .n = 5, .mesh = e, .allreduce = way, .broadcast = broadcast}, kBrokenMesh);
        EXPECT_TRUE(check_locality(p).empty()) << way << " on " << e.w << "x" << e.h << text_of(check_locality(p));
      }
  }
  for (const char* way : {"chain", "two-phase", "tree", "ktree", "ring"}) {
    kernels::ReduceShape shape{.size = 7, .words = 5, .algorithm = way};
    if (shape.algorithm == "two-phase") shape.groups = {3};
    const Program p = kernels::reduce_program(shape, kBrokenMesh);
    EXPECT_TRUE(check_locality(p).empty()) << way << text_of(check_locality(p));
  }
}

// ---- operands ----------------------------------------------------------------------------------------------------------------------

TEST(Locality, AnOperandTooFew) {
  Program p = small_program();
  step_of<Local>(p, "decode", "attn_norm").in.pop_back();
  expect_fault(p, Rule::operands, "entry decode, region decode.0, step attn_norm", "normalise takes 3 inputs and 1 outputs");
}

TEST(Locality, AFieldThatAnOperationDoesNotUse) {
  Program p = small_program();
  step_of<Local>(p, "decode", "residual_1").head_dim = 4;
  expect_fault(p, Rule::operands, "entry decode, region decode.0, step residual_1", "add has a head_dim, which it does not use");
  p = small_program();
  step_of<Local>(p, "prefill", "silu").scale = 2;
  expect_fault(p, Rule::operands, "step silu", "scale");
}

TEST(Locality, FieldsThatContradictTheSizes) {
  Program p = small_program();
  step_of<Local>(p, "decode", "ffn_norm").size = 11;
  expect_fault(p, Rule::operands, "step ffn_norm", "10 of dimension dim, its size makes 11");
  p = small_program();
  step_of<Local>(p, "prefill", "rope_q").head_dim = 8;
  expect_fault(p, Rule::operands, "step rope_q", "head_dim makes 4");
  p = small_program();
  step_of<Local>(p, "decode", "scores.dots").group = 1;
  expect_fault(p, Rule::operands, "step scores.dots");
  p = small_program();
  step_of<Local>(p, "decode", "softmax.exp").scale = 2;
  expect_fault(p, Rule::operands, "step softmax.exp", "their maximum in buffer decode.m");
}

TEST(Locality, TensorsOfOtherSizes) {
  Program p = small_program();
  p.tensors[p.buffers[buffer_of(p, "decode.h")].tensor].dims[0].size = {.fixed = 11, .limit = 11};
  expect_fault(p, Rule::operands, "entry decode, region decode.0, step out.product");
}

TEST(Locality, AWeightThatLiesElsewhere) {
  Program p = small_program();
  // Rows of W_Q in the order of the ring, where x lies in natural order.
  for (DimCut& c : p.buffers[buffer_of(p, "decode.wq")].cuts)
    if (c.axis == Axis::y) c.cut = ring_cut(3, 3);
  const std::vector<Diagnostic> all = check_locality(p);
  ASSERT_EQ(all.size(), 1u) << text_of(all);
  EXPECT_EQ(all[0].rule, Rule::elsewhere);
  EXPECT_EQ(all[0].x, 0);
  EXPECT_EQ(all[0].y, 1);  // rows 0 of the line and of the ring are the same
  EXPECT_EQ(all[0].where, "entry decode, region decode.0, step qkv.product");
  EXPECT_EQ(all[0].text, "position 1 along y holds [6,10) of in (buffer decode.wq), but [3,6) of dim (buffer decode.xn)");
}

TEST(Locality, ACutForAnotherRegion) {
  Program p = small_program();
  p.buffers[buffer_of(p, "decode.x")].cuts[0].cut = parts_cut(4);
  expect_fault(p, Rule::elsewhere, "region decode.0", "cut for 4 positions along y, where the region has 3");
}

TEST(Locality, ATableThatLeavesSomethingOut) {
  Program p = small_program();
  Buffer& b = p.buffers[buffer_of(p, "decode.q")];
  auto table = *b.cuts[0].cut.table;
  table[2].clear();
  b.cuts[0].cut = table_cut(table);
  expect_fault(p, Rule::elsewhere, "region decode.0", "buffer decode.q");
}

// Of each buffer of several cores the cut along one axis: taken out, or in the order of another one.
TEST(Locality, AnyBufferThatLiesElsewhere) {
  const Program whole = small_program();
  for (const BufferId b : whole.buffers.ids())
    for (size_t cut = 0; cut < whole.buffers[b].cuts.size(); cut++) {
      if (whole.buffers[b].kind == BufferKind::staging || whole.buffers[b].name.find("_slot") != std::string::npos) continue;
      // Whichever column has a word's row of the embedding, that one passes it on.
      if (whole.buffers[b].name.ends_with(".embedding") && whole.buffers[b].cuts[cut].dim == 1) continue;
      Program p = whole;
      std::vector<DimCut>& cuts = p.buffers[b].cuts;
      const DimCut was = cuts[cut];
      cuts.erase(cuts.begin() + static_cast<ptrdiff_t>(cut));
      EXPECT_FALSE(check_locality(p).empty()) << whole.buffers[b].name << " without its cut of dimension " << was.dim;
      cuts.push_back(was);
      const int n = was.cut.positions;
      cuts.back().cut = was.cut.kind == CutKind::parts || was.cut.kind == CutKind::shift ? ring_cut(n, n) : parts_cut(n);
      const int64_t size = p.tensors[p.buffers[b].tensor].dims[static_cast<size_t>(was.dim)].size.limit;
      bool same = true;
      for (int at = 0; at < n; at++) same &= ranges_at(cuts.back().cut, size, at) == ranges_at(was.cut, size, at);
      if (same) continue;
      EXPECT_FALSE(check_locality(p).empty()) << whole.buffers[b].name << " with another cut of dimension " << was.dim;
    }
}

// ---- moves ------------------------------------------------------------------------------------------------------------------------------

TEST(Locality, AMatrixThatDoesNotMove) {
  Program p = small_program();
  for (RegionSteps& r : entry_of(p, "transition").lists)
    std::erase_if(r.steps, [](const Step& s) { return s.name.starts_with("transition.wq.1"); });
  expect_fault(p, Rule::interface, "entry transition", "buffer prefill.wq is an input of the entry, which never reads its copy 1");
  EXPECT_EQ(check_locality(p).back().rule, Rule::undefined);
  EXPECT_EQ(check_locality(p).back().where, "entry decode, region decode.0, step qkv.product");
}

TEST(Locality, AMoveOfAnotherLayer) {
  Program p = small_program();
  for (Move& m : p.moves)
    if (m.name == "transition.wk.1") m.copy = 0;
  EXPECT_FALSE(check_locality(p).empty());
}

TEST(Locality, AMoveBetweenOtherShapes) {
  Program p = small_program();
  for (Move& m : p.moves)
    if (m.name == "transition.wq.0") m.destination = buffer_of(p, "decode.wgate");
  expect_fault(p, Rule::operands, "step transition.wq.0.send", "16 of out to 9 of out");
}

}  // namespace
}  // namespace wafer::mesh
