#include "search/search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include "base/check.h"
#include "base/parallel.h"
#include "lower/lower.h"
#include "lower/request_timer.h"
#include "mesh/verify.h"
#include "plan/regions.h"
#include "search/candidates.h"
#include "search/estimate.h"

namespace wafer {

using namespace mesh;

namespace {

constexpr int64_t kGenerated = 128;  // tokens of the request where the context does not say how many are generated
constexpr int64_t kRingSteps = 16;   // of each product on a large mesh that are timed
constexpr int kLargeSide = 128;      // where a side is longer, not every step of its products is timed
constexpr size_t kTimedDecode = 6, kTimedPrefill = 2, kTimedShared = 2;  // meshes that are timed, beside the rule's
constexpr size_t kBatch = 4;                                             // of them at a time, on all threads
constexpr size_t kTrials = 24;                                           // of the ranked candidates, so many are tried whether they fit

bool large(Extent e) { return std::max(e.w, e.h) > kLargeSide; }

int64_t rounded(double cycles) { return std::llround(cycles); }

struct Ranked {
  Extent mesh;
  double estimate = 0;
};

struct Search {
  const ModelConfig& config;
  const WeightTypes& types;
  const Device& device;
  PlanRequest request;
  Goal goal;
  SearchResult out{};
  std::map<std::tuple<Part, int, int>, std::optional<Timed>> known{};  // phases that were placed, by mesh; nothing: they do not fit
  double whole_bytes = 0;                                              // of all weights and caches
  double weight_bytes = 2;                                             // of one weight, on the mean

  Extent device_mesh() const { return limits_of(device).mesh; }
  double room() const { return static_cast<double>(data_bytes_per_core(device)); }
  std::optional<int64_t> position{};  // of the token that is timed; none: the middle of those generated
  int64_t middle() const { return position.value_or(out.prompt + out.generated / 2); }

  // ---- candidates ------------------------------------------------------------------------------------------------------------------

  // Regions of layers that a mesh needs by the bytes of its fullest core; 0: it holds no layer or not the head, or there is no room.
  int64_t regions_estimate(Part part, Extent e) const {
    const HeldEstimate held = held_estimate(config, part, e, request.context);
    const double cache_bytes = request.numerics == Numerics::fp32 ? 4 : 2;
    const double layer = weight_bytes * held.layer + cache_bytes * held.cache, head = weight_bytes * held.head;
    const double layers = static_cast<double>(config.layers);
    if (layers * layer + head <= room()) return 1;
    const double each = std::floor(room() / layer), regions = each >= 1 ? std::ceil(layers / each) : 0;
    const int64_t slots = int64_t{device_mesh().w / e.w} * (device_mesh().h / e.h);
    return head <= room() && regions >= 1 && regions + 1 <= static_cast<double>(slots) ? std::llround(regions) : 0;
  }

  std::vector<Extent> meshes() const { return candidate_meshes(config, device_mesh(), std::sqrt(whole_bytes / room())); }

  // What the goal counts of one phase, by the formulas.
  double cost(const StageEstimate& s, int64_t count) const {
    const double regions = static_cast<double>(count), layers = static_cast<double>(config.layers);
    if (goal == Goal::throughput && regions > 1) return std::max(s.layer * std::ceil(layers / regions), s.head);
    return s.layer * layers + s.head + s.hand_over * (regions > 1 ? regions + 1 : 0);
  }

  double cost(Part part, Extent e, int64_t chunk, int64_t regions) const {
    const Plan trees = empty_plan(request);
    return part == Part::decode ? cost(decode_estimate(config, device, trees, e, middle()), regions)
                                : cost(prefill_estimate(config, device, trees, e, out.prompt, chunk), regions);
  }

