// The oracle of all other tests, held against logits of an independent implementation (llama.cpp, fp32).
#include "model/reference.h"

#include <gtest/gtest.h>

#include <cctype>

#include "support/oracle.h"

namespace wafer {
namespace {

class Reference_ : public testing::TestWithParam<const char*> {};

TEST_P(Reference_, GivesTheOraclesLogits) {
  const std::string name = GetParam();
  const std::string file = shared_path("models/" + name + ".gguf");
  const bool f32 = name.ends_with(".f32");
  const std::string logits_file = shared_path("oracle/logits/" + name + (f32 ? "" : ".f32") + ".logits.bin.gz");
  if (!exists(file) || !exists(logits_file)) GTEST_SKIP() << "no " << file << " or its logits";

  const Model model = load_model(file);
  const std::vector<int32_t> prompt = read_ids(shared_path("oracle/logits/prompt.ids"));
  const std::vector<OracleRow> rows = read_oracle(logits_file);
  ASSERT_GE(rows.size(), prompt.size());
  Reference reference{.model = model};
  std::vector<std::vector<float>> logits;
  for (size_t i = 0; i < prompt.size(); i++) {
    ASSERT_EQ(rows[i].token, prompt[i]);
    logits.push_back(step(reference, prompt[i]));
  }
  const double distance = rel_rms(logits, rows, prompt.size());
  RecordProperty("rel_rms", std::to_string(distance * 1e7) + "e-7");
  // The oracle's own fp32 rounding: below 5e-7 on all of these.
  EXPECT_LT(distance, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Models, Reference_,
                         testing::Values("stories260K.f32", "stories260K.f16", "stories260K.bf16", "stories260K.q8_0", "stories260K.q4_0",
                                         "tiny-llama.f32", "tiny-llama.f16", "tiny-llama.bf16", "tiny-llama.q8_0", "tiny-llama.q4_0"),
                         [](const auto& test) {
                           std::string s = test.param;
                           for (char& c : s)
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           return s;
                         });

}  // namespace
}  // namespace wafer
