#include "plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>

#include "base/check.h"
#include "base/error.h"
#include "base/parallel.h"
#include "plan/regions.h"

namespace wafer {

using namespace mesh;

namespace {

// Shorter chunks than this are not worth a single region: rather more regions. Assumed; the search by cycles knows better.
constexpr int64_t kShortestChunk = 128;

int64_t cores_of(Extent e) { return int64_t{e.w} * e.h; }

struct Planner {
  const ModelConfig& config;
  const WeightTypes& types;
  const Device& device;
  const PlanRequest& request;

  Extent device_mesh() const { return {static_cast<int>(device.mesh_width), static_cast<int>(device.mesh_height)}; }
  int layers() const { return static_cast<int>(config.layers); }
  int64_t sram() const { return device.sram_bytes_per_core; }
  int64_t usable() const { return sram() - device.code_and_system_bytes; }

  Plan base_plan() const { return empty_plan(request); }

  bool fits(const Plan& plan) const {
    const auto rows = phase_bytes(place(config, types, plan, device_mesh()).program, device.code_and_system_bytes);
    return fullest(rows).fullest.total() <= sram();
  }
  bool fits(Plan plan, Part which, PhasePlan regions) const {
    plan.prefill = {};
    plan.decode = {};
    (which == Part::prefill ? plan.prefill : plan.decode) = std::move(regions);
    return fits(plan);
  }

  WholeBytes totals() const {
    Plan plan = base_plan();
    plan.decode = single_region({1, 1}, layers());
    const Placement p = place(config, types, plan, device_mesh());
    const CoreBytes all = core_bytes(p.program, p.decode_regions.front(), p.decode_phases.layer, 0, 0, 0);
    return {.weights = all.by_kind[static_cast<size_t>(BufferKind::weights)],
            .kv_cache = all.by_kind[static_cast<size_t>(BufferKind::cache)],
            .device = device.mesh_width * device.mesh_height * usable()};
  }

  // The most layers that a region of this size holds; 0: fewer than `least`, or not the head.
  int layers_that_fit(const Plan& plan, Part which, Extent e, int least) const {
    auto holds = [&](int n) {
      PhasePlan p{.regions = {{.rect = {0, 0, e.w, e.h}, .first_layer = 0, .layers = n, .head = false}}};
      return fits(plan, which, std::move(p));
    };
    const PhasePlan head{.regions = {{.rect = {0, 0, e.w, e.h}, .first_layer = 0, .layers = 0, .head = true}}};
    if (!holds(least) || !fits(plan, which, head)) return 0;
    int low = least, high = layers() + 1;  // holds(low), not holds(high)
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (holds(middle) ? low : high) = middle;
    }
    return low;
  }

  // Layers dealt to regions of a given size, as many as the bytes need and the device has room for, or `least`.
  std::optional<PhasePlan> regions_of_size(const Plan& plan, Part which, Extent e, int least = 1) const {
    const int64_t places = slot_count(device_mesh(), e);
    if (places < 2) return std::nullopt;
    const int most = static_cast<int>(std::min<int64_t>(places - 1, layers()));
    const int each = layers_that_fit(plan, which, e, (layers() + most - 1) / most);
    if (each == 0) return std::nullopt;
    const int needed = std::max(least, (layers() + each - 1) / each);
    if (needed > most) return std::nullopt;
    return dealt_regions(device_mesh(), e, layers(), needed);
  }

  // The chunk lengths to try, longest first, each with scores kept and then not.
  std::vector<Plan> chunk_choices(const Plan& plan, Part which, int64_t shortest) const {
    if (which == Part::decode) return {plan};
    std::vector<Plan> out;
    for (int64_t chunk = request.chunk > 0 ? std::min(request.chunk, plan.max_prompt) : plan.max_prompt; chunk >= 1;
         chunk = (chunk + 1) / 2) {
      for (bool keep : {true, false}) {
        Plan p = plan;
        p.chunk = chunk;
        p.keep_scores = keep;
        out.push_back(p);
      }
      if (chunk <= shortest || chunk == 1 || request.chunk > 0) break;
    }
    return out;
  }

  static void take(Plan& plan, Part which, const Plan& choice, PhasePlan regions) {
    if (which == Part::prefill) {
      plan.chunk = choice.chunk;
      plan.keep_scores = choice.keep_scores;
      plan.prefill = std::move(regions);
    } else {
      plan.decode = std::move(regions);
    }
  }

  int largest_side() const { return static_cast<int>(std::min({device.mesh_width, device.mesh_height, config.dim})); }

