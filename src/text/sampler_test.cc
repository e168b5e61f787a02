#include "text/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace wafer {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<double> frequencies(const SamplerOptions& options, const std::vector<float>& logits, int draws) {
  Sampler s = make_sampler(options);
  std::vector<double> f(logits.size());
  for (int i = 0; i < draws; i++) f[static_cast<size_t>(sample(s, logits))] += 1.0 / draws;
  return f;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p;
  double sum = 0;
  for (float x : logits) sum += p.emplace_back(std::exp(x / temperature));
  for (double& x : p) x /= sum;
  return p;
}

// Five standard deviations of a count of `draws`.
void expect_near(const std::vector<double>& f, const std::vector<double>& p, int draws) {
  for (size_t i = 0; i < p.size(); i++) EXPECT_NEAR(f[i], p[i], 5 * std::sqrt(p[i] * (1 - p[i]) / draws) + 1e-12) << i;
}

TEST(Sampler, GreedyTakesTheLowestIndexOfEquals) {
  EXPECT_EQ(greedy(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(greedy(std::vector<float>{-kInf, -5}), 1);
  EXPECT_EQ(greedy(std::vector<float>{-0.0f, 0.0f}), 0);
  Sampler s = make_sampler({});
  EXPECT_EQ(sample(s, std::vector<float>{0, 7, 7}), 1);
}

TEST(Sampler, FollowsTheSoftmax) {
  const std::vector<float> logits = {1, 0, -1, 2, 0.5f};
  for (double temperature : {0.5, 1.0, 2.0})
    expect_near(frequencies({.temperature = temperature, .seed = 7}, logits, 200000), softmax(logits, temperature), 200000);
}

TEST(Sampler, TopKKeepsTheHighestAndTheLowestIndexOfEquals) {
  const std::vector<float> logits = {0, 2, 1, 1, 1};
  const std::vector<double> f = frequencies({.temperature = 1, .top_k = 3, .seed = 1}, logits, 100000);
  expect_near(f, {0, softmax({2, 1, 1}, 1)[0], softmax({2, 1, 1}, 1)[1], softmax({2, 1, 1}, 1)[2], 0}, 100000);
  EXPECT_NEAR(frequencies({.temperature = 1, .top_k = 1, .seed = 1}, logits, 100)[1], 1, 1e-9);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.5f), std::log(0.3f), std::log(0.1f)};
  expect_near(frequencies({.temperature = 1, .top_p = 0.75, .seed = 3}, logits, 100000), {0, 0.625, 0.375, 0}, 100000);
  EXPECT_NEAR(frequencies({.temperature = 1, .top_p = 1e-9, .seed = 3}, logits, 100)[1], 1, 1e-9);
  // top_k first: 0.5 and 0.3 are left, of which the first is 0.625 of the sum.
  EXPECT_NEAR(frequencies({.temperature = 1, .top_k = 2, .top_p = 0.6, .seed = 3}, logits, 100)[1], 1, 1e-9);
}

TEST(Sampler, TheSameSeedGivesTheSameTokens) {
  const std::vector<float> logits(1000, 0.0f);
  Sampler a = make_sampler({.temperature = 1, .seed = 5}), b = make_sampler({.temperature = 1, .seed = 5}),
          c = make_sampler({.temperature = 1, .seed = 6});
  int equal = 0;
  for (int i = 0; i < 100; i++) {
    const int32_t x = sample(a, logits);
    EXPECT_EQ(x, sample(b, logits));
    equal += x == sample(c, logits);
  }
  EXPECT_LT(equal, 5);
}

TEST(Sampler, SmallestTemperatureIsGreedyAndMinusInfinityIsNeverDrawn) {
  EXPECT_NEAR(frequencies({.temperature = 1e-30, .seed = 1}, {1, 1.001f, 0}, 100)[1], 1, 1e-9);
  EXPECT_EQ(frequencies({.temperature = 1e6, .seed = 1}, {0, -kInf, 0}, 1000)[1], 0.0);
}

TEST(Sampler, RefusesWrongOptionsAndBrokenLogits) {
  for (const SamplerOptions& o :
       {SamplerOptions{.temperature = -1}, SamplerOptions{.temperature = kNan}, SamplerOptions{.temperature = kInf},
        SamplerOptions{.top_k = -1}, SamplerOptions{.top_p = 0}, SamplerOptions{.top_p = 1.5}, SamplerOptions{.top_p = kNan}})
    EXPECT_THROW(make_sampler(o), Error);
  EXPECT_THROW(greedy(std::vector<float>{0, kNan}), Error);
  EXPECT_THROW(greedy(std::vector<float>{kNan, 0}), Error);
  EXPECT_THROW(greedy(std::vector<float>{-kInf, -kInf}), Error);
  EXPECT_EQ(greedy(std::vector<float>{0, kInf, kInf}), 1);
  Sampler s = make_sampler({.temperature = 1});
  EXPECT_THROW(sample(s, std::vector<float>{0, kInf}), Error);
}

}  // namespace
}  // namespace wafer