  // Meshes that may hold the phases, the cheapest first by what the goal counts.
  std::vector<Ranked> ranked(bool prefill, bool decode) {
    std::vector<Ranked> list;
    for (const Extent e : meshes()) {
      const int64_t rows = prefill ? regions_estimate(Part::prefill, e) : 1, tokens = decode ? regions_estimate(Part::decode, e) : 1;
      out.candidates++;
      if (rows == 0 || tokens == 0) {
        out.refused.too_many_bytes++;
        continue;
      }
      Ranked r{.mesh = e};
      const int64_t regions = std::max(rows, tokens);
      if (prefill) r.estimate += cost(Part::prefill, e, out.prompt, regions);
      if (decode) r.estimate += (prefill ? static_cast<double>(out.generated) : 1.0) * cost(Part::decode, e, 0, regions);
      list.push_back(r);
    }
    std::stable_sort(list.begin(), list.end(), [](const Ranked& a, const Ranked& b) { return a.estimate < b.estimate; });
    return list;
  }

  // ---- fitting ---------------------------------------------------------------------------------------------------------------------

  // The phase on regions of one size, with the longest chunk that fits: the longest prompt, the one that is timed, a half, a quarter,
  // an eighth.
  std::optional<Timed> placed(Part part, Extent e) const {
    PlanRequest of = request;
    Plan plan;
    const auto fits = [&] {
      plan = empty_plan(of);
      return place_part(config, types, device, of, part, e, plan);
    };
    bool found = false;
    if (part == Part::prefill && request.chunk == 0) {
      of.chunk = of.max_prompt = 1;  // no prompt fits where not even one token does
      if (!fits()) return std::nullopt;
      of.max_prompt = request.max_prompt;
      const int64_t longest = of.max_prompt;
      for (const int64_t chunk : {longest, out.prompt, (longest + 1) / 2, (longest + 3) / 4, (longest + 7) / 8}) {
        of.chunk = chunk;
        if ((found = fits())) break;
      }
    } else {
      found = fits();
    }
    if (!found) return std::nullopt;
    Timed t = phase_of(plan, part);
    t.estimate = rounded(cost(part, e, t.chunk, layer_regions(t.plan)));
    return t;
  }

  // On all threads; what was placed before is not placed again.
  void place_all(Part part, std::span<const Ranked> list) {
    std::vector<Extent> missing;
    for (const Ranked& r : list)
      if (!known.contains({part, r.mesh.w, r.mesh.h})) missing.push_back(r.mesh);
    std::vector<std::optional<Timed>> found(missing.size());
    parallel_for(0, static_cast<int64_t>(missing.size()), 1, [&](int64_t begin, int64_t end) {
      for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i++) found[i] = placed(part, missing[i]);
    });
    for (size_t i = 0; i < missing.size(); i++) known[{part, missing[i].w, missing[i].h}] = std::move(found[i]);
  }
  const std::optional<Timed>& at(Part part, Extent e) const { return known.at({part, e.w, e.h}); }

  // The first of the ranked ones that fit, by the formulas for the chunk that they turned out to have.
  std::vector<Timed> fitting(Part part, size_t most, size_t trials = kTrials) {
    std::vector<Timed> list;
    std::vector<Ranked> all = ranked(part == Part::prefill, part == Part::decode);
    all.resize(std::min(all.size(), trials));
    for (size_t from = 0; from < all.size() && list.size() < 2 * most; from += kBatch) {
      const auto batch = std::span(all).subspan(from, std::min(kBatch, all.size() - from));
      place_all(part, batch);
      for (const Ranked& r : batch) {
        if (const auto& t = at(part, r.mesh))
          list.push_back(*t);
        else
          out.refused.too_many_bytes++;
      }
    }
    std::stable_sort(list.begin(), list.end(), [](const Timed& a, const Timed& b) { return a.estimate < b.estimate; });
    if (list.size() > most) list.resize(most);
    return list;
  }

