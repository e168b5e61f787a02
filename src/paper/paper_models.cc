#include "paper/paper_models.h"

#include <array>
#include <cstdio>
#include <vector>

#include "base/check.h"
#include "paper/published.h"

namespace wafer {
namespace {

struct Entry {
  const char* name;   // as the paper writes it
  const char* shape;  // in models/
  // Sides of prefill and decode in table 2. LLaMA3-8B: the table's own. The others are assumed. LLaMA2-13B: the whole width of the wafer
  // and half of it; the larger two: prefill on the largest of the published sides, decode on the fastest by our own time().
  int prefill_side, decode_side;
};
constexpr std::array kEntries = {Entry{"LLaMA3-8B", "llama3-8b", 660, 360}, Entry{"LLaMA2-13B", "llama2-13b", 750, 375},
                                 Entry{"CodeLLaMA-34B", "codellama-34b", 720, 420}, Entry{"QWen2-72B", "qwen2-72b", 720, 420}};

}  // namespace

std::span<const ModelConfig> paper_models() {
  static const std::vector<ModelConfig> models = [] {
    std::vector<ModelConfig> all;
    for (const Entry& e : kEntries) {
      all.push_back(load_shape(shape_path(e.shape)));
      all.back().name = e.name;
    }
    return all;
  }();
  return models;
}

const ModelConfig& paper_model(const std::string& name) {
  for (const ModelConfig& m : paper_models())
    if (m.name == name) return m;
  CHECK(false, "no model {} in the paper", name);
}

std::span<const std::string> paper_requests() {
  static const std::vector<std::string> requests = {"in2048/out128", "in4096/out128", "in2048/out2048", "in4096/out4096"};
  return requests;
}

PublishedRequest paper_request(const std::string& model, const std::string& config) {
  long input = 0, output = 0;
  CHECK(std::sscanf(config.c_str(), "in%ld/out%ld", &input, &output) == 2, "a request {}", config);
  for (const Entry& e : kEntries)
    if (model == e.name) return {.prefill_side = e.prefill_side, .decode_side = e.decode_side, .input = input, .output = output};
  CHECK(false, "no model {} in the paper", model);
}

}  // namespace wafer
