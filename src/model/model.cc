#include "model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "base/half.h"
#include "base/printable.h"

namespace wafer {
namespace {

// Metadata that changes what a model computes and that this system does not compute. Where such a key holds another value
// than the harmless one, loading fails; a model that is nearly right would be worse than none.
struct Unsupported {
  const char* key;
  double harmless;
};
constexpr Unsupported kUnsupported[] = {
    {"expert_count", 0},       {"attention.clamp_kqv", 0},    {"attention.max_alibi_bias", 0}, {"attention.scale", 0},
    {"logit_scale", 0},        {"residual_scale", 0},         {"embedding_scale", 0},          {"rope.scaling.attn_factor", 1},
    {"rope.scaling.alpha", 0}, {"attn_logit_softcapping", 0}, {"final_logit_softcapping", 0},  {"interleave_moe_layer_step", 0},
};

[[noreturn]] void unsupported(const Gguf& g, std::string where, std::string found, std::string expected) {
  throw Error{{.where = fmt::format("{}, {}", g.path, where),
               .found = std::move(found),
               .expected = std::move(expected),
               .fix = "this kind of model is not supported yet"}};
}

[[noreturn]] void missing_tensor(const Gguf& g, const std::string& name, const std::string& shape) {
  throw Error{{.where = g.path,
               .found = fmt::format("no tensor {}", name),
               .expected = shape,
               .fix = "use a complete checkpoint (one file, with its weights)"}};
}

// A number that some architectures give once for each layer; here all layers are equal.
int64_t need_scalar(const Gguf& g, const std::string& key) {
  const GgufValue* v = find_value(g, key);
  if (v && v->type == GgufType::array) unsupported(g, key, to_text(*v), "one number for all layers");
  return need_int(g, key);
}

void refuse_what_is_not_computed(const Gguf& g, const std::string& arch, int64_t context) {
  for (const Unsupported& u : kUnsupported) {
    const std::string key = arch + u.key;
    const GgufValue* v = find_value(g, key);
    if (!v) continue;
    const double x = v->type == GgufType::array ? NAN : get_float(g, key).value_or(0);
    if (x != u.harmless) unsupported(g, key, to_text(*v), fmt::format("{}", u.harmless));
  }
  if (!get_bool(g, arch + "attention.causal").value_or(true)) unsupported(g, arch + "attention.causal", "false", "true");
  if (get_bool(g, arch + "use_parallel_residual").value_or(false)) unsupported(g, arch + "use_parallel_residual", "true", "false");
  const std::string window = arch + "attention.sliding_window";
  if (const GgufValue* v = find_value(g, window)) {
    const int64_t width = v->type == GgufType::array ? 1 : get_int(g, window).value_or(0);
    if (width > 0 && width < context) unsupported(g, window, to_text(*v), fmt::format("none, or at least the context of {}", context));
  }
}

// The frequencies' divisors: one factor for all (linear scaling) times one for each pair (Llama 3.1 files have them in a tensor).
std::vector<float> rope_factors(const Gguf& g, const std::string& arch, int64_t head_dim) {
  const std::string type_key = arch + "rope.scaling.type";
  const std::string_view type = get_string(g, type_key).value_or("linear");
  if (type != "linear" && type != "none") unsupported(g, type_key, quoted(type), "linear or none");
  double factor = 1;
  if (type == "linear") {
    factor = get_float(g, arch + "rope.scaling.factor").value_or(get_float(g, arch + "rope.scale_linear").value_or(0));
    if (factor == 0) factor = 1;  // written by converters for "none"
  }
  const size_t pairs = static_cast<size_t>(head_dim / 2);
  std::vector<float> factors;
  if (factor != 1) factors.assign(pairs, static_cast<float>(factor));
  if (const GgufTensor* t = find_tensor(g, "rope_freqs.weight")) {
    if (t->type != TensorType::f32 || t->dimensions != 1 || t->shape[0] != head_dim / 2)
      throw Error{{.where = fmt::format("{}, tensor rope_freqs.weight", g.path),
                   .found = fmt::format("{} of {}", t->shape[0], name_of(t->type)),
                   .expected = fmt::format("head_dim / 2 = {} of f32", pairs),
                   .fix = "convert the model again"}};
    factors.resize(pairs);
    std::memcpy(factors.data(), t->bytes.data(), pairs * sizeof(float));
    if (factor != 1)
      for (float& f : factors) f *= static_cast<float>(factor);
  }
  return factors;
}

ModelConfig read_config(const Gguf& g) {
  const std::string_view architecture = need_string(g, "general.architecture");
  if (architecture != "llama") unsupported(g, "general.architecture", quoted(architecture), "\"llama\"");
  const std::string arch = "llama.";
  ModelConfig c;
  c.name = get_string(g, "general.name").value_or("");
  c.architecture = architecture;
  c.layers = need_scalar(g, arch + "block_count");
  c.dim = need_scalar(g, arch + "embedding_length");
  c.heads = need_scalar(g, arch + "attention.head_count");
  c.kv_heads = find_value(g, arch + "attention.head_count_kv") ? need_scalar(g, arch + "attention.head_count_kv") : c.heads;
  c.ffn = need_scalar(g, arch + "feed_forward_length");
  c.context = need_scalar(g, arch + "context_length");
  c.norm_epsilon = static_cast<float>(need_float(g, arch + "attention.layer_norm_rms_epsilon"));
  c.rope_base = get_float(g, arch + "rope.freq_base").value_or(10000);  // the format's default
  if (c.heads < 1) validate(c, g.path);

  const auto key_length = get_int(g, arch + "attention.key_length"), value_length = get_int(g, arch + "attention.value_length");
  if (!key_length && c.dim % c.heads != 0)
    throw Error{{.where = g.path,
                 .found = fmt::format("embedding_length {} and head_count {}", c.dim, c.heads),
                 .expected = "a multiple, or attention.key_length",
                 .fix = "convert the model again"}};
  c.head_dim = key_length.value_or(c.dim / c.heads);
  const int64_t value_dim = value_length.value_or(c.dim / c.heads);
  if (value_dim != c.head_dim)
    unsupported(g, arch + "attention.value_length", fmt::format("{}", value_dim), fmt::format("the key length, {}", c.head_dim));
  const int64_t rotated = get_int(g, arch + "rope.dimension_count").value_or(c.head_dim);
  if (rotated != c.head_dim)
    unsupported(g, arch + "rope.dimension_count", fmt::format("{}", rotated), fmt::format("the head's width, {}", c.head_dim));

  const GgufTensor* embedding = find_tensor(g, "token_embd.weight");
  const GgufValue* tokens = find_value(g, "tokenizer.ggml.tokens");
  c.vocab = embedding ? embedding->shape[1] : tokens ? static_cast<int64_t>(tokens->count) : get_int(g, arch + "vocab_size").value_or(0);
  if (c.vocab == 0) missing_tensor(g, "token_embd.weight", "[vocab x dim]");
  if (tokens && static_cast<int64_t>(tokens->count) != c.vocab)
    throw Error{{.where = fmt::format("{}, tensor token_embd.weight", g.path),
                 .found = fmt::format("{} rows", c.vocab),
                 .expected = fmt::format("one for each of the {} tokens", tokens->count),
                 .fix = "convert the model again"}};
  c.tied_embedding = !find_tensor(g, "output.weight");
  refuse_what_is_not_computed(g, arch, c.context);
  if (c.head_dim > 0 && c.head_dim % 2 == 0) c.rope_factors = rope_factors(g, arch, c.head_dim);
  validate(c, g.path);
  return c;
}

// Takes tensors by name, checks their shapes, and remembers which were taken.
struct Taker {
  const Gguf& gguf;
  std::set<std::string_view> taken = {};
};

TensorView take(Taker& taker, const std::string& name, int64_t rows, int64_t cols) {
  const Gguf& g = taker.gguf;
  const GgufTensor* t = find_tensor(g, name);
  const std::string expected = rows == 1 ? fmt::format("[{}]", cols) : fmt::format("[{} x {}]", rows, cols);
  if (!t) missing_tensor(g, name, expected);
  if (t->shape[0] != cols || t->shape[1] != rows || t->shape[2] != 1 || t->shape[3] != 1)
    throw Error{{.where = fmt::format("{}, tensor {}", g.path, name),
                 .found = fmt::format("[{}]", fmt::join(t->shape.rend() - t->dimensions, t->shape.rend(), " x ")),
                 .expected = expected,
                 .fix = "convert the model again"}};
  taker.taken.insert(t->name);
  return {.name = name, .type = t->type, .rows = rows, .cols = cols, .bytes = t->bytes};
}

TensorView take_norm(Taker& taker, const std::string& name, int64_t width) {
  TensorView t = take(taker, name, 1, width);
  if (t.type != TensorType::f32 && t.type != TensorType::f16)
    throw Error{{.where = fmt::format("{}, tensor {}", taker.gguf.path, name),
                 .found = std::string(name_of(t.type)),
                 .expected = "f32 or f16 for the weights of a norm",
                 .fix = "convert the model again"}};
  return t;
}

void refuse_other_tensors(const Taker& taker) {
  for (const GgufTensor& t : taker.gguf.tensors)
    if (t.name != "rope_freqs.weight" && !taker.taken.contains(t.name))
      unsupported(taker.gguf, fmt::format("tensor {}", quoted(t.name)),
                  "a tensor that the architecture llama without biases and experts has not", "none");
}

// The type that holds most bytes of the layers' matrices.
TensorType main_type(const std::vector<LayerTensors>& layers) {
  std::map<TensorType, size_t> bytes;
  for (const LayerTensors& l : layers)
    for (const TensorView* t : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) bytes[t->type] += t->bytes.size();
  return std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
}

float half_at(const std::byte* p) {
  uint16_t h;
  std::memcpy(&h, p, sizeof h);
  return f16_to_f32(h);
}

}  // namespace

std::span<const std::byte> row_bytes(const TensorView& t, int64_t row) {
  CHECK(row >= 0 && row < t.rows, "row {} of {} [{} x {}]", row, t.name, t.rows, t.cols);
  const size_t stride = static_cast<size_t>(bytes_of(t.type, t.cols));
  return t.bytes.subspan(static_cast<size_t>(row) * stride, stride);
}

void row_to_f32(const TensorView& t, int64_t row, float* out) {
  const std::byte* p = row_bytes(t, row).data();
  switch (t.type) {
    case TensorType::f32: std::memcpy(out, p, static_cast<size_t>(t.cols) * sizeof(float)); break;
    case TensorType::f16:
      for (int64_t i = 0; i < t.cols; i++) out[i] = half_at(p + 2 * i);
      break;
    case TensorType::bf16:
      for (int64_t i = 0; i < t.cols; i++) {
        uint16_t b;
        std::memcpy(&b, p + 2 * i, sizeof b);
        out[i] = bf16_to_f32(b);
      }
      break;
    case TensorType::q8_0:
      for (int64_t block = 0; block < t.cols / 32; block++, p += 34)
        for (int i = 0; i < 32; i++) out[block * 32 + i] = half_at(p) * static_cast<float>(static_cast<int8_t>(p[2 + i]));
      break;
    case TensorType::q4_0:
      // Byte i of a block holds element i in its low half and element i + 16 in its high half, both offset by 8.
      for (int64_t block = 0; block < t.cols / 32; block++, p += 18)
        for (int i = 0; i < 16; i++) {
          const int byte = static_cast<int>(p[2 + i]);
          out[block * 32 + i] = half_at(p) * static_cast<float>((byte & 15) - 8);
          out[block * 32 + i + 16] = half_at(p) * static_cast<float>((byte >> 4) - 8);
        }
      break;
  }
}

Model load_model(const Gguf& g) {
  refuse_part_of_split(g);
  Model m;
  m.config = read_config(g);
  m.file = g.file;
  const ModelConfig& c = m.config;
  if (static_cast<size_t>(c.layers) > g.tensors.size())
    throw Error{{.where = g.path,
                 .found = fmt::format("{} tensors for {} layers", g.tensors.size(), c.layers),
                 .expected = "nine for each layer",
                 .fix = "use a complete checkpoint (one file, with its weights)"}};
  Taker taker{.gguf = g};
  m.embedding = take(taker, "token_embd.weight", c.vocab, c.dim);
  m.output_norm = take_norm(taker, "output_norm.weight", c.dim);
  m.output = c.tied_embedding ? m.embedding : take(taker, "output.weight", c.vocab, c.dim);
  for (int64_t i = 0; i < c.layers; i++) {
    const std::string block = fmt::format("blk.{}.", i);
    m.layers.push_back({.attn_norm = take_norm(taker, block + "attn_norm.weight", c.dim),
                        .q = take(taker, block + "attn_q.weight", q_width(c), c.dim),
                        .k = take(taker, block + "attn_k.weight", kv_width(c), c.dim),
                        .v = take(taker, block + "attn_v.weight", kv_width(c), c.dim),
                        .o = take(taker, block + "attn_output.weight", c.dim, q_width(c)),
                        .ffn_norm = take_norm(taker, block + "ffn_norm.weight", c.dim),
                        .gate = take(taker, block + "ffn_gate.weight", c.ffn, c.dim),
                        .up = take(taker, block + "ffn_up.weight", c.ffn, c.dim),
                        .down = take(taker, block + "ffn_down.weight", c.dim, c.ffn)});
  }
  refuse_other_tensors(taker);
  m.config.weights = main_type(m.layers);
  return m;
}

Model load_model(const std::string& path) {
  if (kind_of(path) == ModelKind::shape)
    throw Error{{.where = path,
                 .found = "a shape file (.toml), which has no weights",
                 .expected = "a GGUF checkpoint",
                 .fix = "name a .gguf file, or use plan or bench, which need no weights"}};
  return load_model(load_gguf(path));
}

ModelKind kind_of(const std::string& path) {
  const MappedFile file(path);
  const std::string_view head(reinterpret_cast<const char*>(file.bytes().data()), std::min<size_t>(file.bytes().size(), 64));
  if (head.starts_with("GGUF")) return ModelKind::checkpoint;
  if (path.ends_with(".toml")) return ModelKind::shape;
  const char* like = head.starts_with("PK")                        ? " (a zip archive, perhaps a PyTorch checkpoint)"
                     : head.starts_with("\x1f\x8b")                ? " (gzip: unpack it first)"
                     : head.starts_with("version https://git-lfs") ? " (a pointer of Git LFS, not the file itself)"
                     : head.size() > 9 && head[8] == '{'           ? " (perhaps safetensors, which is not supported yet)"
                                                                   : "";
  throw Error{{.where = path,
               .found = quoted(head.substr(0, 8)) + like,
               .expected = "a GGUF checkpoint (\"GGUF\") or a shape file (NAME.toml)",
               .fix = "convert the model to GGUF"}};
}

ModelConfig load_config(const std::string& path) { return kind_of(path) == ModelKind::shape ? load_shape(path) : load_model(path).config; }

}  // namespace wafer