  // Meshes for both phases, with the same regions: what each core holds then changes little from one phase to the other.
  void add_shared(size_t most) {
    std::vector<Ranked> all = ranked(true, true);
    all.resize(std::min(all.size(), kTrials));
    size_t found = 0;
    for (size_t i = 0; i < all.size() && found < most; i++) {
      if (i % kBatch == 0)
        for (const Part part : {Part::prefill, Part::decode}) place_all(part, std::span(all).subspan(i, std::min(kBatch, all.size() - i)));
      std::optional<Timed> prefill = at(Part::prefill, all[i].mesh), decode = at(Part::decode, all[i].mesh);
      if (!prefill || !decode) {
        out.refused.too_many_bytes++;
        continue;
      }
      (prefill->plan.regions.size() > decode->plan.regions.size() ? decode : prefill)->plan =
          PhasePlan((prefill->plan.regions.size() > decode->plan.regions.size() ? prefill : decode)->plan);
      if (!transition_fits(*prefill, *decode)) {
        out.refused.transition++;
        continue;
      }
      found++;
      add_new(out.prefill, *prefill);
      add_new(out.decode, *decode);
    }
  }

  static void add_new(std::vector<Timed>& list, const Timed& t) {
    const bool known = std::any_of(list.begin(), list.end(), [&](const Timed& o) {
      return o.mesh == t.mesh && o.chunk == t.chunk && o.plan.regions.size() == t.plan.regions.size() && o.keep_scores == t.keep_scores;
    });
    if (!known) list.push_back(t);
  }

  static Timed phase_of(const Plan& plan, Part part) {
    const PhasePlan& phase = part == Part::prefill ? plan.prefill : plan.decode;
    return {.part = part,
            .mesh = extent(phase.regions.front().rect),
            .chunk = plan.chunk,
            .groups = plan.groups,
            .plan = phase,
            .keep_scores = plan.keep_scores};
  }

  // ---- timing ----------------------------------------------------------------------------------------------------------------------

  Plan joined(const Timed& prefill, const Timed& decode) const {
    Plan p = empty_plan(request);
    p.chunk = prefill.chunk;
    p.keep_scores = prefill.keep_scores;
    p.prefill = prefill.plan;
    p.decode = decode.plan;
    p.groups = decode.groups;
    return on_one_grid(std::move(p), device_mesh());
  }

  bool legal(const Lowered& lowered) const {
    for (const Diagnostic& d : verify(lowered.program(), limits_of(device)))
      if (d.rule != Rule::bytes) return false;
    return true;
  }

  // The first two regions of layers and the head, in place of all: the other regions do the same.
  static PhasePlan shortened(const PhasePlan& p) {
    PhasePlan out;
    for (const PlacedRegion& r : p.regions)
      if (r.head || layer_regions(out) < 2) out.regions.push_back(r);
    return out;
  }

  // The phase with itself for the other phase: a program needs both. Of a prefill's regions after the second the layers and the hand-overs
  // are taken to last as long as those before.
  void time(Timed& t) const {
    t.regions = layer_regions(t.plan);
    const bool prefill = t.part == Part::prefill;
    ModelConfig model = config;
    Timed part = t;
    if (prefill && t.regions > 2) {
      part.plan = shortened(t.plan);
      model.layers = 0;
      for (const PlacedRegion& r : part.plan.regions) model.layers += r.layers;
    }
    const Lowered lowered = lower(model, types, joined(part, part), device_mesh());
    time::RequestTimer timer = request_timer(lowered, device);
    timer.chunks = 2;
    if (prefill && large(t.mesh)) timer.options.ring_steps = kRingSteps;
    const time::PartTime whole = prefill ? timer.prefill(out.prompt) : timer.decode(middle(), 1);
    const int64_t layer = cycles_of(layer_part(whole, model.layers));
    int64_t most = 0, hand_over = 0;
    for (const PlacedRegion& r : t.plan.regions) most = std::max<int64_t>(most, r.layers);
    for (const time::StepCycles& s : whole.steps)
      if (s.name.starts_with("hand_over.0")) hand_over += std::llround(s.cycles);
    const int64_t others = cycles_of(whole) - layer * model.layers;
    t.cycles = others + layer * config.layers + (model.layers < config.layers ? (t.regions - 2) * hand_over : 0);
    t.stage_cycles = t.regions == 1 ? cycles_of(whole) : std::max(layer * most, others);
  }

