// The naive executor: walks a mesh program core by core in plain loops, as a wafer would, and calls nothing of src/run. It is the oracle of
// run(): the same bits. And it proves locality: a core reads only what it holds. A read of anything else, a transfer over more than two
// hops inside a ring, a buffer that does not hold what its placement says, a buffer used in a phase in which it has no bytes, a receive
// that no send ever answers: each throws std::logic_error naming step, core, buffer and index.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lower/lower.h"
#include "mesh/expand.h"
#include "model/model.h"

namespace wafer {

namespace naive {
struct State;
using Expansion = std::function<mesh::Steps(const mesh::Program&, const mesh::Step&)>;
}  // namespace naive

class NaiveExecutor {
 public:
  // Where the host puts the weights: a transition takes them from the prefill placement to the decode placement.
  enum class Start { prefill, decode };

  // Both must outlive the executor.
  NaiveExecutor(const Lowered& lowered, const Model& model, Start start = Start::prefill);
  ~NaiveExecutor();

  // As run::run.
  void run(const std::string& entry, const mesh::Params& params, std::span<const int32_t> tokens);

  // The steps that products stand for, in place of mesh::expand(): for tests that break a schedule.
  void set_expansion(naive::Expansion expansion);

  // Puts a matrix where its buffers say, before an entry that reads it; for programs of one kernel, which no host loads.
  void put(const std::string& tensor, std::span<const float> values, const mesh::Params& params);

  // Of the entry that ran last, "row" or "decode".
  std::vector<float> logits() const;
  int32_t chosen() const;

  // A whole tensor, its sizes by `params`, from the last of its buffers that holds all of it. Throws where replicas differ by a bit.
  std::vector<float> gather(const std::string& tensor, int copy, const mesh::Params& params) const;

  // Whether any buffer holds the tensor whole.
  bool holds(const std::string& tensor, int copy, const mesh::Params& params) const;

 private:
  std::unique_ptr<naive::State> state_;
};

}  // namespace wafer
