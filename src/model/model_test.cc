#include "model/model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/gguf_writer.h"
#include "support/oracle.h"

namespace wafer {
namespace {

// Written to a buffer that the Gguf's views look into.
struct Loaded {
  std::string bytes;
  Model model;
};

void load(const GgufWriter& w, Loaded& out) {
  out.bytes = write(w);
  out.model = load_model(parse_gguf(std::as_bytes(std::span(out.bytes)), "test"));
}

void expect_error(const GgufWriter& w, const std::string& text) {
  Loaded l;
  try {
    load(w, l);
    FAIL() << "loaded, expected " << text;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
  }
}

TEST(Model, LoadsASmallOne) {
  Loaded l;
  load(zero_llama(small_config()), l);
  const ModelConfig& c = l.model.config;
  EXPECT_EQ(c.layers, 2);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.vocab, 40);
  EXPECT_EQ(c.weights, TensorType::f16);
  EXPECT_FALSE(c.tied_embedding);
  EXPECT_EQ(l.model.layers[1].k.rows, 32);
  EXPECT_EQ(l.model.layers[1].down.cols, 96);
  ModelConfig tied = small_config();
  tied.tied_embedding = true;
  tied.weights = TensorType::q8_0;
  load(zero_llama(tied), l);
  EXPECT_TRUE(l.model.config.tied_embedding);
  EXPECT_EQ(l.model.output.name, "token_embd.weight");
  EXPECT_EQ(l.model.config.weights, TensorType::q8_0);
}

TEST(Model, RopeFactorsAreFoldedTogether) {
  GgufWriter w = zero_llama(small_config());
  add_tensor(w, "rope_freqs.weight", TensorType::f32, {8});
  const float ones[8] = {1, 1, 1, 2, 4, 8, 8, 8};
  std::memcpy(w.tensors.back().data.data(), ones, sizeof ones);
  Loaded l;
  load(w, l);
  EXPECT_EQ(l.model.config.rope_factors, (std::vector<float>(ones, ones + 8)));
  add_string(w, "llama.rope.scaling.type", "linear");
  add_float(w, "llama.rope.scaling.factor", 4);
  load(w, l);
  EXPECT_EQ(l.model.config.rope_factors, (std::vector<float>{4, 4, 4, 8, 16, 32, 32, 32}));
  EXPECT_DOUBLE_EQ(rope_frequency(l.model.config, 3), std::pow(10000.0, -6.0 / 16) / 8);

  w = zero_llama(small_config());
  add_string(w, "llama.rope.scaling.type", "none");
  add_float(w, "llama.rope.scaling.factor", 4);
  load(w, l);
  EXPECT_TRUE(l.model.config.rope_factors.empty());
}

TEST(Model, RefusesWhatItDoesNotCompute) {
  const auto with = [](const char* key, uint32_t value) {
    GgufWriter w = zero_llama(small_config());
    add_int(w, key, value);
    return w;
  };
  expect_error(with("llama.expert_count", 8), "llama.expert_count: found 8, expected 0");
  expect_error(with("llama.rope.dimension_count", 8), "found 8, expected the head's width, 16");
  expect_error(with("llama.attention.key_length", 32), "value_length");
  expect_error(with("llama.attention.sliding_window", 64), "sliding_window");
  expect_error(with("llama.logit_scale", 2), "llama.logit_scale");
  GgufWriter w = zero_llama(small_config());
  add_string(w, "llama.rope.scaling.type", "yarn");
  expect_error(w, "llama.rope.scaling.type: found \"yarn\"");
  w = zero_llama(small_config());
  add_tensor(w, "blk.1.attn_q.bias", TensorType::f32, {64});
  expect_error(w, "blk.1.attn_q.bias");
  w = zero_llama(small_config());
  add_tensor(w, "blk.2.attn_q.weight", TensorType::f32, {64, 64});
  expect_error(w, "blk.2.attn_q.weight");
  ModelConfig other = small_config();
  other.architecture = "qwen2";
  expect_error(zero_llama(other), "general.architecture: found \"qwen2\", expected \"llama\"");
}

TEST(Model, ChecksEveryShape) {
  GgufWriter w = zero_llama(small_config());
  const size_t count = w.tensors.size();
  for (size_t i = 0; i < count; i++) {
    w = zero_llama(small_config());
    const GgufWriter::Tensor t = w.tensors[i];
    w.tensors.erase(w.tensors.begin() + static_cast<ptrdiff_t>(i));
    if (t.name != "output.weight") expect_error(w, fmt::format("no tensor {}", t.name));  // without it the embedding is tied
    std::vector<int64_t> wrong = t.shape;
    wrong[0] += 32;
    add_tensor(w, t.name, t.type, wrong);
    expect_error(w, t.name + ": found [");
  }
  w = zero_llama(small_config());
  w.tensors[1].type = TensorType::bf16;
  w.tensors[1].data.resize(128);
  expect_error(w, "output_norm.weight: found bf16, expected f32 or f16");
  w = zero_llama(small_config());
  add_strings(w, "tokenizer.ggml.tokens", {"a", "b"});
  expect_error(w, "found 40 rows, expected one for each of the 2 tokens");
}

TEST(Model, RefusesNonsenseInTheConfig) {
  for (auto change :
       {+[](ModelConfig& c) { c.layers = 0; }, +[](ModelConfig& c) { c.heads = 0; }, +[](ModelConfig& c) { c.kv_heads = 0; },
        +[](ModelConfig& c) { c.kv_heads = 3; }, +[](ModelConfig& c) { c.head_dim = 15; },
        +[](ModelConfig& c) { c.dim = int64_t{1} << 40; }, +[](ModelConfig& c) { c.vocab = -1; }, +[](ModelConfig& c) { c.context = 0; },
        +[](ModelConfig& c) { c.norm_epsilon = NAN; }, +[](ModelConfig& c) { c.rope_base = 0; },
        +[](ModelConfig& c) {
          c.rope_factors = {1, 2};
        },
        +[](ModelConfig& c) { c.rope_factors.assign(8, 0); }}) {
    ModelConfig c = small_config();
    EXPECT_NO_THROW(validate(c, "test"));
    change(c);
    EXPECT_THROW(validate(c, "test"), Error);
  }
  GgufWriter w = zero_llama(small_config());
  add_int(w, "llama.attention.key_length", 0);
  add_int(w, "llama.attention.value_length", 0);
  add_int(w, "llama.rope.dimension_count", 0);
  expect_error(w, "head_dim = 0");
}

TEST(Rows, AreWidenedExactly) {
  std::string data(34, '\0');
  const uint16_t half = 0x3800;  // 0.5
  std::memcpy(data.data(), &half, 2);
  for (int i = 0; i < 32; i++) data[static_cast<size_t>(2 + i)] = static_cast<char>(i * 8 - 128);
  TensorView q8{.name = "q8", .type = TensorType::q8_0, .rows = 1, .cols = 32, .bytes = std::as_bytes(std::span(data))};
  float row[32];
  row_to_f32(q8, 0, row);
  for (int i = 0; i < 32; i++) EXPECT_EQ(row[i], 0.5f * static_cast<float>(i * 8 - 128));

  data.resize(18);
  for (int i = 0; i < 16; i++) data[static_cast<size_t>(2 + i)] = static_cast<char>(i | ((15 - i) << 4));
  TensorView q4{.name = "q4", .type = TensorType::q4_0, .rows = 1, .cols = 32, .bytes = std::as_bytes(std::span(data))};
  row_to_f32(q4, 0, row);
  for (int i = 0; i < 16; i++) {
    EXPECT_EQ(row[i], 0.5f * static_cast<float>(i - 8));
    EXPECT_EQ(row[i + 16], 0.5f * static_cast<float>(7 - i));
  }

  const uint16_t bf[2] = {0x3fc0, 0xbf80};  // 1.5, -1
  TensorView b{.name = "b", .type = TensorType::bf16, .rows = 2, .cols = 1, .bytes = std::as_bytes(std::span(bf))};
  row_to_f32(b, 0, row);
  EXPECT_EQ(row[0], 1.5f);
  row_to_f32(b, 1, row);
  EXPECT_EQ(row[0], -1.0f);
}

std::string file_with(const std::string& name, const std::string& content) {
  const std::string path = testing::TempDir() + "wafer_model_" + std::to_string(::getpid()) + "_" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(Files, AreToldApart) {
  const std::string toml = file_with("a.toml", "layers = 1\n"), zip = file_with("a.bin", "PK\3\4 and more"),
                    gguf = file_with("misnamed.toml", write({}));
  EXPECT_EQ(kind_of(toml), ModelKind::shape);
  EXPECT_EQ(kind_of(gguf), ModelKind::checkpoint);  // by what it is, not by its name
  try {
    kind_of(zip);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("found \"PK\\x03\\x04"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("zip"), std::string::npos) << e.what();
  }
  EXPECT_THROW(load_model(toml), Error);
  EXPECT_THROW(load_config(toml), Error);  // it has one key only
  for (const std::string& path : {toml, zip, gguf}) std::filesystem::remove(path);
}

TEST(Shapes, TheBundledOnesLoad) {
  const ModelConfig llama = load_shape(WAFER_SOURCE_DIR "/models/llama3-8b.toml");
  EXPECT_EQ(llama.name, "llama3-8b");
  EXPECT_EQ(llama.ffn, 14336);
  EXPECT_EQ(llama.weights, TensorType::f16);
  const ModelConfig qwen = load_config(WAFER_SOURCE_DIR "/models/qwen2-72b.toml");
  EXPECT_EQ(qwen.layers, 80);
  EXPECT_EQ(q_width(qwen), 8192);
  EXPECT_EQ(kv_width(qwen), 1024);
}

// Weights of a model by its shape, as its card counts them.
int64_t parameters(const ModelConfig& c) {
  const int64_t router = c.experts > 1 ? c.experts * c.dim : 0;
  const int64_t layer = 2 * c.dim * q_width(c) + 2 * c.dim * kv_width(c) + c.experts * 3 * c.dim * c.ffn + router + 2 * c.dim;
  return c.layers * layer + (c.tied_embedding ? 1 : 2) * c.vocab * c.dim + c.dim;
}

TEST(Shapes, HaveTheParametersOfTheirCards) {
  const struct {
    const char* name;
    int64_t parameters, context;
  } cards[] = {{"tinyllama-1.1b", 1100048384, 2048},  {"llama3-8b", 8030261248, 8192},       {"llama2-13b", 13015864320, 4096},
               {"codellama-34b", 33743970304, 16384}, {"llama3.1-70b", 70553706496, 131072}, {"qwen2-72b", 72705384448, 32768},
               {"qwen3-8b", 8190726144, 40960},       {"mixtral-8x7b", 46702792704, 32768}};
  for (const auto& card : cards) {
    const ModelConfig c = load_shape(std::string(WAFER_SOURCE_DIR "/models/") + card.name + ".toml");
    EXPECT_EQ(c.name, card.name);
    EXPECT_EQ(parameters(c), card.parameters) << card.name;
    EXPECT_EQ(c.context, card.context) << card.name;
    EXPECT_EQ(c.heads * c.head_dim, c.dim) << card.name;
  }
}

// Every file of the folder is a shape that loads and calls itself as its file is called.
TEST(Shapes, AllOfTheFolderLoad) {
  int shapes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WAFER_SOURCE_DIR "/models")) {
    if (entry.path().extension() != ".toml") continue;
    EXPECT_EQ(load_shape(entry.path().string()).name, entry.path().stem().string());
    shapes++;
  }
  EXPECT_EQ(shapes, 8);
}