  int64_t value(const Timed& t) const { return goal == Goal::latency ? t.cycles : t.stage_cycles; }

  void time_all(std::vector<Timed>& list) const {
    parallel_for(0, static_cast<int64_t>(list.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) time(list[static_cast<size_t>(i)]);
    });
    std::stable_sort(list.begin(), list.end(), [&](const Timed& a, const Timed& b) { return value(a) < value(b); });
  }

  // Other trees along whole lines of a decode mesh: of one level, of two with other numbers of groups, of three.
  std::vector<Timed> other_trees(const Timed& best) {
    std::vector<Timed> list;
    if (!request.groups.empty()) return list;
    const int side = std::max(best.mesh.w, best.mesh.h);
    const double root = std::sqrt(static_cast<double>(side));
    const auto add = [&](std::vector<int> groups) {
      if (groups.front() > side || groups.back() < 1) return;
      Timed t = best;
      t.by_rule = false;
      t.groups = std::move(groups);
      out.candidates++;
      if (colours_max(lower(config, types, joined(t, t), device_mesh()).program()) > limits_of(device).colours)
        out.refused.too_many_colours++;
      else
        list.push_back(std::move(t));
    };
    add({1});
    for (const double f : {0.5, 0.7, 1.4, 2.0}) add({static_cast<int>(std::lround(root * f))});
    for (const double f : {1.0, 1.5}) {
      const std::vector<int> g = even_groups(side, 3);
      const int first = static_cast<int>(std::lround(g[0] * f)), second = static_cast<int>(std::lround(g[1] * f));
      if (first > second) add({first, second});
    }
    return list;
  }

  bool transition_fits(Plan& plan) const { return settle_transition(config, types, device, plan); }
  bool transition_fits(const Timed& prefill, const Timed& decode) const {
    Plan plan = joined(prefill, decode);
    return transition_fits(plan);
  }

  void count_bytes() {
    // All weights on one core: their bytes as they lie in SRAM.
    Plan least = empty_plan(request);
    least.decode.regions = {{.rect = {0, 0, 1, 1}, .first_layer = 0, .layers = static_cast<int>(config.layers), .head = true}};
    const Placement p = place(config, types, least, device_mesh());
    const CoreBytes all = core_bytes(p.program, p.decode_regions.front(), p.decode_phases.layer, 0, 0, 0);
    const HeldEstimate held = held_estimate(config, Part::decode, {1, 1}, request.context);
    whole_bytes = static_cast<double>(all.total());
    weight_bytes = static_cast<double>(all.by_kind[static_cast<size_t>(BufferKind::weights)]) /
                   (static_cast<double>(config.layers) * held.layer + held.head);
  }

  void run() {
    PlanResult rule_plan = make_plan(config, types, device, request);  // checks the request
    const bool by_rule_fits = rule_plan.fits;
    count_bytes();
    out.decode = fitting(Part::decode, kTimedDecode);
    out.prefill = fitting(Part::prefill, kTimedPrefill);
    add_shared(kTimedShared);
    if (by_rule_fits) {
      out.prefill.insert(out.prefill.begin(), phase_of(rule_plan.plan, Part::prefill));
      out.decode.insert(out.decode.begin(), phase_of(rule_plan.plan, Part::decode));
      out.prefill.front().by_rule = out.decode.front().by_rule = true;
    }
    time_all(out.decode);
    time_all(out.prefill);
    out.sampled = std::any_of(out.prefill.begin(), out.prefill.end(), [](const Timed& t) { return large(t.mesh); });
    const std::optional<Pair> pair = best_pair();
    if (!pair) {
      out.plan = std::move(rule_plan);  // and its reason
      return;
    }
    const Timed prefill = out.prefill[pair->prefill];
    Timed decode = out.decode[pair->decode];
    std::vector<Timed> trees = other_trees(decode);
    time_all(trees);
    for (const Timed& t : trees)
      if (value(t) < value(decode) && legal(lower(config, types, joined(prefill, t), device_mesh()))) decode = t;
    out.decode.insert(out.decode.end(), trees.begin(), trees.end());
    std::stable_sort(out.decode.begin(), out.decode.end(), [&](const Timed& a, const Timed& b) { return value(a) < value(b); });
    out.request_cycles = value(prefill) + out.generated * value(decode) + pair->transition;
    out.plan = {.plan = joined(prefill, decode)};
    out.plan.plan.regions_in_turn = pair->regions_in_turn;
    judge_bytes(out.plan, place(config, types, out.plan.plan, device_mesh()).program, device);
  }