  // What the first of the sizes gives for which it works; they are tried on all threads.
  template <class Try>
  static std::optional<Plan> first_that_works(std::span<const Extent> sizes, const Try& works) {
    const size_t batch = static_cast<size_t>(thread_count());
    for (size_t from = 0; from < sizes.size(); from += batch) {
      std::vector<std::optional<Plan>> found(std::min(batch, sizes.size() - from));
      parallel_for(0, static_cast<int64_t>(found.size()), 1, [&](int64_t begin, int64_t end) {
        for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i++) found[i] = works(sizes[from + i]);
      });
      for (auto& plan : found)
        if (plan) return std::move(plan);
    }
    return std::nullopt;
  }

  static std::vector<Extent> squares(int first, int last) {
    std::vector<Extent> list;
    for (int p = first; p <= last; p++) list.push_back({p, p});
    return list;
  }

  // What comes after the largest square: it grows along y, where the cache is cut, to the device's side, then along x. Each is the
  // smallest that is larger than the one before, and as near to a square as the device lets it be.
  std::vector<Extent> rectangles() const {
    const Extent d = device_mesh();
    const int side = largest_side();
    std::vector<Extent> list;
    for (int h = side + 1; h <= d.h; h++) list.push_back({side, h});
    for (int w = side + 1; w <= d.w; w++) list.push_back({w, d.h});
    return list;
  }

  // Sizes of several equal rectangles that cut the device's sides evenly, the largest first; of one area that nearest to a square first.
  std::vector<Extent> equal_rectangles() const {
    const Extent d = device_mesh();
    std::vector<Extent> list;
    for (int w = d.w; w >= 1; w = d.w / (d.w / w + 1))
      for (int h = d.h; h >= 1; h = d.h / (d.h / h + 1))
        if (w != h) list.push_back({w, h});
    std::stable_sort(list.begin(), list.end(), [](Extent a, Extent b) {
      return cores_of(a) != cores_of(b) ? cores_of(a) > cores_of(b) : std::abs(a.w - a.h) < std::abs(b.w - b.h);
    });
    return list;
  }

  // The planner's own mesh for one phase: squares, and where none does, rectangles. Returns false if the device cannot hold the model.
  bool choose(Plan& plan, Part which) const {
    const WholeBytes t = totals();
    const auto bytes = static_cast<double>(t.weights + t.kv_cache);
    // No prompt fits where not even one token does.
    Plan least = plan;
    least.chunk = least.max_prompt = 1;
    const auto single = [&](Extent e) -> std::optional<Plan> {
      Plan next = plan;
      return use_single_region(next, which, e) ? std::optional(next) : std::nullopt;
    };
    const auto dealt = [&](Extent e) -> std::optional<Plan> {
      Plan next = plan;
      if (!may_be_dealt(e, bytes) || !regions_of_size(least, which, e) || !use_dealt_regions(next, which, e)) return std::nullopt;
      return next;
    };
    int p = std::max(1, static_cast<int>(std::floor(std::sqrt(bytes / static_cast<double>(usable())))));
    while (p <= largest_side() && !fits(least, which, single_region({p, p}, layers()))) p++;
    std::optional<Plan> found = first_that_works(squares(p, largest_side()), single);
    for (p = largest_side(); p >= 1 && !found; p--) found = dealt({p, p});
    if (!found) found = first_that_works(may_hold(rectangles(), bytes), single);
    if (!found) found = first_that_works(equal_rectangles(), dealt);
    if (found) plan = *found;
    return found.has_value();
  }

  // Those with room for so many bytes.
  std::vector<Extent> may_hold(std::vector<Extent> sizes, double bytes) const {
    std::erase_if(sizes, [&](Extent e) { return static_cast<double>(cores_of(e) * usable()) < bytes; });
    return sizes;
  }

  // Whether equal regions of this size could hold so many bytes at all, with one of them for the head. No more of them are of use than
  // there are layers.
  bool may_be_dealt(Extent e, double bytes) const {
    const int64_t slots = std::min<int64_t>(slot_count(device_mesh(), e), layers() + 1);
    return slots >= 2 && static_cast<double>(slots * cores_of(e) * usable()) >= bytes;
  }

  bool transition_fits(Plan& plan) const { return settle_transition(config, types, device, plan); }

