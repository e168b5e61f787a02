// The report of `waferllm run`: what was said, where it was computed, what the chip takes for it, how fast this host did it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "report/chip_time.h"
#include "report/placement.h"

namespace wafer {

struct RunReport {
  std::string text;  // valid UTF-8
  std::vector<int32_t> prompt_tokens;
  std::vector<int32_t> tokens;  // generated; a stop token is not among them
  bool stopped = false;         // by a stop token, before the number asked for
  PlacementReport placement;
  ChipTime chip;
  int64_t prefill_chunks = 0;
  int64_t decode_steps = 0;
  int64_t overflows = 0;  // values that became infinite or NaN
  std::string isa;        // of the host: "avx2"
  int threads = 0;
  double seconds = 0;  // of the host from the start to the last token, loading included
  double prefill_seconds = 0;
  double decode_seconds = 0;
  double report_seconds = 0;  // to time the chip, after all that
};

std::string run_text(const RunReport& report);
std::string run_json(const RunReport& report);  // one line

}  // namespace wafer
