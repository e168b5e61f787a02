// A session: a checkpoint on a device, ready to write text. Prompt in, tokens out.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "model/model.h"
#include "plan/planner.h"
#include "run/run.h"
#include "search/search.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

namespace wafer {

struct Session {
  Device device;
  Model model;
  Tokenizer tokenizer;
  PlanResult plan;
  std::shared_ptr<const Lowered> lowered;
  std::unique_ptr<run::Machine, void (*)(run::Machine*)> machine{nullptr, nullptr};
};

struct SessionOptions {
  std::string device = kDefaultDevice;
  std::optional<Goal> goal;  // search for a plan; without: the planner's rule
  PlanRequest plan;          // context and max_prompt are set from the prompt by the caller
  std::optional<double> clock_hz;
  std::optional<int64_t> code_bytes;
  // Long parts of the work: planning, packing. The share done, 0 .. 1; nothing where it is not known.
  std::function<void(const std::string& what, std::optional<double> share)> progress;
};

// What a session needs before its prompt is known: the checkpoint and its tokenizer.
struct Checkpoint {
  Model model;
  Tokenizer tokenizer;
};
Checkpoint load_checkpoint(const std::string& path);

// Plans, lowers, verifies and packs. Throws Error where the plan does not fit and no mesh was given, or any other rule is broken.
Session open_session(Checkpoint checkpoint, const SessionOptions& options);

struct GenerateOptions {
  int64_t max_tokens = 64;
  SamplerOptions sampler;
  bool all_logits = false;      // `on_logits` also for every prompt position but the last
  bool token_by_token = false;  // the prompt goes through the decode program, one token after the other; needs a plan with host_choice
  std::function<void(int32_t token)> on_token;  // as soon as it is chosen; not for stop tokens
  std::function<void(int64_t position, int32_t token, std::span<const float> logits)> on_logits;  // logits after `token` at `position`
  std::function<void(const std::string& what, std::optional<double> share)> progress;
};

struct Generation {
  std::vector<int32_t> prompt;
  std::vector<int32_t> tokens;  // chosen; a stop token ends the list and is not in it
  bool stopped = false;         // by a stop token
  double prefill_seconds = 0;   // of the host
  double decode_seconds = 0;
  int64_t decode_steps = 0;
  int64_t prefill_chunks = 0;
  int64_t overflows = 0;
};

// Requires: prompt not empty, ids in the vocabulary (else Error), prompt + max_tokens <= the plan's context.
Generation generate(Session& session, std::span<const int32_t> prompt, const GenerateOptions& options);

}  // namespace wafer
