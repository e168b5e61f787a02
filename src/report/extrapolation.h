// What part of a figure was not timed turn by turn, as every report says it.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "time/request.h"

namespace wafer {

// The largest error that the tests allow where turns are taken to last as long as the turn before (time/extrapolation_test.cc).
constexpr double kExtrapolationError = 0.002;

// What such turns are and how far off: "of loops taken as the turn before, at most 0.20 % off in tests".
std::string turns_taken_alike();
// "97.1 % of the cycles are turns of loops ...", as above; and how many starts were timed where not all were. Empty where every turn was
// timed or had repeated exactly.
std::string extrapolation_text(const time::PartTime& part);
// {"turns_share": 0.97, "starts": 64, "starts_timed": 33}; nulls are not needed: 0 and equal numbers say that nothing was taken as alike.
nlohmann::ordered_json extrapolation_json(const time::PartTime& part);

}  // namespace wafer