// Shapes of other architectures are taken as llamas, and say what of them is left out.
TEST(Shape, WhatIsMoreThanALlamaIsNamed) {
  const auto shape = [](const char* name) { return load_shape(std::string(WAFER_SOURCE_DIR "/models/") + name + ".toml"); };
  EXPECT_EQ(left_out(shape("llama3-8b")), "");
  EXPECT_EQ(taken_as(shape("llama3-8b")), "");
  EXPECT_EQ(taken_as(shape("qwen2-72b")), "taken as a llama: leaves out the biases of Q, K and V (10240 numbers a layer)");
  EXPECT_NE(left_out(shape("qwen3-8b")).find("RMSNorms of each head of Q and K (256 gains a layer"), std::string::npos);
  ModelConfig small = shape("tinyllama-1.1b");
  small.architecture = "qwen2";
  EXPECT_NE(left_out(small).find(std::to_string(2048 + 2 * 256)), std::string::npos);
  small.architecture = "gemma";
  try {
    validate(small, "x.toml");
    ADD_FAILURE() << "gemma is taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("\"gemma\", expected \"llama\", \"qwen2\" or \"qwen3\""), std::string::npos) << e.what();
  }
}

TEST(Shapes, ExpertsAreOneUnlessTheFileSaysMore) {
  const ModelConfig dense = load_shape(WAFER_SOURCE_DIR "/models/qwen3-8b.toml");
  EXPECT_EQ(dense.experts, 1);
  EXPECT_EQ(dense.experts_used, 1);
  EXPECT_FALSE(has_experts(dense));
  refuse_experts(dense);  // does not
  const ModelConfig mixture = load_shape(WAFER_SOURCE_DIR "/models/mixtral-8x7b.toml");
  EXPECT_EQ(mixture.experts, 8);
  EXPECT_EQ(mixture.experts_used, 2);
  EXPECT_TRUE(has_experts(mixture));
  EXPECT_THROW(refuse_experts(mixture), Error);
}

