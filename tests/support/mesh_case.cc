#include "support/mesh_case.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "mesh/locality.h"
#include "plan/planner.h"

namespace wafer {

PhasePlan phase_plan(const PhaseShape& shape, int layers) {
  PhasePlan plan;
  const int regions = std::min(shape.regions, layers);
  int x = 0;
  for (int i = 0; i < regions; i++) {
    const mesh::Range own = mesh::part(layers, i, regions);
    plan.regions.push_back(
        {.rect = {x, 0, shape.mesh.w, shape.mesh.h}, .first_layer = static_cast<int>(own.begin), .layers = static_cast<int>(own.size())});
    x += shape.mesh.w;
  }
  if (shape.own_head)
    plan.regions.push_back({.rect = {x, 0, shape.mesh.w, shape.mesh.h}, .first_layer = 0, .layers = 0, .head = true});
  else
    plan.regions.front().head = true;
  return plan;
}

namespace {

const char* name_of(Numerics n) { return n == Numerics::mixed ? "mixed" : n == Numerics::fp16 ? "fp16" : "fp32"; }

std::string describe(const PhasePlan& p) {
  std::string s = fmt::format("{}x{}", p.regions[0].rect.w, p.regions[0].rect.h);
  if (p.regions.size() > 1) s += fmt::format("x{} regions, head in {}", p.regions.size(), head_region(p));
  return s;
}

}  // namespace

std::string describe(const MeshCase& c) {
  const ModelConfig& m = c.model;
  return fmt::format(
      "seed {}: {} heads on {} of {}, dim {}, ffn {}, vocab {}, {} layers, {}wq {} wdown {}, {}, prefill {}, decode {}, chunk {}, prompt "
      "{}, keep {}, K {}",
      c.seed, m.heads, m.kv_heads, m.head_dim, m.dim, m.ffn, m.vocab, m.layers, m.tied_embedding ? "tied, " : "", name_of(c.types.q),
      name_of(c.types.down), name_of(c.plan.numerics), describe(c.plan.prefill), describe(c.plan.decode), c.plan.chunk, c.prompt,
      c.plan.keep_scores, c.plan.tree_levels);
}

ModelConfig tiny_config(int64_t heads, int64_t kv_heads, int64_t head_dim, int64_t dim, int64_t ffn, int64_t vocab, int64_t layers) {
  return {.name = "random",
          .architecture = "llama",
          .layers = layers,
          .dim = dim,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .ffn = ffn,
          .vocab = vocab,
          .context = 64,
          .norm_epsilon = 1e-5f,
          .rope_base = 10000,
          .rope_factors = {},
          .tied_embedding = false,
          .weights = TensorType::f32};
}

MeshCase make_case(const ModelConfig& config, Numerics numerics, const PhaseShape& prefill, const PhaseShape& decode, int64_t chunk,
                   int64_t prompt, int64_t decode_tokens) {
  MeshCase c{.model = config,
             .types = uniform_types(numerics == Numerics::fp32 ? TensorType::f32 : TensorType::f16),
             .plan = {},
             .prompt = prompt,
             .decode = decode_tokens};
  c.odd_types = c.types;
  const int layers = static_cast<int>(config.layers);
  c.plan = {.numerics = numerics,
            .context = prompt + decode_tokens + 1,
            .chunk = chunk,
            .max_prompt = prompt,
            .prefill = phase_plan(prefill, layers),
            .decode = phase_plan(decode, layers)};
  return c;
}

MeshCase random_case(uint64_t seed, Numerics numerics, int max_side) {
  Rng rng(seed * 977 + static_cast<uint64_t>(numerics));
  const auto between = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(next_below(rng, static_cast<uint64_t>(high - low + 1)));
  };
  const auto shape = [&] {
    // A third of the time a line or a square.
    PhaseShape s{.mesh = {static_cast<int>(between(1, max_side)), static_cast<int>(between(1, max_side))},
                 .regions = static_cast<int>(between(1, 2)),
                 .own_head = between(0, 1) == 1};
    switch (between(0, 8)) {
      case 0: s.mesh.h = 1; break;
      case 1: s.mesh.w = 1; break;
      case 2: s.mesh.h = s.mesh.w; break;
      default: break;
    }
    return s;
  };
  const int64_t kv_heads = between(1, 4), head_dim = 2 * between(1, 4);
  const bool quantised = between(0, 2) == 0;
  // Drawn one by one: the order of a call's arguments is the compiler's.
  const int64_t layers = between(1, 3), vocab = between(3, 40), ffn = between(3, 40), dim = between(3, 30), group = between(1, 3);
  ModelConfig m = tiny_config(kv_heads * group, kv_heads, head_dim, dim, ffn, vocab, layers);
  if (quantised) {  // whole blocks
    m.dim = 32 * between(1, 2);
    m.ffn = 32 * between(1, 2);
  }
  m.tied_embedding = between(0, 1) == 1;
  const int64_t prompt = between(1, 11);
  const int64_t decode = between(1, 4), chunk = between(1, prompt + 2);
  const PhaseShape decode_shape = shape(), prefill_shape = shape();
  MeshCase c = make_case(m, numerics, prefill_shape, decode_shape, chunk, prompt, decode);
  const auto plain = [&] { return std::vector{TensorType::f32, TensorType::f16, TensorType::bf16}[static_cast<size_t>(between(0, 2))]; };
  const auto any = [&] { return quantised && between(0, 3) > 0 ? (between(0, 1) == 1 ? TensorType::q8_0 : TensorType::q4_0) : plain(); };
  const auto types = [&]() -> WeightTypes {
    return {.q = any(),
            .k = any(),
            .v = any(),
            .o = q_width(m) % 32 == 0 ? any() : plain(),
            .gate = any(),
            .up = any(),
            .down = any(),
            .embedding = any(),
            .output = any()};
  };
  c.types = types();
  if (m.tied_embedding) c.types.output = c.types.embedding;
  c.odd_types = between(0, 1) == 1 ? c.types : types();
  c.plan.keep_scores = between(0, 1) == 1;
  c.plan.tree_levels = static_cast<int>(between(1, 3));
  c.plan.host_choice = between(0, 3) == 0;
  c.plan.regions_in_turn = between(0, 1) == 1;
  c.seed = seed;
  return c;
}

