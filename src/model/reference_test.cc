// The oracle of all other tests, held against logits of an independent implementation (llama.cpp, fp32).
#include "model/reference.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <optional>

#include "support/oracle.h"

namespace wafer {
namespace {

// The distance from the oracle over the whole prompt; nothing where the files are missing.
std::optional<double> distance(const std::string& model_file, const std::string& logits_file) {
  const std::string prompt_file = shared_path("oracle/logits/prompt.ids");
  if (!exists(model_file) || !exists(logits_file) || !exists(prompt_file)) return {};
  const Model model = load_model(model_file);
  const std::vector<int32_t> prompt = read_ids(prompt_file);
  const std::vector<OracleRow> rows = read_oracle(logits_file);
  Reference reference{.model = model};
  std::vector<std::vector<float>> logits;
  for (size_t i = 0; i < prompt.size(); i++) {
    EXPECT_EQ(rows.at(i).token, prompt[i]);
    logits.push_back(step(reference, prompt[i]));
  }
  return rel_rms(logits, rows, prompt.size());
}

// The oracle's own fp32 rounding: below 5e-7 on all of these.
constexpr double kTolerance = 1e-6;

class ReferenceModel : public testing::TestWithParam<const char*> {};

TEST_P(ReferenceModel, GivesTheOraclesLogits) {
  const std::string name = GetParam();
  const auto d = distance(shared_path("models/" + name + ".gguf"),
                          shared_path("oracle/logits/" + name + (name.ends_with(".f32") ? "" : ".f32") + ".logits.bin.gz"));
  if (!d) GTEST_SKIP() << "no model, logits or prompt of " << name << " under " << shared_path("");
  RecordProperty("rel_rms", fmt::format("{:.2e}", *d));
  EXPECT_LT(*d, kTolerance);
}

std::string identifier(const testing::TestParamInfo<const char*>& test) {
  std::string s = test.param;
  for (char& c : s)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return s;
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceModel,
                         testing::Values("stories260K.f32", "stories260K.f16", "stories260K.bf16", "stories260K.q8_0", "stories260K.q4_0",
                                         "tiny-llama.f32", "tiny-llama.f16", "tiny-llama.bf16", "tiny-llama.q8_0", "tiny-llama.q4_0"),
                         identifier);

// Tied embeddings, one KV head, rotary factors: models that the oracle's scripts write where WAFER_REFS says.
class ReferenceMore : public testing::TestWithParam<const char*> {};

TEST_P(ReferenceMore, GivesTheOraclesLogits) {
  const char* refs = std::getenv("WAFER_REFS");
  if (!refs) GTEST_SKIP() << "WAFER_REFS names no folder with models and logits";
  const std::string name = GetParam(), folder = refs;
  const auto d =
      distance(folder + "/models/" + name + ".gguf", folder + "/" + name + (name.ends_with(".f32") ? "" : ".f32") + ".logits.bin");
  if (!d) GTEST_SKIP() << "no model, logits or prompt of " << name;
  RecordProperty("rel_rms", fmt::format("{:.2e}", *d));
  EXPECT_LT(*d, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceMore,
                         testing::Values("tiny-llama-tied.f32", "tiny-llama-tied.q8_0", "tiny-llama31.f32", "tiny-llama31.q4_0",
                                         "tiny-mistral.f32"),
                         identifier);

}  // namespace
}  // namespace wafer