  struct Pair {
    size_t prefill = 0, decode = 0;
    int64_t cycles = 0;      // without the transition
    int64_t transition = 0;  // where the goal counts it
    bool regions_in_turn = false;
  };

  // Whether a pair is legal as a whole; then its transition is timed too.
  bool take(Pair& pair) {
    Plan plan = joined(out.prefill[pair.prefill], out.decode[pair.decode]);
    const bool by_rule = out.prefill[pair.prefill].by_rule && out.decode[pair.decode].by_rule;
    if (!transition_fits(plan) && !by_rule) {
      out.refused.transition++;
      return false;
    }
    pair.regions_in_turn = plan.regions_in_turn;
    const Lowered lowered = lower(config, types, plan, device_mesh());
    if (!by_rule && !legal(lowered)) {
      out.refused.too_many_colours++;
      return false;
    }
    if (goal == Goal::latency) pair.transition = cycles_of(request_timer(lowered, device).transition(out.prompt));
    if (by_rule) out.default_cycles = pair.cycles + pair.transition;
    return true;
  }

  // The fastest pair of phases that is legal as a whole. The rule's own is, where there is one.
  std::optional<Pair> best_pair() {
    std::vector<Pair> pairs;
    for (size_t i = 0; i < out.prefill.size(); i++)
      for (size_t j = 0; j < out.decode.size(); j++)
        pairs.push_back({.prefill = i, .decode = j, .cycles = value(out.prefill[i]) + out.generated * value(out.decode[j])});
    std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.cycles < b.cycles; });
    std::optional<Pair> best;
    for (Pair& pair : pairs) {
      const bool hopeless = best && pair.cycles >= best->cycles + best->transition;
      const bool by_rule = out.prefill[pair.prefill].by_rule && out.decode[pair.decode].by_rule;
      if ((hopeless && !by_rule) || !take(pair)) continue;
      if (!best || pair.cycles + pair.transition < best->cycles + best->transition) best = pair;
    }
    return best;
  }
};

// ---- beside a plan that was not searched --------------------------------------------------------------------------------------------

// By how much the formulas must promise more than kFaster asks, that it is worth the time to look: they are off by up to a fifth.
constexpr double kWorthTiming = 1.15;
constexpr size_t kLooked = 3, kLookedTrials = 12;  // meshes of each phase

struct Look {
  Search search;
  Comparison by;

  bool both() const { return by.prompt > 0 && by.steps > 0; }

  // A phase's candidates, the plan's own first.
  std::vector<Timed> candidates(Part part, const Plan& plan, bool counts) {
    Timed own = Search::phase_of(plan, part);
    own.by_rule = true;
    own.estimate = rounded(search.cost(part, own.mesh, own.chunk, layer_regions(own.plan)));
    std::vector<Timed> list = {own};
    if (!counts) return list;
    for (const Timed& t : search.fitting(part, kLooked, kLookedTrials))
      if (!(t.mesh == own.mesh && t.chunk == own.chunk)) list.push_back(t);
    return list;
  }

