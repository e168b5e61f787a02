// Model, tokenizer and sampler together: the reference writes the story that the model's author printed.
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "model/reference.h"
#include "support/oracle.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

namespace wafer {
namespace {

TEST(Generate, GreedyStoryIsTheAuthors) {
  const std::string file = shared_path("models/stories260K.f32.gguf"), story_file = shared_path("models/stories260K.greedy.txt");
  if (!exists(file) || !exists(story_file)) GTEST_SKIP() << "no " << file << " or its story";
  const Gguf gguf = load_gguf(file);
  const Model model = load_model(gguf);
  const Tokenizer tokenizer = load_tokenizer(gguf);
  Reference reference{.model = model};
  Utf8Stream stream;
  Decoding decoding;
  std::string text;
  for (int32_t token = tokenizer.bos, i = 0; i < 256; i++) {
    const int32_t next = greedy(step(reference, token));
    if (is_stop(tokenizer, next)) break;
    text += push(stream, next_piece(tokenizer, decoding, next));
    token = next;
  }
  text += flush(stream);
  std::string story = read_maybe_gz(story_file);
  while (story.ends_with('\n')) story.pop_back();
  while (text.ends_with('\n')) text.pop_back();
  EXPECT_EQ(text.substr(0, story.size()), story);
  EXPECT_LE(text.size(), story.size() + 16);  // the file's 256 steps count the start token in one program and not in another
}

}  // namespace
}  // namespace wafer
