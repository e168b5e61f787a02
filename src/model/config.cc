#include "model/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>

#include "base/check.h"
#include "base/data_folder.h"
#include "base/error.h"
#include "base/mmap.h"

namespace wafer {
namespace {

struct TypeFacts {
  std::string_view name;
  int64_t elements;
  int64_t bytes;
};

// In the order of TensorType. q8_0: an fp16 scale and 32 int8; q4_0: an fp16 scale and 32 nibbles.
constexpr TypeFacts kTypes[] = {{"f32", 1, 4}, {"f16", 1, 2}, {"bf16", 1, 2}, {"q8_0", 32, 34}, {"q4_0", 32, 18}};

const TypeFacts& facts(TensorType type) {
  const size_t i = static_cast<size_t>(type);
  CHECK(i < std::size(kTypes), "tensor type {}", i);
  return kTypes[i];
}

// Architectures that a shape may name: what of them is more than a llama, and is left out.
struct Architecture {
  std::string_view name;
  std::string (*left_out)(const ModelConfig&);
};
constexpr Architecture kArchitectures[] = {
    {"llama", [](const ModelConfig&) { return std::string(); }},
    {"qwen2",
     [](const ModelConfig& c) { return fmt::format("the biases of Q, K and V ({} numbers a layer)", q_width(c) + 2 * kv_width(c)); }},
    {"qwen3",
     [](const ModelConfig& c) {
       return fmt::format("the RMSNorms of each head of Q and K ({} gains a layer, and in decode a sum within each head)", 2 * c.head_dim);
     }},
};

const Architecture* architecture_of(const ModelConfig& c) {
  const auto* found =
      std::find_if(std::begin(kArchitectures), std::end(kArchitectures), [&](const Architecture& a) { return a.name == c.architecture; });
  return found == std::end(kArchitectures) ? nullptr : found;
}

// Generous bounds (assumed: ten times past any published model), so that products of two fields, in bits, fit an int64_t.
struct Bound {
  const char* key;
  int64_t value;
  int64_t most;
};

}  // namespace

std::string_view name_of(TensorType type) { return facts(type).name; }
int64_t block_elements(TensorType type) { return facts(type).elements; }
int64_t block_bytes(TensorType type) { return facts(type).bytes; }

TensorType tensor_type_of(std::string_view name) {
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (size_t i = 0; i < std::size(kTypes); i++)
    if (lower == kTypes[i].name) return static_cast<TensorType>(i);
  throw Error{{.where = "tensor type", .found = fmt::format("\"{}\"", lower), .expected = "f32, f16, bf16, q8_0 or q4_0", .fix = ""}};
}

int64_t bytes_of(TensorType type, int64_t elements) {
  const TypeFacts& f = facts(type);
  CHECK(elements >= 0 && elements < (int64_t{1} << 56) && elements % f.elements == 0, "{} elements of {}", elements, f.name);
  return elements / f.elements * f.bytes;
}

void validate(const ModelConfig& c, const std::string& where) {
  const auto fail = [&](std::string found, std::string expected) {
    throw Error{{.where = where, .found = std::move(found), .expected = std::move(expected), .fix = "correct the model's file"}};
  };
  if (!architecture_of(c)) {
    std::string known;
    for (const Architecture& a : kArchitectures)
      known += fmt::format("{}\"{}\"", known.empty() ? "" : a.name == std::rbegin(kArchitectures)->name ? " or " : ", ", a.name);
    fail(fmt::format("architecture = \"{}\"", c.architecture), known);
  }
  for (const Bound& b : {Bound{"layers", c.layers, 10000}, Bound{"dim", c.dim, 1 << 20}, Bound{"heads", c.heads, 1 << 16},
                         Bound{"kv_heads", c.kv_heads, 1 << 16}, Bound{"head_dim", c.head_dim, 1 << 14}, Bound{"ffn", c.ffn, 1 << 22},
                         Bound{"vocab", c.vocab, 1 << 26}, Bound{"context", c.context, int64_t{1} << 31},
                         Bound{"experts", c.experts, 1 << 16}, Bound{"experts_used", c.experts_used, 1 << 16}})
    if (b.value < 1 || b.value > b.most) fail(fmt::format("{} = {}", b.key, b.value), fmt::format("1 to {}", b.most));
  if (c.heads % c.kv_heads != 0)
    fail(fmt::format("heads = {} and kv_heads = {}", c.heads, c.kv_heads), "heads to be a multiple of kv_heads");
  if (c.head_dim % 2 != 0) fail(fmt::format("head_dim = {}", c.head_dim), "an even number, as RoPE turns pairs");
  if (c.experts * c.ffn > (1 << 22)) fail(fmt::format("experts * ffn = {}", c.experts * c.ffn), "at most 4194304");
  if (c.experts_used > c.experts)
    fail(fmt::format("experts_used = {} and experts = {}", c.experts_used, c.experts), "no more experts used than there are");
  if (q_width(c) > (1 << 22)) fail(fmt::format("heads * head_dim = {}", q_width(c)), "at most 4194304");
  if (!(c.norm_epsilon > 0 && c.norm_epsilon < 1)) fail(fmt::format("norm_epsilon = {}", c.norm_epsilon), "above 0 and below 1");
  if (!(c.rope_base >= 1 && c.rope_base <= 1e12)) fail(fmt::format("rope_base = {}", c.rope_base), "1 to 1e12");
  if (!c.rope_factors.empty() && static_cast<int64_t>(c.rope_factors.size()) != c.head_dim / 2)
    fail(fmt::format("{} rope_factors", c.rope_factors.size()), fmt::format("head_dim / 2 = {}", c.head_dim / 2));
  for (float f : c.rope_factors)
    if (!(f >= 1e-6f && f <= 1e6f)) fail(fmt::format("{} among rope_factors", f), "1e-6 to 1e6");
}

std::string left_out(const ModelConfig& c) {
  const Architecture* architecture = architecture_of(c);
  CHECK(architecture, "architecture {}", c.architecture);
  return architecture->left_out(c);
}

std::string taken_as(const ModelConfig& c) {
  const std::string missing = left_out(c);
  return missing.empty() ? "" : "taken as a llama: leaves out " + missing;
}

bool has_experts(const ModelConfig& c) { return c.experts > 1; }

void refuse_experts(const ModelConfig& c) {
  if (has_experts(c))
    throw Error{{.where = c.name,
                 .found = fmt::format("a mixture of {} experts", c.experts),
                 .expected = "a dense feed-forward network, as the steps of a mixture of experts are not modelled yet",
                 .fix = "use `waferllm plan` without --goal, which counts its bytes"}};
}

int64_t q_width(const ModelConfig& c) { return c.heads * c.head_dim; }
int64_t kv_width(const ModelConfig& c) { return c.kv_heads * c.head_dim; }

double rope_frequency(const ModelConfig& c, int64_t pair) {
  CHECK(pair >= 0 && pair < c.head_dim / 2, "pair {} of head_dim {}", pair, c.head_dim);
  const double plain = std::pow(c.rope_base, -2.0 * static_cast<double>(pair) / static_cast<double>(c.head_dim));
  return c.rope_factors.empty() ? plain : plain / static_cast<double>(c.rope_factors[static_cast<size_t>(pair)]);
}

namespace {

std::string at(const std::string& path, const toml::node& node) { return fmt::format("{}:{}", path, node.source().begin.line); }

template <class T>
T read(const toml::table& table, const std::string& path, const char* key, const char* kind) {
  const toml::node* node = table.get(key);
  if (!node)
    throw Error{{.where = path, .found = fmt::format("no key {}", key), .expected = kind, .fix = fmt::format("add \"{} = ...\"", key)}};
  // No conversions: 32.0 is no count. An integer is accepted for a real number.
  if constexpr (std::is_same_v<T, double>)
    if (node->is_integer()) return static_cast<double>(**node->as_integer());
  if (const auto* value = node->as<T>()) return value->get();
  throw Error{{.where = at(path, *node), .found = fmt::format("{} of another type", key), .expected = kind, .fix = "correct the value"}};
}

toml::table parse(std::string_view text, const std::string& path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& e) {
    throw Error{{.where = fmt::format("{}:{}:{}", path, e.source().begin.line, e.source().begin.column),
                 .found = std::string(e.description()),
                 .expected = "TOML",
                 .fix = "correct the shape file"}};
  }
}

void check_keys(const toml::table& table, const std::string& path) {
  constexpr std::string_view kKeys[] = {"name",         "architecture",   "layers",       "dim",   "heads",   "kv_heads",     "head_dim",
                                        "ffn",          "experts",        "experts_used", "vocab", "context", "norm_epsilon", "rope_base",
                                        "rope_factors", "tied_embedding", "weights"};
  for (const auto& [key, node] : table)
    if (std::find(std::begin(kKeys), std::end(kKeys), key.str()) == std::end(kKeys))
      throw Error{{.where = at(path, node),
                   .found = fmt::format("key {}", std::string_view(key.str())),
                   .expected = fmt::format("one of {}", fmt::join(kKeys, ", ")),
                   .fix = "correct or remove it"}};
}

std::vector<float> read_factors(const toml::table& table, const std::string& path) {
  const toml::node* node = table.get("rope_factors");
  if (!node) return {};
  std::vector<float> factors;
  const toml::array* array = node->as_array();
  if (array)
    for (const toml::node& item : *array)
      if (const auto number = item.value<double>()) factors.push_back(static_cast<float>(*number));
  if (!array || factors.size() != array->size() || factors.empty())
    throw Error{{.where = at(path, *node),
                 .found = "rope_factors of another type",
                 .expected = "an array of head_dim / 2 numbers",
                 .fix = "correct the value"}};
  return factors;
}

}  // namespace