  double estimate(const Timed& prefill, const Timed& decode) const {
    return (by.prompt > 0 ? static_cast<double>(prefill.estimate) : 0) +
           static_cast<double>(by.steps) * static_cast<double>(decode.estimate);
  }

  // The pair that the formulas put first among those that are legal as a whole; the plan itself where none is before it.
  std::pair<Timed, Timed> best(const std::vector<Timed>& prefills, const std::vector<Timed>& decodes) {
    std::pair<Timed, Timed> found{prefills.front(), decodes.front()};
    double least = estimate(found.first, found.second);
    for (const Timed& p : prefills)
      for (const Timed& d : decodes) {
        if (estimate(p, d) >= least || (both() && !search.transition_fits(p, d))) continue;
        found = {p, d};
        least = estimate(p, d);
      }
    return found;
  }

  std::optional<FasterPlan> run(const Plan& plan) {
    search.count_bytes();
    const std::vector<Timed> prefills = candidates(Part::prefill, plan, by.prompt > 0),
                             decodes = candidates(Part::decode, plan, by.steps > 0);
    const auto [prefill, decode] = best(prefills, decodes);
    if (estimate(prefills.front(), decodes.front()) < kWorthTiming * estimate(prefill, decode)) return std::nullopt;
    const Timed &first = by.prompt > 0 ? prefill : decode, &second = by.steps > 0 ? decode : prefill;  // a program needs both phases
    Plan faster = search.joined(first, second);
    if (both()) search.transition_fits(faster);
    const Lowered lowered = lower(search.config, search.types, faster, search.device_mesh());
    if (!search.legal(lowered)) return std::nullopt;
    const time::RequestTimer timer = request_timer(lowered, search.device);
    FasterPlan out{.by = by, .chunk = prefill.chunk};
    if (by.prompt > 0) {
      out.prefill_mesh = prefill.mesh;
      out.prefill_cycles = cycles_of(timer.prefill(by.prompt));
    }
    if (by.steps > 0) {
      out.decode_mesh = decode.mesh;
      out.decode_cycles = cycles_of(timer.decode(by.first, by.steps));
    }
    const int64_t transition = both() ? cycles_of(timer.transition(by.prompt)) : 0;
    out.speedup = by.cycles / static_cast<double>(out.prefill_cycles + transition + out.decode_cycles);
    return out.speedup >= kFaster ? std::optional(out) : std::nullopt;
  }
};

}  // namespace

std::optional<FasterPlan> faster_plan(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request,
                                      const Plan& plan, const Comparison& by) {
  refuse_experts(config);
  CHECK(!request.prefill_mesh && !request.decode_mesh && (by.prompt > 0 || by.steps > 0), "nothing to look for");
  Look look{.search = {.config = config, .types = types, .device = device, .request = request, .goal = Goal::latency}, .by = by};
  Search& s = look.search;
  if (s.request.max_prompt == 0) s.request.max_prompt = s.request.context;
  s.out.prompt = std::max<int64_t>(1, by.prompt);
  s.out.generated = by.steps;
  s.position = by.first + by.steps / 2;
  return look.run(plan);
}

const char* name(Goal g) { return g == Goal::latency ? "latency" : "throughput"; }

SearchResult search_plan(const ModelConfig& config, const WeightTypes& types, const Device& device, const PlanRequest& request, Goal goal) {
  const auto start = std::chrono::steady_clock::now();
  refuse_experts(config);
  CHECK(!request.prefill_mesh && !request.decode_mesh, "a search with a mesh given");
  Search s{.config = config, .types = types, .device = device, .request = request, .goal = goal};
  if (s.request.max_prompt == 0) s.request.max_prompt = s.request.context;
  s.out.goal = goal;
  s.out.generated =
      s.request.max_prompt < s.request.context ? s.request.context - s.request.max_prompt : std::min(kGenerated, s.request.context / 2);
  s.out.prompt = s.request.context - s.out.generated;
  s.run();
  s.out.host_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(s.out);
}

}  // namespace wafer
