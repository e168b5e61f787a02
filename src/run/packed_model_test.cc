// A value that fp16 cannot hold is refused by the name of its tensor, in every tensor that is converted.
#include "run/packed_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/error.h"
#include "support/gguf_writer.h"
#include "support/random_model.h"

namespace wafer::run {
namespace {

// What packing says of a model that has `value` once in the tensor that `choose` gives, all of whose matrices are of `type`.
std::string refusal(TensorView& (*choose)(Model&), float value, TensorType type, Numerics numerics, bool tied = false) {
  ModelConfig config = small_config();
  config.tied_embedding = tied;
  Model model = random_model(config, uniform_types(type), uniform_types(type), 7);
  TensorView& tensor = choose(model);
  std::vector<std::byte> bytes(tensor.bytes.begin(), tensor.bytes.end());
  const size_t at = bytes_of(tensor.type, tensor.cols) * static_cast<size_t>(tensor.rows - 1);  // the last row
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (tensor.type == TensorType::f32) std::memcpy(&bytes[at], &bits, 4);
  const auto upper = static_cast<uint16_t>(bits >> 16);
  if (tensor.type == TensorType::bf16) std::memcpy(&bytes[at], &upper, 2);
  tensor.bytes = bytes;
  if (tied) model.output.bytes = model.embedding.bytes = tensor.bytes;
  const auto file = model.file;
  model.file = nullptr;  // which does not hold these bytes
  try {
    pack_model(model, numerics);
  } catch (const Error& e) {
    return e.what();
  }
  return "packed";
}

TEST(PackedModel, EveryConvertedTensorIsLookedAt) {
  const std::pair<const char*, TensorView& (*)(Model&)> tensors[] = {
      {"token_embd.weight", [](Model& m) -> TensorView& { return m.embedding; }},
      {"output.weight", [](Model& m) -> TensorView& { return m.output; }},
      {"blk.1.attn_q.weight", [](Model& m) -> TensorView& { return m.layers[1].q; }},
      {"blk.1.attn_k.weight", [](Model& m) -> TensorView& { return m.layers[1].k; }},
      {"blk.0.attn_v.weight", [](Model& m) -> TensorView& { return m.layers[0].v; }},
      {"blk.0.attn_output.weight", [](Model& m) -> TensorView& { return m.layers[0].o; }},
      {"blk.0.ffn_gate.weight", [](Model& m) -> TensorView& { return m.layers[0].gate; }},
      {"blk.0.ffn_up.weight", [](Model& m) -> TensorView& { return m.layers[0].up; }},
      {"blk.1.ffn_down.weight", [](Model& m) -> TensorView& { return m.layers[1].down; }},
  };
  for (const auto& [name, choose] : tensors)
    for (const TensorType type : {TensorType::f32, TensorType::bf16}) {
      for (const Numerics numerics : {Numerics::mixed, Numerics::fp16})
        for (const float value : {66048.0f, -1e30f}) {
          const std::string says = refusal(choose, value, type, numerics);
          EXPECT_NE(says.find("tensor " + std::string(name) + ": found 1 value above the largest fp16"), std::string::npos) << says;
        }
      EXPECT_EQ(refusal(choose, 66048, type, Numerics::fp32), "packed") << name;
      EXPECT_EQ(refusal(choose, 65280, type, Numerics::mixed), "packed") << name;
    }
}

TEST(PackedModel, TheLargestThatRoundsToAFiniteValueIsTaken) {
  const auto embedding = [](Model& m) -> TensorView& { return m.embedding; };
  EXPECT_EQ(refusal(embedding, 65519.99f, TensorType::f32, Numerics::mixed), "packed");
  EXPECT_NE(refusal(embedding, 65520.0f, TensorType::f32, Numerics::mixed), "packed");
  EXPECT_NE(refusal(embedding, 65520.0f, TensorType::f32, Numerics::mixed, true), "packed");  // tied
}

TEST(PackedModel, NormsAreConvertedInFp16Alone) {
  const auto norm = [](Model& m) -> TensorView& { return m.layers[1].ffn_norm; };
  EXPECT_NE(refusal(norm, 1e6f, TensorType::f32, Numerics::fp16).find("tensor blk.1.ffn_norm.weight"), std::string::npos);
  EXPECT_EQ(refusal(norm, 1e6f, TensorType::f32, Numerics::mixed), "packed");
}

}  // namespace
}  // namespace wafer::run