BuiltCase build(const MeshCase& c) {
  const auto width = [](const PhasePlan& p) { return p.regions.back().rect.x + p.regions.back().rect.w; };
  const mesh::Extent device{std::max(width(c.plan.prefill), width(c.plan.decode)),
                            std::max(c.plan.prefill.regions[0].rect.h, c.plan.decode.regions[0].rect.h)};
  Model model = random_model(c.model, c.types, c.odd_types, c.seed);
  Lowered lowered = lower(model.config, types_of(model), c.plan, device);
  for (const mesh::Diagnostic& d : mesh::check_locality(lowered.program()))
    ADD_FAILURE() << mesh::name(d.rule) << ": " << d.where << ": " << d.text << " (" << describe(c) << ")";
  BuiltCase out{.what = c, .model = std::move(model), .lowered = std::move(lowered), .tokens = {}};
  Rng rng(c.seed + 5);
  for (int64_t i = 0; i < c.prompt + c.decode; i++)
    out.tokens.push_back(static_cast<int32_t>(next_below(rng, static_cast<uint64_t>(c.model.vocab))));
  return out;
}

std::span<const int32_t> tokens_of(const BuiltCase& b, const mesh::Params& params) {
  return std::span(b.tokens).subspan(static_cast<size_t>(params.cached), static_cast<size_t>(params.rows));
}

std::vector<mesh::Params> prefill_chunks(const MeshCase& c) {
  std::vector<mesh::Params> out;
  for (int64_t begin = 0; begin < c.prompt; begin += c.plan.chunk)
    out.push_back({.cached = begin, .rows = std::min(c.plan.chunk, c.prompt - begin), .row = 0, .chunk = c.plan.chunk});
  return out;
}

mesh::Params transition_params(const MeshCase& c) { return {.cached = c.prompt, .rows = 0, .row = 0, .chunk = c.plan.chunk}; }
mesh::Params decode_params(const MeshCase& c, int64_t position) { return {.cached = position, .rows = 1, .row = 0, .chunk = c.plan.chunk}; }

}  // namespace wafer