  // Both phases on meshes of the planner's choice. Each is the smallest that holds its phase, and both grow until the transition fits too:
  // first as single regions, then as the same regions for both; where no squares do, as rectangles.
  bool choose_both(Plan& plan) const {
    if (!choose(plan, Part::prefill) || !choose(plan, Part::decode)) return false;
    if (transition_fits(plan)) return true;
    const WholeBytes t = totals();
    const auto bytes = static_cast<double>(t.weights + t.kv_cache);
    Plan least = plan;
    least.chunk = least.max_prompt = 1;
    const auto single = [&](Extent e) -> std::optional<Plan> {
      Plan next = plan;
      if (!use_single_region(next, Part::prefill, e) || !use_single_region(next, Part::decode, e) || !transition_fits(next))
        return std::nullopt;
      return next;
    };
    const auto dealt = [&](Extent e) -> std::optional<Plan> {
      Plan next = plan;
      if (!may_be_dealt(e, bytes) || !regions_of_size(least, Part::prefill, e) || !use_dealt_regions(next, Part::prefill, e) ||
          !use_dealt_regions(next, Part::decode, e))
        return std::nullopt;
      const PhasePlan& more = next.prefill.regions.size() > next.decode.regions.size() ? next.prefill : next.decode;
      next.prefill = next.decode = PhasePlan(more);
      return transition_fits(next) ? std::optional(next) : std::nullopt;
    };
    std::optional<Plan> found;
    if (plan.prefill.regions.size() == 1 && plan.decode.regions.size() == 1) {
      const Extent a = extent(plan.prefill.regions.front().rect), b = extent(plan.decode.regions.front().rect);
      const int64_t cores = std::max(cores_of(a), cores_of(b));
      const auto of_at_least = [](std::vector<Extent> sizes, int64_t least_cores) {
        std::erase_if(sizes, [&](Extent e) { return cores_of(e) < least_cores; });
        return sizes;
      };
      found = first_that_works(of_at_least(squares(1, largest_side()), cores + 1), single);
      for (int p = largest_side(); p >= 1 && !found; p--) found = dealt({p, p});
      if (!found) found = first_that_works(of_at_least(rectangles(), cores), single);
    } else {
      for (int p = largest_side(); p >= 1 && !found; p--) found = dealt({p, p});
    }
    if (!found) found = first_that_works(equal_rectangles(), dealt);
    if (found) plan = *found;
    return found.has_value();
  }

  bool use_single_region(Plan& plan, Part which, Extent e) const {
    const std::vector<Plan> choices = chunk_choices(plan, which, kShortestChunk);
    // A prompt of one token takes the fewest bytes: where that does not fit, none does.
    Plan least = plan;
    least.chunk = least.max_prompt = 1;
    if (choices.size() > 1 && !fits(least, which, single_region(e, layers()))) return false;
    for (const Plan& choice : choices)
      if (fits(choice, which, single_region(e, layers()))) {
        take(plan, which, choice, single_region(e, layers()));
        return true;
      }
    return false;
  }

  bool use_dealt_regions(Plan& plan, Part which, Extent e, int least = 1) const {
    for (const Plan& choice : chunk_choices(plan, which, 1))
      if (auto regions = regions_of_size(choice, which, e, least)) {
        take(plan, which, choice, *regions);
        return true;
      }
    return false;
  }

  // The user's mesh: what fits, else what comes nearest.
  void use_mesh(Plan& plan, Part which, Extent e) const {
    if (use_single_region(plan, which, e) || use_dealt_regions(plan, which, e)) return;
    // Nothing fits. A layer a region where there is room, else the layers of a region one after the other.
    const int places = static_cast<int>(std::min<int64_t>(slot_count(device_mesh(), e), layers() + 1));
    const Plan choice = chunk_choices(plan, which, 1).front();
    take(plan, which, choice, places >= 2 ? dealt_regions(device_mesh(), e, layers(), places - 1) : single_region(e, layers()));
  }

  // Where one phase deals its layers to more regions than the other, the other does too if there is room: else most layers would change
  // regions in the transition. Where there is not, a phase that does not fit anyway takes as many as the other. Then both on one grid.
  Plan dealt_alike(const Plan& plan) const {
    Plan out = plan;
    int most = 0, room = layers();
    const std::initializer_list<std::pair<Part, PhasePlan*>> phases = {{Part::prefill, &out.prefill}, {Part::decode, &out.decode}};
    for (const auto& [which, p] : phases) {
      if (is_dealt(*p)) most = std::max(most, layer_regions(*p));
      room = static_cast<int>(std::min<int64_t>(room, slot_count(device_mesh(), extent(p->regions.front().rect)) - 1));
    }
    if (most == 0 || room == 0) return plan;
    const int count = std::min(most, room);
    for (const auto& [which, p] : phases) {
      const Extent e = extent(p->regions.front().rect);
      if (is_dealt(*p) && layer_regions(*p) == count) continue;
      Plan choice = out;
      if (use_dealt_regions(choice, which, e, count) && layer_regions(which == Part::prefill ? choice.prefill : choice.decode) == count)
        out = std::move(choice);
      else if (!fits(plan, which, *p))
        *p = dealt_regions(device_mesh(), e, layers(), count);
    }
    return on_one_grid(std::move(out), device_mesh());
  }

