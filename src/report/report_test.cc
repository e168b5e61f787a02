#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/parallel.h"
#include "report/advice.h"
#include "report/chip_time.h"
#include "report/critical_path.h"
#include "report/floor.h"
#include "report/model_report.h"
#include "report/remedy.h"
#include "report/text.h"
#include "report/wafer_map.h"

namespace wafer {
namespace {

ModelConfig small_shape() {
  return {.name = "small",
          .architecture = "llama",
          .layers = 4,
          .dim = 60,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 10,
          .ffn = 130,
          .vocab = 200,
          .context = 400,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Plan small_plan(int64_t chunk) {
  Plan plan{.numerics = Numerics::mixed, .context = 300, .chunk = chunk, .max_prompt = 100};
  plan.prefill.regions = {{.rect = {0, 0, 6, 5}, .first_layer = 0, .layers = 4, .head = true}};
  plan.decode.regions = {{.rect = {0, 0, 5, 7}, .first_layer = 0, .layers = 4, .head = true}};
  return plan;
}

Lowered lowered(const Plan& plan) { return lower(small_shape(), uniform_types(TensorType::f16), plan, {750, 994}); }

int64_t decode_cycles(const Lowered& l, const Device& d, int64_t position) {
  return time::time_entry(l.program(), d, "decode", {.cached = position, .rows = 1, .chunk = l.placement.plan.chunk}).cycles;
}

TEST(Text, PiecesAreWrappedAndStayWhole) {
  const auto rows = [](std::vector<std::string> pieces) { return wrapped_rows("key", pieces, 10); };
  EXPECT_EQ(rows({}), std::vector<Row>());
  EXPECT_EQ(rows({"ab", "cd ef", "g"}), (std::vector<Row>{{"key", "ab cd ef g"}}));
  EXPECT_EQ(rows({"ab", "cd ef", "gh"}), (std::vector<Row>{{"key", "ab cd ef"}, {"", "gh"}}));
  EXPECT_EQ(rows({"a", "longer than ten", "b"}), (std::vector<Row>{{"key", "a"}, {"", "longer than ten"}, {"", "b"}}));
  EXPECT_EQ(words_of(" a  bc "), (std::vector<std::string>{"a", "bc"}));
}

// The longest that there are: every number in its largest plausible size.
TEST(Advice, LinesEndWithinEightyLetters) {
  const Advice advice{.faster = FasterPlan{.by = {.prompt = 131072, .steps = 131071, .first = 131072, .cycles = 1e12},
                                           .prefill_mesh = {750, 994},
                                           .decode_mesh = {750, 994},
                                           .chunk = 131072,
                                           .prefill_cycles = 1000000,
                                           .decode_cycles = 40000000,
                                           .speedup = 12.3},
                      .slow = SlowChunk{.chunk = 131071, .longer = 131072, .longer_fits = false, .times = 1234},
                      .clock_hz = 1.1e9};
  const std::vector<Row> rows = advice_rows(advice);
  const std::string text = table(rows, "ll");
  EXPECT_NE(text.find("--prefill-mesh 750x994 --decode-mesh 750x994 --chunk 131072"), std::string::npos) << text;
  EXPECT_NE(text.find("\nslow "), std::string::npos) << text;
  for (const Row& row : rows) EXPECT_LE(row[1].size(), 71U) << row[1];
}

TEST(ModelReport, KeysThatDifferInInvalidBytesStayApart) {
  ModelReport r;
  r.metadata = {{"a\xff", "1"}, {"a\xfe", "2"}, {"a\\xff", "3"}, {"b", "4"}};
  const nlohmann::json keys = nlohmann::json::parse(model_json(r))["metadata"];
  EXPECT_EQ(keys, (nlohmann::json{{"a\\xff", "1"}, {"a\\xfe", "2"}, {"a\\xff (2)", "3"}, {"b", "4"}}));
}

TEST(ChipTime, AShortInferenceIsTheSumOfItsEntries) {
  const Device d = load_device("wse2");
  const Plan plan = small_plan(10);
  const Lowered l = lowered(plan);
  const ChipTime t = time_inference(l.program(), plan, d, {.prompt = 24, .decode_steps = 3});
  int64_t prefill = 0;
  for (int64_t at : {0, 10, 20})
    prefill += time::time_entry(l.program(), d, "prefill", {.cached = at, .rows = std::min<int64_t>(10, 24 - at), .chunk = 10}).cycles;
  prefill += time::time_entry(l.program(), d, "row", {.cached = 20, .rows = 4, .row = 3, .chunk = 10}).cycles;
  EXPECT_EQ(t.prefill.cycles, static_cast<double>(prefill));
  EXPECT_EQ(t.chunks, 3);
  EXPECT_EQ(t.chunks_timed, 3);
  EXPECT_EQ(t.decode.cycles, static_cast<double>(decode_cycles(l, d, 24) + decode_cycles(l, d, 25) + decode_cycles(l, d, 26)));
  EXPECT_EQ(t.first_cycles, decode_cycles(l, d, 24));
  EXPECT_EQ(t.last_cycles, decode_cycles(l, d, 26));
  EXPECT_EQ(t.positions_checked, 0);
  for (const PartTime* part : {&t.prefill, &t.transition, &t.decode}) {
    double steps = 0, kinds = 0;
    for (const StepCycles& s : part->steps) steps += s.cycles;
    for (const StepCycles& s : by_kind(*part)) kinds += s.cycles;
    EXPECT_EQ(steps, part->cycles);
    EXPECT_EQ(kinds, part->cycles);
    EXPECT_GE(part->cores.wait, 0);
  }
  EXPECT_DOUBLE_EQ(t.decode.cores.total(), 35 * t.decode.cycles);
  EXPECT_DOUBLE_EQ(joules_by_power(t), d.power_watts * cycles_of(t) / d.clock_hz);
  EXPECT_GT(energy_of(t).total(), d.idle_power_share * joules_by_power(t));
}

TEST(ChipTime, LongOnesAreInterpolated) {
  const Device d = load_device("wse2");
  const Plan plan = small_plan(5);
  const Lowered l = lowered(plan);
  const ChipTime t = time_inference(l.program(), plan, d, {.prompt = 97, .decode_steps = 150});
  EXPECT_EQ(t.chunks, 20);
  EXPECT_EQ(t.chunks_timed, time::kPrefillChunks + 1) << "19 full chunks, and the short one";
  EXPECT_EQ(t.positions_timed, time::kDecodePositions);
  EXPECT_EQ(t.positions_checked, kPositionsChecked);
  double exact = 0, prefill = 0;
  for (int64_t i = 0; i < 150; i++) exact += static_cast<double>(decode_cycles(l, d, 97 + i));
  EXPECT_NEAR(t.decode.cycles / exact, 1, 0.01);
  for (int64_t at = 0; at < 97; at += 5)
    prefill += static_cast<double>(
        time::time_entry(l.program(), d, "prefill", {.cached = at, .rows = std::min<int64_t>(5, 97 - at), .chunk = 5}).cycles);
  prefill += static_cast<double>(time::time_entry(l.program(), d, "row", {.cached = 95, .rows = 2, .row = 1, .chunk = 5}).cycles);
  EXPECT_NEAR(t.prefill.cycles / prefill, 1, 0.01);
  EXPECT_GT(t.largest_error, 0);
  EXPECT_LT(t.largest_error, 0.05);
}

TEST(ChipTime, TheSameForEveryNumberOfThreads) {
  const Device d = load_device("wse2");
  const Plan plan = small_plan(10);
  const Lowered l = lowered(plan);
  const auto all = [&](int threads) {
    set_thread_count(threads);
    const ChipTime t = time_inference(l.program(), plan, d, {.prompt = 24, .decode_steps = 100});
    set_thread_count(0);
    return std::tuple(t.prefill.cycles, t.decode.cycles, t.largest_error, energy_of(t).total(), t.decode.cores.compute);
  };
  EXPECT_EQ(all(1), all(4));
}

TEST(CriticalPath, AddsUpToTheToken) {
  const Device d = load_device("wse2");
  Plan plan = small_plan(10);
  plan.decode.regions = {{.rect = {0, 0, 5, 5}, .first_layer = 0, .layers = 3},
                         {.rect = {5, 0, 5, 5}, .first_layer = 3, .layers = 1},
                         {.rect = {5, 5, 5, 5}, .first_layer = 4, .layers = 0, .head = true}};
  const Lowered l = lowered(plan);
  const std::vector<PathPart> path = critical_path(l, d, {.cached = 50, .rows = 1, .chunk = 10});
  ASSERT_EQ(path.size(), 4u);
  int64_t cycles = 0;
  for (const PathPart& p : path) cycles += p.cycles;
  EXPECT_EQ(cycles, decode_cycles(l, d, 50));
  const std::pair<int, std::string> expected[] = {{2, "embedding"}, {0, "layers 0-2"}, {1, "layer 3"}, {2, "LM head and choice"}};
  for (size_t i = 0; i < path.size(); i++) {
    EXPECT_EQ(path[i].region, expected[i].first);
    EXPECT_EQ(path[i].what, expected[i].second);
  }
}

TEST(Floor, ByHand) {
  Device d = load_device("wse2");
  d.hop_cycles = 1;
  d.ramp_cycles = 2;
  d.fmac_mixed_elements_per_cycle = 2;
  d.sram_read_bytes_per_cycle = 16;
  const Floor f = decode_floor(small_shape(), uniform_types(TensorType::f16), small_plan(10), d, 9);
  // 5 x 7 cores: 3 sums along y, 3 hops and 2 ramps out and back; 2 along x, 2 hops.
  EXPECT_DOUBLE_EQ(f.reductions, 4 * (3 * 2 * (3 + 4) + 2 * 2 * (2 + 4)));
  const double matrices = 60 * 60 + 2 * 60 * 20 + 60 * 60 + 3 * 60 * 130;
  EXPECT_DOUBLE_EQ(f.multiply_adds, (4 * (matrices + 2 * 60 * 10) + 200 * 60) / 35 / 2);
  EXPECT_NEAR(f.sram, (4 * (2 * matrices + 2 * 2 * 20 * 10) + 2 * 200 * 60) / 35 / 16, 1e-9);
  EXPECT_DOUBLE_EQ(f.cycles(), f.multiply_adds);
  const Lowered l = lowered(small_plan(10));
  EXPECT_GE(static_cast<double>(decode_cycles(l, d, 9)), f.cycles());
}

TEST(WaferMap, ShowsWhatCoversMostOfACell) {
  const PhasePlan plan{.regions = {{.rect = {0, 0, 5, 4}}, {.rect = {5, 0, 3, 4}}, {.rect = {0, 6, 2, 2}}}};
  EXPECT_EQ(wafer_map({8, 8}, plan, 8), (std::vector<std::string>{"00000111", "00000111", "........", "22......"}));
  EXPECT_EQ(wafer_map({8, 8}, plan, 4), (std::vector<std::string>{"0001", "2..."})) << "half of a cell each: the first";
  EXPECT_EQ(map_letter(0), '0');
  EXPECT_EQ(map_letter(10), 'A');
  EXPECT_EQ(map_letter(61), 'z');
}

TEST(Remedies, AreCheckedByThePlannerWhereMeshesAreGiven) {
  const ModelConfig config = small_shape();
  const WeightTypes types = uniform_types(TensorType::f16);
  Device d = load_device("tiny");
  PlanRequest request{.context = 400, .prefill_mesh = mesh::Extent{4, 3}, .decode_mesh = mesh::Extent{4, 3}};
  d.code_and_system_bytes = d.sram_bytes_per_core - 16384;
  ASSERT_FALSE(make_plan(config, types, d, request).fits);
  const std::vector<Remedy> list = remedies(config, types, d, request);
  ASSERT_FALSE(list.empty());
  for (const Remedy& r : list) {
    PlanRequest changed = request;
    if (r.change == "context") {
      changed.context = std::stoll(r.value);
      EXPECT_TRUE(make_plan(config, types, d, changed).fits) << r.text;
    } else if (r.change == "weights") {
      EXPECT_TRUE(make_plan(config, uniform_types(tensor_type_of(r.value)), d, changed).fits) << r.text;
    }
  }
}

TEST(Remedies, CountBytesWhereThePlannerFindsNoPlace) {
  ModelConfig config = small_shape();
  config.layers = 400;
  Device d = load_device("tiny");
  const std::vector<Remedy> list = remedies(config, uniform_types(TensorType::f16), d, {.context = 300});
  ASSERT_FALSE(list.empty());
  // 400 layers of 2 x (60 x 160 + 3 x 60 x 130) bytes and more: 26 MB on 192 cores of 40,624 bytes, 7.8 MB.
  EXPECT_EQ(list.front().change, "wafers");
  EXPECT_GE(std::stoi(list.front().value), 4);
}

}  // namespace
}  // namespace wafer
