#include "report/remedy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "plan/placement.h"
#include "report/text.h"

namespace wafer {
namespace {

// Bytes of the whole model, as they would lie on a single core: below what any placement needs.
struct Totals {
  double weights = 0;
  double cache = 0;
  double all() const { return weights + cache; }
};

struct Adviser {
  const ModelConfig& config;
  const WeightTypes& types;
  const Device& device;
  const PlanRequest& request;
  std::vector<Remedy> out{};

  mesh::Extent device_mesh() const { return limits_of(device).mesh; }
  double usable() const { return static_cast<double>(data_bytes_per_core(device)); }
  double wafer_bytes() const { return static_cast<double>(device.mesh_width * device.mesh_height) * usable(); }

  Totals totals(const WeightTypes& t) const {
    Plan plan{.name = request.plan, .numerics = request.numerics, .context = request.context, .chunk = 1, .max_prompt = 1};
    plan.decode.regions = {{.rect = {0, 0, 1, 1}, .layers = static_cast<int>(config.layers), .head = true}};
    const Placement p = place(config, t, plan, device_mesh());
    const mesh::CoreBytes all = mesh::core_bytes(p.program, p.decode_regions.front(), p.decode_phases.layer, 0, 0, 0);
    return {static_cast<double>(all.by_kind[static_cast<size_t>(mesh::BufferKind::weights)]),
            static_cast<double>(all.by_kind[static_cast<size_t>(mesh::BufferKind::cache)])};
  }

  // Types of which the model's weights would take fewer bytes.
  std::vector<TensorType> smaller_types() const {
    std::vector<TensorType> smaller;
    for (const TensorType t : {TensorType::q8_0, TensorType::q4_0})
      if (bytes_of(t, 32) < bytes_of(types.gate, 32) && request.numerics != Numerics::fp16) smaller.push_back(t);
    return smaller;
  }

  void add(std::string change, std::string value, std::string text) {
    out.push_back({.change = std::move(change), .value = std::move(value), .text = std::move(text)});
  }

  // ---- meshes given: the planner is asked ----------------------------------------------------------------------------------------

  bool fits(const PlanRequest& changed, const WeightTypes& t) const { return make_plan(config, t, device, changed).fits; }

  PlanRequest with_context(int64_t context) const {
    PlanRequest changed = request;
    changed.context = context;
    changed.max_prompt = std::min(changed.max_prompt, context);
    return changed;
  }

  void ask_for_context() {
    if (!fits(with_context(1), types)) return;
    for (int64_t context = request.context / 2; context >= 1; context /= 2) {
      if (!fits(with_context(context), types)) continue;
      add("context", std::to_string(context), fmt::format("a context of {} positions fits on these meshes", grouped(context)));
      return;
    }
  }

  void ask_for_types() {
    for (const TensorType t : smaller_types()) {
      if (!fits(request, uniform_types(t))) continue;
      add("weights", std::string(name_of(t)), fmt::format("weights as {} fit on these meshes", name_of(t)));
      return;
    }
  }

  void ask_for_chunk() {
    if (request.chunk == 0) return;  // the planner has tried them all
    PlanRequest changed = request;
    changed.chunk = 0;
    const PlanResult result = make_plan(config, types, device, changed);
    if (result.fits)
      add("chunk", std::to_string(result.plan.chunk), fmt::format("chunks of {} tokens fit on these meshes", grouped(result.plan.chunk)));
  }

  // ---- bytes of the whole wafer ----------------------------------------------------------------------------------------------------

  void count_cores() {
    const double need = totals(types).all();
    if (need <= wafer_bytes()) {
      const auto cores = static_cast<int64_t>(std::ceil(need / usable()));
      add("cores", std::to_string(cores),
          fmt::format("weights and cache alone need the data bytes of {} cores, such as {} together; leave the mesh out and the planner "
                      "looks for one",
                      grouped(cores), square(cores)));
    }
  }
  static std::string square(int64_t cores) {
    const int side = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(cores))));
    return mesh_text({side, side});
  }

  void count_context() {
    const Totals t = totals(types);
    const double left = wafer_bytes() - t.weights, each = t.cache / static_cast<double>(request.context);
    if (left < each) return;
    const auto context = static_cast<int64_t>(left / each);
    if (context < request.context)
      add("context", std::to_string(context), fmt::format("by bytes alone, a context of {} positions", grouped(context)));
  }

  void count_types() {
    for (const TensorType t : smaller_types()) {
      const double need = totals(uniform_types(t)).all();
      if (need > wafer_bytes()) continue;
      add("weights", std::string(name_of(t)),
          fmt::format("by bytes alone, weights as {}: {} of {}", name_of(t), mesh::size_text(std::llround(need)),
                      mesh::size_text(std::llround(wafer_bytes()))));
      return;
    }
  }

  void count_wafers() {
    const double need = totals(types).all();
    const auto wafers = static_cast<int64_t>(std::ceil(need / wafer_bytes()));
    if (wafers > 1) add("wafers", std::to_string(wafers), fmt::format("by bytes alone, {} such wafers", wafers));
    for (const TensorType t : smaller_types()) {
      const auto fewer = static_cast<int64_t>(std::ceil(totals(uniform_types(t)).all() / wafer_bytes()));
      if (fewer > 1 && fewer < wafers)
        add("wafers", std::to_string(fewer), fmt::format("by bytes alone, {} such wafers with weights as {}", fewer, name_of(t)));
    }
  }
};

}  // namespace

std::vector<Remedy> remedies(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request) {
  Adviser a{.config = config, .types = types, .device = device, .request = request};
  if (request.prefill_mesh || request.decode_mesh) {
    a.ask_for_chunk();
    a.ask_for_context();
    a.ask_for_types();
    a.count_cores();
  } else {
    a.count_context();
    a.count_types();
  }
  a.count_wafers();
  return a.out;
}

}  // namespace wafer
