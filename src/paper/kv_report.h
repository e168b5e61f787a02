// What `waferllm bench kv` prints: positions of KV cache that fit, on our placement and by the paper's arithmetic.
#pragma once
#include <string>

#include "paper/capacity.h"
#include "plan/capacity.h"

namespace wafer {

struct KvReport {
  ModelConfig model;
  Device device;
  Numerics numerics = Numerics::mixed;
  KvCapacity capacity;
  PaperCapacity paper;
  std::string why_none;  // where not even one position fits
  double host_seconds = 0;
};

std::string bench_text(const KvReport& report);
std::string bench_json(const KvReport& report);  // one line

}  // namespace wafer
