#include "support/checkpoint.h"

#include "support/gguf_writer.h"

namespace wafer {

std::string talking_checkpoint() {
  constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3;
  GgufWriter w = zero_llama(small_config());
  std::vector<std::string> pieces = {"ab", "<s>", "</s>", "<unk>", "\u2581"};
  std::vector<int32_t> kinds = {kNormal, kControl, kControl, kUnknown, kNormal};
  for (char c = 'a'; c <= 'z'; c++) {
    pieces.push_back(std::string(1, c));
    kinds.push_back(kNormal);
  }
  for (int i = 0; i < 9; i++) {
    pieces.push_back("<special " + std::to_string(i) + ">");
    kinds.push_back(kControl);
  }
  add_string(w, "tokenizer.ggml.model", "llama");
  add_strings(w, "tokenizer.ggml.tokens", pieces);
  add_floats(w, "tokenizer.ggml.scores", std::vector<float>(pieces.size(), 0));
  add_ints(w, "tokenizer.ggml.token_type", kinds);
  add_int(w, "tokenizer.ggml.bos_token_id", 1);
  add_int(w, "tokenizer.ggml.eos_token_id", 2);
  add_int(w, "tokenizer.ggml.unknown_token_id", 3);
  return write(w);
}

}  // namespace wafer
