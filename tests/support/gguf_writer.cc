#include "support/gguf_writer.h"

#include <cstring>
#include <stdexcept>

namespace wafer {
namespace {

template <class T>
std::string raw(T value) {
  std::string s(sizeof value, '\0');
  std::memcpy(s.data(), &value, sizeof value);
  return s;
}

template <class T>
std::string array(uint32_t element, const std::vector<T>& values) {
  std::string s = le32(element) + le64(values.size());
  for (const T& v : values) s += raw(v);
  return s;
}

uint32_t ggml_type(TensorType type) {
  switch (type) {
    case TensorType::f32: return 0;
    case TensorType::f16: return 1;
    case TensorType::bf16: return 30;
    case TensorType::q8_0: return 8;
    case TensorType::q4_0: return 2;
  }
  throw std::logic_error("tensor type");
}

std::string padded(std::string s) {
  s.resize((s.size() + 31) / 32 * 32);
  return s;
}

}  // namespace

std::string le32(uint32_t value) { return raw(value); }
std::string le64(uint64_t value) { return raw(value); }
std::string counted(const std::string& text) { return le64(text.size()) + text; }

void add_raw(GgufWriter& w, const std::string& key, uint32_t type, const std::string& value) {
  w.metadata += counted(key) + le32(type) + value;
  w.pairs++;
}
void add_string(GgufWriter& w, const std::string& key, const std::string& value) { add_raw(w, key, 8, counted(value)); }
void add_int(GgufWriter& w, const std::string& key, uint32_t value) { add_raw(w, key, 4, le32(value)); }
void add_float(GgufWriter& w, const std::string& key, float value) { add_raw(w, key, 6, raw(value)); }
void add_floats(GgufWriter& w, const std::string& key, const std::vector<float>& values) { add_raw(w, key, 9, array(6, values)); }
void add_ints(GgufWriter& w, const std::string& key, const std::vector<int32_t>& values) { add_raw(w, key, 9, array(5, values)); }

void add_strings(GgufWriter& w, const std::string& key, const std::vector<std::string>& values) {
  std::string s = le32(8) + le64(values.size());
  for (const std::string& v : values) s += counted(v);
  add_raw(w, key, 9, s);
}

void add_tensor(GgufWriter& w, const std::string& name, TensorType type, const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t extent : shape) elements *= extent;
  w.tensors.push_back({name, type, shape, std::string(static_cast<size_t>(bytes_of(type, elements)), '\0')});
}

ModelConfig small_config() {
  return {.name = "small",
          .architecture = "llama",
          .layers = 2,
          .dim = 64,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 16,
          .ffn = 96,
          .vocab = 40,
          .context = 128,
          .norm_epsilon = 1e-5f,
          .rope_base = 10000,
          .rope_factors = {},
          .tied_embedding = false,
          .weights = TensorType::f16};
}

GgufWriter zero_llama(const ModelConfig& c) {
  GgufWriter w;
  add_string(w, "general.architecture", c.architecture);
  add_string(w, "general.name", c.name);
  add_int(w, "llama.block_count", static_cast<uint32_t>(c.layers));
  add_int(w, "llama.embedding_length", static_cast<uint32_t>(c.dim));
  add_int(w, "llama.attention.head_count", static_cast<uint32_t>(c.heads));
  add_int(w, "llama.attention.head_count_kv", static_cast<uint32_t>(c.kv_heads));
  add_int(w, "llama.feed_forward_length", static_cast<uint32_t>(c.ffn));
  add_int(w, "llama.context_length", static_cast<uint32_t>(c.context));
  add_float(w, "llama.attention.layer_norm_rms_epsilon", c.norm_epsilon);
  add_float(w, "llama.rope.freq_base", static_cast<float>(c.rope_base));
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  add_tensor(w, "token_embd.weight", c.weights, {c.dim, c.vocab});
  add_tensor(w, "output_norm.weight", TensorType::f32, {c.dim});
  if (!c.tied_embedding) add_tensor(w, "output.weight", c.weights, {c.dim, c.vocab});
  for (int64_t i = 0; i < c.layers; i++) {
    const std::string b = "blk." + std::to_string(i) + ".";
    add_tensor(w, b + "attn_norm.weight", TensorType::f32, {c.dim});
    add_tensor(w, b + "attn_q.weight", c.weights, {c.dim, q});
    add_tensor(w, b + "attn_k.weight", c.weights, {c.dim, kv});
    add_tensor(w, b + "attn_v.weight", c.weights, {c.dim, kv});
    add_tensor(w, b + "attn_output.weight", c.weights, {q, c.dim});
    add_tensor(w, b + "ffn_norm.weight", TensorType::f32, {c.dim});
    add_tensor(w, b + "ffn_gate.weight", c.weights, {c.dim, c.ffn});
    add_tensor(w, b + "ffn_up.weight", c.weights, {c.dim, c.ffn});
    add_tensor(w, b + "ffn_down.weight", c.weights, {c.ffn, c.dim});
  }
  return w;
}

std::string write(const GgufWriter& w, uint32_t version) {
  std::string head = "GGUF" + le32(version) + le64(w.tensors.size()) + le64(w.pairs) + w.metadata;
  std::string data;
  for (const GgufWriter::Tensor& t : w.tensors) {
    head += counted(t.name) + le32(static_cast<uint32_t>(t.shape.size()));
    for (int64_t extent : t.shape) head += le64(static_cast<uint64_t>(extent));
    head += le32(ggml_type(t.type)) + le64(data.size());
    data += padded(t.data);
  }
  return w.tensors.empty() ? head : padded(head) + data;
}

}  // namespace wafer
