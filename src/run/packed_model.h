// The weights of a checkpoint as run() reads them. Internal to run/.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "model/model.h"
#include "run/panel.h"
#include "run/run.h"

namespace wafer::run {

struct PackedModel {
  Model model;  // config, and the embedding, which is only looked up
  Numerics numerics = Numerics::mixed;
  std::map<std::string, std::vector<PanelMatrix>> matrices;      // by tensor name of the placement, [copies]
  std::map<std::string, std::vector<std::vector<float>>> norms;  // likewise
  std::vector<float> turns;                                      // [head_dim / 2][2]: turns per position, hi and lo
};

// The embedding row of a token, converted as its weights are: f32 and bf16 round to fp16 in mixed and fp16 numerics.
void embedding_row(const PackedModel& packed, int32_t token, float* out);  // out[dim]

}  // namespace wafer::run
