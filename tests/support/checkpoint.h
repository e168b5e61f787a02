// For tests: a checkpoint that is always there. All its weights are zero, so all its logits are, and greedy choice says "ab" forever.
#pragma once
#include <string>

namespace wafer {

// A file's bytes: small_config() with a tokenizer of 40 tokens: 0 "ab", 1 BOS, 2 EOS, 3 unknown, 4 a space, 5 .. 30 "a" .. "z",
// 31 .. 39 special tokens.
std::string talking_checkpoint();

}  // namespace wafer
