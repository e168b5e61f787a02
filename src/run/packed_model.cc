#include "run/packed_model.h"

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/error.h"
#include "base/half.h"
#include "base/parallel.h"

namespace wafer::run {
namespace {

SourceType source_of(TensorType t) {
  switch (t) {
    case TensorType::f32: return SourceType::f32;
    case TensorType::f16: return SourceType::f16;
    case TensorType::bf16: return SourceType::bf16;
    case TensorType::q8_0: return SourceType::q8_0;
    case TensorType::q4_0: return SourceType::q4_0;
  }
  return SourceType::f32;
}

constexpr float kRoundsToInfinity = 65520;  // half way from the largest fp16, 65504, to what would be the next

[[noreturn]] void overflow(const TensorView& t, int64_t count) {
  throw Error({.where = "tensor " + t.name,
               .found = fmt::format("{} value{} above the largest fp16", count, count == 1 ? "" : "s"),
               .expected = "weights that fp16 can hold",
               .fix = "use --numerics fp32"});
}

PanelMatrix pack(const TensorView& t, Numerics numerics) {
  const SourceType source = source_of(t.type);
  PanelMatrix m = make_panels(panel_type(source, numerics), t.cols, t.rows);
  const int64_t overflows = pack_rows(m, 0, t.bytes.data(), source, t.rows, static_cast<int64_t>(row_bytes(t, 0).size()), numerics);
  if (overflows > 0) overflow(t, overflows);
  return m;
}

bool embedding_is_rounded(const TensorView& t, Numerics numerics) {
  const bool stored_as_f16 = t.type == TensorType::f32 || t.type == TensorType::bf16;
  return numerics == Numerics::fp16 || (numerics == Numerics::mixed && stored_as_f16);
}

// The embedding stays as the file has it and a row is rounded when it is fetched: every value is looked at before.
void check_embedding(const TensorView& t, Numerics numerics) {
  if (!embedding_is_rounded(t, numerics) || t.type == TensorType::f16) return;
  std::atomic<int64_t> overflows = 0;
  parallel_for(0, t.rows, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(t.cols));
    int64_t here = 0;
    for (int64_t i = begin; i < end; i++) {
      row_to_f32(t, i, row.data());
      for (const float v : row) here += std::fabs(v) >= kRoundsToInfinity && !std::isinf(v);
    }
    overflows += here;
  });
  if (overflows > 0) overflow(t, overflows);
}

std::vector<float> norm_gain(const TensorView& t, Numerics numerics) {
  std::vector<float> gain(static_cast<size_t>(t.cols));
  row_to_f32(t, 0, gain.data());
  if (numerics != Numerics::fp16) return gain;
  int64_t overflows = 0;
  for (float& g : gain) {
    const float rounded = round_f16(g);
    overflows += std::isinf(rounded) && !std::isinf(g);
    g = rounded;
  }
  if (overflows > 0) overflow(t, overflows);
  return gain;
}

}  // namespace

std::shared_ptr<const PackedModel> pack_model(const Model& model, Numerics numerics, const std::function<void(double)>& progress) {
  auto packed = std::make_shared<PackedModel>();
  packed->model = model;
  packed->numerics = numerics;
  const ModelConfig& c = model.config;
  double total = static_cast<double>(model.output.bytes.size()), done = 0;
  for (const LayerTensors& l : model.layers)
    for (const TensorView* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) total += static_cast<double>(t->bytes.size());
  auto add = [&](const char* name, const TensorView& t) {
    packed->matrices[name].push_back(pack(t, numerics));
    if (model.file) model.file->drop(t.bytes);  // the panels replace it: the file's pages need not stay in memory
    done += static_cast<double>(t.bytes.size());
    if (progress) progress(done / total);
  };
  for (const LayerTensors& l : model.layers) {
    packed->norms["attn_norm"].push_back(norm_gain(l.attn_norm, numerics));
    packed->norms["ffn_norm"].push_back(norm_gain(l.ffn_norm, numerics));
    add("wq", l.q);
    add("wk", l.k);
    add("wv", l.v);
    add("wo", l.o);
    add("wgate", l.gate);
    add("wup", l.up);
    add("wdown", l.down);
  }
  add(c.tied_embedding ? "embedding" : "output", model.output);
  if (!c.tied_embedding) {
    check_embedding(model.embedding, numerics);
    if (model.file) model.file->drop(model.embedding.bytes);
  }
  packed->norms["output_norm"].push_back(norm_gain(model.output_norm, numerics));
  for (int64_t i = 0; i < c.head_dim / 2; i++) {
    const double turns = rope_frequency(c, i) / (2 * std::numbers::pi);
    const float hi = static_cast<float>(turns);
    packed->turns.push_back(hi);
    packed->turns.push_back(static_cast<float>(turns - hi));
  }
  return packed;
}

void embedding_row(const PackedModel& packed, int32_t token, float* out) {
  const TensorView& t = packed.model.embedding;
  row_to_f32(t, token, out);
  if (embedding_is_rounded(t, packed.numerics))
    for (int64_t i = 0; i < t.cols; i++) out[i] = round_f16(out[i]);
}

}  // namespace wafer::run
