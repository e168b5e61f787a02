// The chip's time as text and JSON, for the reports of `run` and `plan`.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "report/chip_time.h"

namespace wafer {

// Lines for people: cycles, then seconds, tokens/s and shares of each part; the decode's positions; joules.
std::string chip_text(const ChipTime& time);
// Cycles of a part by kind of step, a line each.
std::string kinds_text(const PartTime& part, const std::string& title);
// Every step, `times` of which make up the part (the layers of one token, the tokens): cycles and share.
std::string steps_text(const PartTime& part, const std::string& title);
std::string percent(double share);  // "12.3 %"

// Fill in what report/placement.h leaves null.
void add_prefill_time(nlohmann::ordered_json& prefill, const ChipTime& time);
void add_transition_time(nlohmann::ordered_json& transition, const ChipTime& time);
void add_decode_time(nlohmann::ordered_json& decode, const ChipTime& time);
nlohmann::ordered_json chip_json(const ChipTime& time);    // the whole: clock, cycles, seconds, shares
nlohmann::ordered_json energy_json(const ChipTime& time);  // both estimates
nlohmann::ordered_json kinds_json(const PartTime& part);

}  // namespace wafer