ModelConfig load_shape(const std::string& path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (text.size() > (1 << 20))
    throw Error{{.where = path,
                 .found = fmt::format("{} bytes", text.size()),
                 .expected = "a shape file of at most 1 MB",
                 .fix = "name a .toml of models/"}};
  const toml::table table = parse(text, path);
  check_keys(table, path);

  ModelConfig c;
  c.name = table.contains("name") ? read<std::string>(table, path, "name", "a string") : std::filesystem::path(path).stem().string();
  c.architecture = table.contains("architecture") ? read<std::string>(table, path, "architecture", "a string") : "llama";
  const auto count = [&](const char* key) { return read<int64_t>(table, path, key, "a whole number"); };
  c.layers = count("layers");
  c.dim = count("dim");
  c.heads = count("heads");
  c.kv_heads = count("kv_heads");
  c.head_dim = count("head_dim");
  c.ffn = count("ffn");
  if (table.contains("experts")) c.experts = count("experts");
  if (table.contains("experts_used")) c.experts_used = count("experts_used");
  c.vocab = count("vocab");
  c.context = count("context");
  c.norm_epsilon = static_cast<float>(read<double>(table, path, "norm_epsilon", "a number"));
  c.rope_base = read<double>(table, path, "rope_base", "a number");
  c.rope_factors = read_factors(table, path);
  if (table.contains("tied_embedding")) c.tied_embedding = read<bool>(table, path, "tied_embedding", "true or false");
  if (table.contains("weights")) c.weights = tensor_type_of(read<std::string>(table, path, "weights", "a string"));
  validate(c, path);
  return c;
}

std::string shape_path(const std::string& name) {
  for (const std::string& folder : data_folders("models", "WAFERLLM_MODELS")) {
    const std::filesystem::path path = std::filesystem::path(folder) / (name + ".toml");
    std::error_code ec;
    if (std::filesystem::is_regular_file(path, ec)) return path.string();
  }
  throw Error({.where = "models",
               .found = "no " + name + ".toml",
               .expected = "the shapes that come with the program",
               .fix = "set WAFERLLM_MODELS to their folder"});
}

}  // namespace wafer
