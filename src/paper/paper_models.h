// The paper's models and the requests of its table 2.
#pragma once
#include <span>
#include <string>

#include "model/config.h"
#include "paper/published_time.h"

namespace wafer {

constexpr int64_t kPaperTokens = 4096;  // of the prompt, and of the context of a decoded token, in tables 3, 4, 7 and 8

// In the paper's order and with its names: LLaMA3-8B, LLaMA2-13B, CodeLLaMA-34B, QWen2-72B. Loaded from the shapes in models/, once.
std::span<const ModelConfig> paper_models();
const ModelConfig& paper_model(const std::string& name);  // CHECKs that it is one of them

std::span<const std::string> paper_requests();  // "in2048/out128", ...
PublishedRequest paper_request(const std::string& model, const std::string& config);

}  // namespace wafer
