#include "text/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "base/scalar_math.h"

namespace wafer {
namespace {

[[noreturn]] void broken(const char* found) {
  throw Error{{.where = "logits", .found = found, .expected = "finite logits", .fix = "use numerics mixed or fp32: these overflow"}};
}

// The higher logit first; equals are ordered by index, so that every step below has one right answer.
bool before(const std::pair<float, int32_t>& a, const std::pair<float, int32_t>& b) {
  return a.first > b.first || (a.first == b.first && a.second < b.second);
}

}  // namespace

void validate(const SamplerOptions& o) {
  const auto fail = [](const char* option, const std::string& found, const char* expected) {
    throw Error{{.where = option, .found = found, .expected = expected, .fix = "correct the option"}};
  };
  if (!(o.temperature >= 0 && o.temperature <= 1e6)) fail("--temperature", fmt::format("{}", o.temperature), "0 (greedy) to 1e6");
  if (o.top_k < 0) fail("--top-k", fmt::format("{}", o.top_k), "0 (all tokens) or more");
  if (!(o.top_p > 0 && o.top_p <= 1)) fail("--top-p", fmt::format("{}", o.top_p), "above 0 and at most 1 (all tokens)");
}

Sampler make_sampler(const SamplerOptions& options) {
  validate(options);
  return {.options = options, .rng = Rng(options.seed), .candidates = {}};
}

int32_t greedy(std::span<const float> logits) {
  CHECK(!logits.empty());
  size_t best = 0;
  bool any_nan = false;
  for (size_t i = 0; i < logits.size(); i++) {
    any_nan = any_nan || std::isnan(logits[i]);
    if (logits[i] > logits[best]) best = i;
  }
  if (any_nan) broken("a logit that is no number");
  if (logits[best] == -std::numeric_limits<float>::infinity()) broken("no logit above -inf");
  return static_cast<int32_t>(best);
}

int32_t sample(Sampler& s, std::span<const float> logits) {
  const int32_t best = greedy(logits);
  if (s.options.temperature == 0) return best;
  if (std::isinf(logits[static_cast<size_t>(best)])) broken("an infinite logit, which has no probability");

  // The top_k highest, in order. Without top_k and top_p the order does not matter.
  auto& c = s.candidates;
  c.clear();
  for (size_t i = 0; i < logits.size(); i++) c.emplace_back(logits[i], static_cast<int32_t>(i));
  const size_t keep = s.options.top_k == 0 ? c.size() : std::min(c.size(), static_cast<size_t>(s.options.top_k));
  if (keep < c.size() || s.options.top_p < 1) {
    std::partial_sort(c.begin(), c.begin() + static_cast<ptrdiff_t>(keep), c.end(), before);
    c.resize(keep);
  }

  // Softmax without its division: weights relative to the best, each exp our own, so the same everywhere.
  const double highest = logits[static_cast<size_t>(best)];
  double sum = 0;
  for (auto& [value, token] : c) {
    value = exp_f32(static_cast<float>((static_cast<double>(value) - highest) / s.options.temperature));
    sum += static_cast<double>(value);
  }

  if (s.options.top_p < 1) {
    const double goal = s.options.top_p * sum;
    double reached = 0;
    size_t n = 0;
    while (n < c.size() && (n == 0 || reached < goal)) reached += static_cast<double>(c[n++].first);
    c.resize(n);
    sum = reached;
  }

  double left = next_double(s.rng) * sum;
  for (const auto& [weight, token] : c) {
    left -= static_cast<double>(weight);
    if (left < 0) return token;
  }
  // Rounding of the sum only: the last token with any weight.
  for (size_t i = c.size(); i-- > 0;)
    if (c[i].first > 0) return c[i].second;
  return best;
}

}  // namespace wafer
