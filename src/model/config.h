// What is known of a model without its weights: the numbers that shape every tensor and every cycle count.
// Read from a checkpoint (model.h) or from a shape file, TOML, for models of which nobody has the weights at hand.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wafer {

// How the numbers of a tensor are stored. The block formats are ggml's: docs/formats.md.
enum class TensorType { f32, f16, bf16, q8_0, q4_0 };

std::string_view name_of(TensorType type);            // "f16"
TensorType tensor_type_of(std::string_view name);     // "f16" or "F16"; throws Error naming those there are
int64_t block_elements(TensorType type);              // numbers in a block: 1, or 32 for q8_0 and q4_0
int64_t block_bytes(TensorType type);                 // bytes of a block
int64_t bytes_of(TensorType type, int64_t elements);  // Requires: a multiple of block_elements, below 2^56

struct ModelConfig {
  std::string name;                      // as the file calls itself, for reports
  std::string architecture;              // "llama": RMSNorm, RoPE on adjacent pairs, GQA, SwiGLU, no biases; others: left_out()
  int64_t layers = 0;                    // transformer blocks
  int64_t dim = 0;                       // width of the residual stream
  int64_t heads = 0;                     // query heads
  int64_t kv_heads = 0;                  // key and value heads; divides heads
  int64_t head_dim = 0;                  // width of one head, even; heads * head_dim may differ from dim
  int64_t ffn = 0;                       // width inside the feed-forward network; with experts: of each
  int64_t experts = 1;                   // feed-forward networks of a layer, between which a router [dim, experts] chooses; 1: no router
  int64_t experts_used = 1;              // of them for each token
  int64_t vocab = 0;                     // tokens, and rows of the embedding
  int64_t context = 0;                   // longest sequence the model was trained for, in tokens
  float norm_epsilon = 0;                // added to the mean square in RMSNorm
  double rope_base = 0;                  // pair i of a head turns by position * rope_base^(-2i/head_dim) / rope_factors[i] radians
  std::vector<float> rope_factors;       // [head_dim/2] divisors of the frequencies; empty: none
  bool tied_embedding = false;           // the LM head is the embedding
  TensorType weights = TensorType::f16;  // of the matrices; a checkpoint: the type that holds most of their bytes
};

// Throws Error for numbers that no model has: zeros, heads not divisible, sizes past the bounds in config.cc.
// After it every product of two fields fits an int64_t. `where` is the file, for the message.
void validate(const ModelConfig& config, const std::string& where);

// What a model of this architecture has beyond a llama of the same numbers, and what is therefore missing from all bytes and cycles counted
// for it: "the biases of Q, K and V (10,240 numbers a layer)". Empty for a llama. Every report of such a model says it.
std::string left_out(const ModelConfig& c);
std::string taken_as(const ModelConfig& c);  // "taken as a llama: leaves out the biases ..."; empty for a llama

// A mixture of experts can be placed, so its bytes are known; nothing else is modelled yet. What does more than that begins with
// refuse_experts(), which throws Error for one.
bool has_experts(const ModelConfig& c);
void refuse_experts(const ModelConfig& c);

int64_t q_width(const ModelConfig& c);   // heads * head_dim
int64_t kv_width(const ModelConfig& c);  // kv_heads * head_dim
// Angular frequency of pair i, radians per position: rope_base^(-2i/head_dim) / rope_factors[i].
double rope_frequency(const ModelConfig& c, int64_t pair);

// Reads a shape file: TOML with the fields of ModelConfig as keys. Optional: name (default: the file's), architecture
// ("llama"; those of which parts are left out: qwen2, qwen3), experts and experts_used (1), tied_embedding (false), rope_factors (none),
// weights ("f16"). Any other key is an Error.
ModelConfig load_shape(const std::string& path);

// The file of a shape that comes with the program: models/NAME.toml in one of data_folders(). WAFERLLM_MODELS replaces them. Throws Error.
std::string shape_path(const std::string& name);

}  // namespace wafer