  std::string no_plan_reason(const WholeBytes& t) const {
    const int64_t need = t.weights + t.kv_cache;
    std::string text =
        fmt::format("{} needs {} (weights {}, KV of {} positions {}); {} has {} ({} x {} cores with {} of {} bytes for data)", config.name,
                    size_text(need), size_text(t.weights), request.context, size_text(t.kv_cache), device.name, size_text(t.device),
                    device.mesh_width, device.mesh_height, usable(), sram());
    text += need > t.device
                ? fmt::format(": {} too much", size_text(need - t.device))
                : ": it would fit as a whole, but no equal regions were found that hold whole layers, their activations and the head";
    text += "; --mesh WxH forces a size";
    return text;
  }
};

void check_mesh(const char* option, const std::optional<Extent>& e, const Device& device) {
  if (!e) return;
  if (e->w >= 1 && e->h >= 1 && e->w <= device.mesh_width && e->h <= device.mesh_height) return;
  throw Error({.where = option,
               .found = fmt::format("a mesh of {}x{} cores", e->w, e->h),
               .expected = fmt::format("1x1 to {}x{}, the mesh of {}", device.mesh_width, device.mesh_height, device.name),
               .fix = "choose a smaller mesh or leave it to the planner"});
}

// Groups of each level, fewer from level to level, of cores that there are.
void check_trees(const PlanRequest& request) {
  if (request.tree_levels < 1)
    throw Error({.where = "tree levels", .found = std::to_string(request.tree_levels), .expected = "at least 1", .fix = "give more"});
  for (size_t i = 0; i < request.groups.size(); i++)
    if (request.groups[i] < 1 || (i > 0 && request.groups[i] >= request.groups[i - 1]))
      throw Error({.where = "--groups",
                   .found = i == 0 ? fmt::format("{} groups", request.groups[i])
                                   : fmt::format("{} groups of {}", request.groups[i], request.groups[i - 1]),
                   .expected = "for each level of the trees fewer groups than for the one before, at least 1",
                   .fix = "give them from the first level on, such as --groups 20 or --groups 72,9"});
}

void check_groups(const Plan& plan) {
  if (plan.groups.empty()) return;
  for (const PlacedRegion& r : plan.decode.regions)
    if (plan.groups.front() > std::max(r.rect.w, r.rect.h))
      throw Error({.where = "--groups",
                   .found = fmt::format("{} groups", plan.groups.front()),
                   .expected = fmt::format("at most {}, the cores of the longer side of decode's {}x{}", std::max(r.rect.w, r.rect.h),
                                           r.rect.w, r.rect.h),
                   .fix = "give fewer groups or a larger mesh"});
}

std::string too_full(const PhaseBytes& row, const Program& program, int64_t sram) {
  return mesh::describe(row, sram, " in phase " + program.phases[row.phase].name) +
         fmt::format("; {} too many", with_commas(row.fullest.total() - sram));
}

}  // namespace

Limits limits_of(const Device& d) {
  return {.mesh = {static_cast<int>(d.mesh_width), static_cast<int>(d.mesh_height)},
          .sram_bytes = d.sram_bytes_per_core,
          .code_bytes = d.code_and_system_bytes,
          .colours = static_cast<int>(d.free_colours.size())};
}

WeightTypes types_of(const Model& model) {
  auto bits = [](TensorType t) { return bytes_of(t, 32); };
  auto widest = [&](TensorView LayerTensors::*tensor) {
    TensorType t = (model.layers.front().*tensor).type;
    for (const LayerTensors& l : model.layers)
      if (bits((l.*tensor).type) > bits(t)) t = (l.*tensor).type;
    return t;
  };
  return {.q = widest(&LayerTensors::q),
          .k = widest(&LayerTensors::k),
          .v = widest(&LayerTensors::v),
          .o = widest(&LayerTensors::o),
          .gate = widest(&LayerTensors::gate),
          .up = widest(&LayerTensors::up),
          .down = widest(&LayerTensors::down),
          .embedding = model.embedding.type,
          .output = model.output.type};
}

