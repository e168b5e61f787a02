#include "model/reference.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace wafer {
namespace {

using Vector = std::vector<double>;

// One row of a tensor: a norm's weights, or a token's embedding.
Vector row(const TensorView& w, int64_t r) {
  std::vector<float> f(static_cast<size_t>(w.cols));
  row_to_f32(w, r, f.data());
  return Vector(f.begin(), f.end());
}

// y = W x
Vector multiply(const TensorView& w, const Vector& x) {
  CHECK(static_cast<int64_t>(x.size()) == w.cols, "{} x {}", w.name, x.size());
  Vector y(static_cast<size_t>(w.rows));
  std::vector<float> f(x.size());
  for (size_t r = 0; r < y.size(); r++) {
    row_to_f32(w, static_cast<int64_t>(r), f.data());
    double sum = 0;
    for (size_t i = 0; i < x.size(); i++) sum += static_cast<double>(f[i]) * x[i];
    y[r] = sum;
  }
  return y;
}

void add_to(Vector& x, const Vector& y) {
  for (size_t i = 0; i < x.size(); i++) x[i] += y[i];
}

// x / sqrt(mean(x^2) + epsilon) * weight
Vector rms_norm(const Vector& x, const TensorView& weight, double epsilon) {
  double squares = 0;
  for (double v : x) squares += v * v;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
  Vector y = row(weight, 0);
  for (size_t i = 0; i < x.size(); i++) y[i] *= x[i] * scale;
  return y;
}

// Turns the pair (2i, 2i+1) of every head by position * frequency i.
void rope(Vector& heads, int64_t position, const ModelConfig& c) {
  for (size_t i = 0; i < heads.size(); i += 2) {
    const int64_t pair = static_cast<int64_t>(i) % c.head_dim / 2;
    const double angle = static_cast<double>(position) * rope_frequency(c, pair);
    const double cos = std::cos(angle), sin = std::sin(angle), a = heads[i], b = heads[i + 1];
    heads[i] = a * cos - b * sin;
    heads[i + 1] = a * sin + b * cos;
  }
}

void softmax(Vector& x) {
  const double max = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& v : x) sum += v = std::exp(v - max);
  for (double& v : x) v /= sum;
}

double silu(double x) { return x / (1 + std::exp(-x)); }

// Every query head against all keys so far, its own included; heads / kv_heads query heads share a key and value head.
Vector attention(const Vector& q, const Vector& keys, const Vector& values, const ModelConfig& c) {
  const size_t width = static_cast<size_t>(kv_width(c)), head_dim = static_cast<size_t>(c.head_dim);
  const size_t positions = keys.size() / width;
  Vector out(q.size(), 0.0);
  for (size_t h = 0; h < static_cast<size_t>(c.heads); h++) {
    const size_t kv = h / static_cast<size_t>(c.heads / c.kv_heads) * head_dim;  // where its head lies in a row of keys
    Vector p(positions, 0.0);
    for (size_t t = 0; t < positions; t++) {
      for (size_t i = 0; i < head_dim; i++) p[t] += q[h * head_dim + i] * keys[t * width + kv + i];
      p[t] /= std::sqrt(static_cast<double>(head_dim));
    }
    softmax(p);
    for (size_t t = 0; t < positions; t++)
      for (size_t i = 0; i < head_dim; i++) out[h * head_dim + i] += p[t] * values[t * width + kv + i];
  }
  return out;
}

}  // namespace

std::vector<float> step(Reference& r, int32_t token) {
  const Model& m = r.model;
  const ModelConfig& c = m.config;
  CHECK(token >= 0 && token < c.vocab, "token {} of {}", token, c.vocab);
  r.keys.resize(m.layers.size());
  r.values.resize(m.layers.size());

  Vector x = row(m.embedding, token);
  for (size_t l = 0; l < m.layers.size(); l++) {
    const LayerTensors& w = m.layers[l];

    Vector h = rms_norm(x, w.attn_norm, c.norm_epsilon);
    Vector q = multiply(w.q, h), k = multiply(w.k, h), v = multiply(w.v, h);
    rope(q, r.position, c);
    rope(k, r.position, c);
    r.keys[l].insert(r.keys[l].end(), k.begin(), k.end());
    r.values[l].insert(r.values[l].end(), v.begin(), v.end());
    add_to(x, multiply(w.o, attention(q, r.keys[l], r.values[l], c)));

    h = rms_norm(x, w.ffn_norm, c.norm_epsilon);
    Vector gate = multiply(w.gate, h), up = multiply(w.up, h);
    for (size_t i = 0; i < gate.size(); i++) gate[i] = silu(gate[i]) * up[i];
    add_to(x, multiply(w.down, gate));
  }
  r.position++;
  const Vector logits = multiply(m.output, rms_norm(x, m.output_norm, c.norm_epsilon));
  return std::vector<float>(logits.begin(), logits.end());
}

}  // namespace wafer
