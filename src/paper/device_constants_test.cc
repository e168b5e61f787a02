// Every constant of a device changes something that is told, or is told to be unused; and whatever the constants, no plan undercuts its
// floor.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "lower/lower.h"
#include "mesh/builder.h"
#include "mesh/verify.h"
#include "paper/capacity.h"
#include "paper/gemv_report.h"
#include "paper/published_time.h"
#include "paper/tables.h"
#include "plan/planner.h"
#include "report/device_report.h"
#include "report/kernel_report.h"
#include "report/plan_report.h"

namespace wafer {
namespace {

ModelConfig shape() {
  return {.name = "small",
          .architecture = "llama",
          .layers = 3,
          .dim = 48,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 8,
          .ffn = 100,
          .vocab = 150,
          .context = 400,
          .norm_epsilon = 1e-5f,
          .rope_base = 1e4};
}

Plan plan_of(Numerics numerics) {
  Plan plan{.numerics = numerics, .context = 60, .chunk = 20, .max_prompt = 60};
  plan.prefill.regions = {{.rect = {0, 0, 6, 5}, .first_layer = 0, .layers = 3, .head = true}};
  plan.decode.regions = {{.rect = {6, 0, 5, 7}, .first_layer = 0, .layers = 3, .head = true}};
  return plan;
}

PlanTime time_of(const Device& d, Numerics numerics) {
  const WeightTypes types = uniform_types(TensorType::f16);
  return plan_time(shape(), types, lower(shape(), types, plan_of(numerics), {750, 994}), d);
}

// Five shifts at once, each a send and a receive in the background.
int64_t overlapped_cycles(const Device& d) {
  using namespace mesh;
  Program p{.mesh = {4, 4}};
  const RegionId region = add_region(p, {.name = "all", .rect = {0, 0, 4, 4}});
  const PhaseId phase = add_phase(p, "work");
  const TensorId tensor = add_tensor(p, {.name = "t", .dtype = Dtype::f32, .dims = {dim("rows", 400), dim("columns", 4)}});
  const BufferId buffer =
      add_buffer(p, {.name = "t",
                     .tensor = tensor,
                     .region = region,
                     .cuts = {{.dim = 0, .axis = Axis::y, .cut = ring_cut(4, 4)}, {.dim = 1, .axis = Axis::x, .cut = ring_cut(4, 4)}},
                     .phases = {phase}});
  Steps body(
      5,
      {.name = "shift", .phase = phase, .what = Shift{.kind = ShiftKind::ring_down, .axis = Axis::x, .buffer = buffer, .runs = {{0, 4}}}});
  // With room for fewer of them the long work that follows starts later.
  for (int i = 0; i < 30; i++) body.push_back({.name = "clear", .phase = phase, .what = Local{.op = LocalOp::clear, .out = {buffer}}});
  const Step all{.name = "all", .phase = phase, .what = Group{.kind = GroupKind::overlap, .body = std::move(body)}};
  p.entries = {{.name = "e", .lists = {{.region = region, .steps = {all}}}}};
  return time::time_entry(p, d, "e", {}).cycles;
}

std::map<std::string, std::string> figures(const Device& d) {
  std::map<std::string, std::string> f;
  const auto add = [&](const std::string& name, double value) { f[name] = fmt::format("{}", value); };
  for (const Numerics numerics : {Numerics::mixed, Numerics::fp16, Numerics::fp32}) {
    const std::string kind = std::to_string(static_cast<int>(numerics));
    const PlanTime t = time_of(d, numerics);
    add("prefill " + kind, t.chip.prefill.cycles);
    add("transition " + kind, t.chip.transition.cycles);
    add("decode " + kind, t.chip.decode.cycles);
    add("floor " + kind, t.floor.cycles());
    add("seconds " + kind, seconds_of(t.chip));
    add("joules " + kind, energy_of(t.chip).total());
    add("joules by power " + kind, joules_by_power(t.chip));
    add("tokens/s with host " + kind, decode_tokens_per_second_with_host(t.chip));
  }
  for (const auto algorithm :
       {kernels::GemmAlgorithm::meshgemm, kernels::GemmAlgorithm::cannon, kernels::GemmAlgorithm::summa, kernels::GemmAlgorithm::allgather})
    add(std::string("gemm ") + kernels::name(algorithm),
        static_cast<double>(gemm_report({.m = 90, .k = 70, .n = 80, .mesh = {9, 8}, .algorithm = algorithm}, d).time.cycles));
  for (const char* allreduce : {"ktree", "ring"})
    add(std::string("gemv ") + allreduce,
        static_cast<double>(gemv_report({.k = 90, .n = 100, .mesh = {8, 9}, .allreduce = allreduce}, d).time.cycles));
  const ModelConfig published{
      .layers = 1, .dim = 720, .heads = 6, .kv_heads = 2, .head_dim = 120, .ffn = 1440, .vocab = 10, .context = 512};
  if (d.mesh_width >= 360 && d.mesh_height >= 360)
    add("published decode", static_cast<double>(published_decode_layer(published, 360, 400, d).cycles));
  if (d.published_kernels == "fixed-routes")
    add("published prefill", static_cast<double>(published_prefill_layer(published, 60, 100, d).cycles));
  // What stands beside it.
  add("paper's capacity", static_cast<double>(paper_capacity(published, d, 1000, 10).shift));
  int64_t rows = 0;
  for (const PaperRow& row : paper_tables(d, {"6"}, [](const std::string&, double) {}).rows) rows += row.paper ? 1 : 0;
  add("rows of the paper", static_cast<double>(rows));
  add("overlap", static_cast<double>(overlapped_cycles(d)));
  // What the planner makes of it: bytes, colours, what fits.
  const PlanRequest request{.context = 60, .prefill_mesh = mesh::Extent{6, 5}, .decode_mesh = mesh::Extent{5, 7}};
  f["plan"] =
      plan_json({.placement = placement_report(shape(), d, make_plan(shape(), uniform_types(TensorType::f16), d, request), nullptr)});
  for (const mesh::Extent mesh : {mesh::Extent{700, 2}, mesh::Extent{2, 900}}) try {
      f[fmt::format("{}x{}", mesh.w, mesh.h)] = "none";
      const PlanRequest large{.context = 60, .prefill_mesh = mesh, .decode_mesh = mesh};
      make_plan(shape(), uniform_types(TensorType::f16), d, large);
      f[fmt::format("{}x{}", mesh.w, mesh.h)] = "one";
    } catch (const Error&) {  // more than the device has
    }
  return f;
}

// Of a field, other values that a device may have: twice, half and a quarter of it.
std::vector<Device> changed(const Device& d, const std::string& field) {
  std::vector<Device> out;
  if (field == "free_colours") {
    out.push_back(d);
    out.back().free_colours.resize(d.free_colours.size() / 2);
    return out;
  }
  if (field == "input_queue_wavelets" || field == "output_queue_wavelets") {
    out.push_back(d);
    (field == "input_queue_wavelets" ? out.back().input_queue_wavelets : out.back().output_queue_wavelets) = {1};
    return out;
  }
  if (field == "published_kernels" || field == "measured_rows") {
    out.push_back(d);
    (field == "published_kernels" ? out.back().published_kernels : out.back().measured_rows) = field == "measured_rows" ? "none"
                                                                                               : d.published_kernels == "fixed-routes"
                                                                                                   ? "rewritten-routes"
                                                                                                   : "fixed-routes";
    return out;
  }
  for (const double factor : {0.25, 0.5, 2.0}) {
    Device other = d;
    try {
      set_device_field(other, field, device_field(d, field) * factor, "test");
    } catch (const Error&) {
      continue;  // half of 1, or twice a limit
    }
    out.push_back(std::move(other));
  }
  return out;
}

TEST(DeviceConstants, EachChangesAFigureOrIsToldUnused) {
  const Device d = load_device("wse2");
  const std::map<std::string, std::string> before = figures(d);
  int unused = 0;
  // The slower of links and ramps binds, so that each of them is slowed down from a device where both are fast.
  Device fast = d;
  fast.wavelets_per_cycle_per_link = fast.wavelets_per_cycle_per_ramp = 2;
  const std::map<std::string, std::string> fast_before = figures(fast);
  for (const DeviceRow& row : device_rows(d)) {
    const bool bandwidth = row.name.starts_with("wavelets_per_cycle");
    const std::vector<Device> others = changed(bandwidth ? fast : d, row.name);
    if (row.name == "measured_rows") continue;
    ASSERT_FALSE(others.empty()) << row.name;
    bool changes = false;
    for (const Device& other : others) changes = changes || figures(other) != (bandwidth ? fast_before : before);
    EXPECT_EQ(changes, row.used) << row.name;
    unused += row.used ? 0 : 1;
  }
  EXPECT_GT(unused, 0);
}

TEST(DeviceConstants, NoPlanTakesLessThanItsFloor) {
  const Device d = load_device("wse2");
  std::vector<Device> devices = {d, load_device("wse3")};
  for (const DeviceRow& row : device_rows(d))
    for (Device& other : changed(d, row.name)) devices.push_back(std::move(other));
  for (const int64_t bytes : {1, 2, 3, 7}) {  // far below what SIMD asks for
    devices.push_back(d);
    devices.back().sram_read_bytes_per_cycle = bytes;
  }
  for (const Device& other : devices)
    for (const Numerics numerics : {Numerics::mixed, Numerics::fp16, Numerics::fp32}) {
      const PlanTime t = time_of(other, numerics);
      EXPECT_LE(t.floor.cycles(), t.chip.decode.cycles) << &other - devices.data();
    }
}

TEST(DeviceConstants, DevicesTellWhatIsUnused) {
  const Device d = load_device("wse2");
  const nlohmann::json rows = nlohmann::json::parse(device_json(d)).at("rows");
  const std::string text = device_text(d);
  for (const auto& row : rows) {
    const std::string name = row.at("name");
    const size_t at = text.find("\n" + name + " ");
    ASSERT_NE(at, std::string::npos) << name;
    size_t end = text.find('\n', at + 1);  // its source is below it, or beside it
    while (end + 1 < text.size() && text[end + 1] == ' ') end = text.find('\n', end + 1);
    const std::string line = text.substr(at + 1, end - at - 1);
    EXPECT_EQ(line.find("[not used by time()]") == std::string::npos, row.at("used").get<bool>()) << line;
  }
}

}  // namespace
}  // namespace wafer