TEST(Shapes, SayWhatIsWrong) {
  const std::string good =
      "layers = 2\ndim = 64\nheads = 4\nkv_heads = 2\nhead_dim = 16\nffn = 96\nvocab = 40\ncontext = 128\nnorm_epsilon = 1e-5\nrope_base = "
      "10000\n";
  const auto message = [](const std::string& text) -> std::string {
    const std::string path = file_with("shape.toml", text);
    try {
      load_shape(path);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message(good), "");
  EXPECT_EQ(message(good + "tied_embedding = true\nweights = \"q4_0\"\nrope_factors = [1, 2, 3, 4, 5, 6, 7, 8.5]\n"), "");
  EXPECT_NE(message(good + "colour = 3\n").find("shape.toml:11: found key colour"), std::string::npos);
  EXPECT_EQ(message(good + "experts = 4\nexperts_used = 4\n"), "");
  EXPECT_NE(message(good + "experts = 0\n").find("experts = 0"), std::string::npos);
  EXPECT_NE(message(good + "experts = 4\nexperts_used = 0\n").find("experts_used = 0"), std::string::npos);
  EXPECT_NE(message(good + "experts = 4\nexperts_used = 5\n").find("no more experts used than there are"), std::string::npos);
  EXPECT_NE(message(good + "experts_used = 2\n").find("no more experts used than there are"), std::string::npos);
  EXPECT_NE(message(good + "experts = 65536\n").find("experts * ffn"), std::string::npos);
  EXPECT_NE(message(good + "experts = 2.0\n").find("experts of another type"), std::string::npos);
  EXPECT_NE(message("layers = 2\n").find("no key dim"), std::string::npos);
  EXPECT_NE(message("layers = 2.0\n" + good.substr(11)).find("layers of another type"), std::string::npos);
  EXPECT_NE(message(good + "weights = \"q3\"\n").find("\"q3\""), std::string::npos);
  EXPECT_NE(message(good + "rope_factors = [1, \"a\"]\n").find("rope_factors"), std::string::npos);
  EXPECT_NE(message("layers = = 2").find("expected TOML"), std::string::npos);
  EXPECT_NE(message("\xff\xfe\n").find("expected TOML"), std::string::npos);
  EXPECT_NE(message(good + "kv_heads = 2\n").find("expected TOML"), std::string::npos);  // twice
  EXPECT_NE(message("layers = 2\ndim = 64\nheads = 4\nkv_heads = 3\nhead_dim = 16\nffn = 96\nvocab = 40\ncontext = 128\nnorm_epsilon = "
                    "1e-5\nrope_base = 1e4\n")
                .find("multiple of kv_heads"),
            std::string::npos);
  std::filesystem::remove(file_with("shape.toml", ""));
}

}  // namespace
}  // namespace wafer