PlanResult make_plan(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& given) {
  PlanRequest request = given;
  if (request.plan != "waferllm")
    throw Error({.where = "--plan", .found = "\"" + request.plan + "\"", .expected = "waferllm", .fix = "use --plan waferllm"});
  if (request.context < 1)
    throw Error({.where = "--context",
                 .found = std::to_string(request.context),
                 .expected = "at least 1 position",
                 .fix = "give a longer context"});
  if (request.max_prompt == 0) request.max_prompt = request.context;
  if (request.max_prompt > request.context)
    throw Error({.where = "prompt",
                 .found = fmt::format("{} tokens", request.max_prompt),
                 .expected = fmt::format("at most {} positions of context", request.context),
                 .fix = "shorten the prompt or lengthen the context"});
  if (request.chunk < 0)
    throw Error({.where = "--chunk",
                 .found = std::to_string(request.chunk),
                 .expected = "at least 1 token",
                 .fix = "leave it out for the planner's choice"});
  check_trees(request);
  const bool one_mesh = request.prefill_mesh && request.prefill_mesh == request.decode_mesh;
  check_mesh(one_mesh ? "--mesh" : "--prefill-mesh", request.prefill_mesh, device);
  check_mesh("--decode-mesh", request.decode_mesh, device);

  const Planner planner{config, types, device, request};
  PlanResult out{.plan = planner.base_plan()};
  auto arrange = [&](Part which, const std::optional<Extent>& mesh) {
    if (!mesh) return planner.choose(out.plan, which);
    planner.use_mesh(out.plan, which, *mesh);
    return true;
  };
  const bool own_choice = !request.prefill_mesh && !request.decode_mesh;
  const bool placed = own_choice ? planner.choose_both(out.plan)
                                 : arrange(Part::prefill, request.prefill_mesh) && arrange(Part::decode, request.decode_mesh);
  if (!placed) {
    out.fits = out.fits_measured_code = false;
    out.whole = planner.totals();
    out.reason = planner.no_plan_reason(*out.whole);
    return out;
  }
  check_groups(out.plan);
  // The order of the transition comes after its regions.
  const auto judged = [&](Plan plan) {
    if (!own_choice) settle_transition(config, types, device, plan);
    PlanResult result{.plan = std::move(plan)};
    judge_bytes(result, place(config, types, result.plan, planner.device_mesh()).program, device);
    return result;
  };
  // What makes the transition short must not be what makes it too full.
  PlanResult alike = judged(own_choice ? on_one_grid(out.plan, planner.device_mesh()) : planner.dealt_alike(out.plan));
  if (alike.fits || (alike.plan.prefill == out.plan.prefill && alike.plan.decode == out.plan.decode)) return alike;
  PlanResult apart = judged(out.plan);
  return apart.fits ? apart : alike;
}

bool settle_transition(const ModelConfig& config, const WeightTypes& types, const Device& device, Plan& plan) {
  const auto fits = [&] {
    const Placement p = place(config, types, plan, limits_of(device).mesh);
    return fullest(phase_bytes(p.program, device.code_and_system_bytes, p.transition_phase)).fullest.total() <= device.sram_bytes_per_core;
  };
  plan.regions_in_turn = false;
  if (fits()) return true;
  if (layer_regions(plan.prefill) == 1 && layer_regions(plan.decode) == 1) return false;  // the order is the same
  plan.regions_in_turn = true;
  if (fits()) return true;
  plan.regions_in_turn = false;
  return false;
}

Plan empty_plan(const PlanRequest& request) {
  return {.name = request.plan,
          .numerics = request.numerics,
          .context = request.context,
          .chunk = request.max_prompt,
          .max_prompt = request.max_prompt,
          .tree_levels = request.tree_levels,
          .groups = request.groups,
          .host_choice = request.host_choice};
}

bool place_part(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, Part part,
                Extent mesh, Plan& plan) {
  const Planner planner{config, types, device, request};
  return planner.use_single_region(plan, part, mesh) || planner.use_dealt_regions(plan, part, mesh);
}

void judge_bytes(PlanResult& result, const Program& program, const Device& device, std::string_view part) {
  result.bytes = phase_bytes(program, device.code_and_system_bytes);
  std::erase_if(result.bytes, [&](const PhaseBytes& row) { return !program.phases[row.phase].name.starts_with(part); });
  result.fullest = fullest(result.bytes);
  const int64_t total = result.fullest.fullest.total(), sram = device.sram_bytes_per_core;
  result.fits = total <= sram;
  result.fits_measured_code = total - device.code_and_system_bytes + device.code_and_system_bytes_measured <= sram;
  result.reason = result.fits ? "" : too_full(result.fullest, program, sram);
}

}  // namespace wafer
