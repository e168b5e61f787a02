#include "support/random_model.h"

#include <stdlib.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "base/half.h"
#include "base/rng.h"
#include "support/gguf_writer.h"

namespace wafer {
namespace {

float uniform(Rng& rng, float amplitude) { return static_cast<float>(2 * next_double(rng) - 1) * amplitude; }

template <class T>
void append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

uint16_t bf16(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

// `elements` random values of up to `amplitude`; blocks of the quantised types have scales of both signs.
std::string random_data(Rng& rng, TensorType type, int64_t elements, float amplitude) {
  std::string out;
  switch (type) {
    case TensorType::f32:
      for (int64_t i = 0; i < elements; i++) append(out, uniform(rng, amplitude));
      break;
    case TensorType::f16:
      for (int64_t i = 0; i < elements; i++) append(out, f32_to_f16(uniform(rng, amplitude)));
      break;
    case TensorType::bf16:
      for (int64_t i = 0; i < elements; i++) append(out, bf16(uniform(rng, amplitude)));
      break;
    case TensorType::q8_0:
    case TensorType::q4_0: {
      const bool wide = type == TensorType::q8_0;
      for (int64_t block = 0; block < elements / 32; block++) {
        const float scale = uniform(rng, 1) < 0 ? -amplitude : amplitude;
        append(out, f32_to_f16(scale * (0.5f + static_cast<float>(next_double(rng))) / (wide ? 128 : 8)));
        for (int i = 0; i < (wide ? 32 : 16); i++) append(out, static_cast<uint8_t>(next_below(rng, 256)));
      }
      break;
    }
  }
  return out;
}

// The type of the matrix of that name; none for others.
std::optional<TensorType> type_of(const WeightTypes& t, const std::string& name) {
  const std::pair<const char*, TensorType> matrices[] = {
      {"attn_q", t.q},      {"attn_k", t.k},  {"attn_v", t.v},      {"attn_output", t.o},
      {"ffn_gate", t.gate}, {"ffn_up", t.up}, {"ffn_down", t.down}, {"token_embd", t.embedding},
      {"output", t.output}};
  for (const auto& [matrix, type] : matrices)
    if (name == matrix) return type;
  return {};
}

// Loads the bytes through a file, whose name is gone when the model has mapped it.
Model from_file(const std::string& bytes) {
  std::string path = std::filesystem::temp_directory_path() / "random-XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0 || ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    throw std::runtime_error("cannot write " + path);
  close(fd);
  Model model = load_model(path);
  std::filesystem::remove(path);
  return model;
}

}  // namespace

Model random_model(const ModelConfig& config, const WeightTypes& types, const WeightTypes& odd_types, uint64_t seed) {
  GgufWriter w = zero_llama(config);
  add_int(w, "llama.attention.key_length", static_cast<uint32_t>(config.head_dim));
  add_int(w, "llama.attention.value_length", static_cast<uint32_t>(config.head_dim));
  Rng rng(seed);
  for (GgufWriter::Tensor& t : w.tensors) {
    const std::string stem = t.name.substr(0, t.name.rfind('.'));
    const std::string name = stem.substr(stem.rfind('.') + 1);
    int64_t elements = 1;
    for (int64_t n : t.shape) elements *= n;
    const bool odd_layer = t.name.starts_with("blk.") && std::stoi(t.name.substr(4)) % 2 == 1;
    const std::optional<TensorType> type = type_of(odd_layer ? odd_types : types, name);
    if (!type) {  // a norm
      for (size_t i = 0; i < t.data.size(); i += sizeof(float)) {
        const float gain = 1 + uniform(rng, 0.3f);
        std::memcpy(t.data.data() + i, &gain, sizeof gain);
      }
      continue;
    }
    t.type = *type;
    const float amplitude = name == "token_embd" ? 1.0f : std::sqrt(3.0f / static_cast<float>(t.shape[0]));
    t.data = random_data(rng, t.type, elements, amplitude);
  }
  return from_file(write(w));
}

}  // namespace wafer
