// An inference on the chip: cycles, shares and joules of its prefill, transition and decode, timed step by step by time::time_entry().
//
// What is too much to time one by one is timed at some places and taken as linear between: full chunks of a long prompt, and positions of
// a long decode. The decode is checked at positions drawn at random, and the largest difference is part of the result.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "device/device.h"
#include "mesh/program.h"
#include "plan/plan.h"
#include "time/request.h"

namespace wafer {

constexpr int64_t kPositionsChecked = 8;  // of a decode that was not timed at every position

struct InferenceRequest {
  int64_t prompt = 1;           // tokens
  int64_t head_rows = 1;        // rows of the prompt for which logits were asked
  bool token_by_token = false;  // the prompt goes through decode
  int64_t decode_steps = 0;     // at positions first, first + 1, ...
  int64_t first = -1;           // -1: after the prompt
};
inline int64_t first_position(const InferenceRequest& r) { return r.first < 0 ? r.prompt : r.first; }

using time::CoreCycles;
using time::PartTime;
using time::StepCycles;

struct ChipTime {
  InferenceRequest request;
  PartTime prefill;  // to the first token: all chunks, and the rows for which logits were asked
  PartTime transition;
  PartTime decode;
  int64_t chunks = 0;
  int64_t chunks_timed = 0;
  int64_t positions_timed = 0;
  int64_t positions_checked = 0;  // where not all were timed
  double largest_error = 0;       // of the interpolated cycles at those, relative
  int64_t first_cycles = 0;       // of the first decode step and the last; 0 where there is none
  int64_t last_cycles = 0;
  double clock_hz = 1;
  double power_watts = 0;
  double host_round_trip_seconds = 0;
};

// The device of the program, as it was planned for. Requires: the plan has regions for both phases, prompt >= 1.
ChipTime time_inference(const mesh::Program& program, const Plan& plan, const Device& device, const InferenceRequest& request);

double cycles_of(const ChipTime& t);        // of all parts
double seconds_of(const ChipTime& t);       // the chip's, without the host
time::Energy energy_of(const ChipTime& t);  // by activity
double joules_by_power(const ChipTime& t);  // chip power x seconds
CoreCycles core_cycles_of(const ChipTime& t);
double cycles_per_token(const ChipTime& t);  // of decode. Requires: it has steps
double prefill_tokens_per_second(const ChipTime& t);
double decode_tokens_per_second(const ChipTime& t);
double decode_tokens_per_second_with_host(const ChipTime& t);  // a round trip with the host for each token

// The part's cycles by kind of step, the largest first.
std::vector<StepCycles> by_kind(const PartTime& part);

}  // namespace wafer
