// What a plan puts where: regions, bytes of the fullest core by kind, colours; for `plan` and for the report of `run`.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "device/device.h"
#include "mesh/bytes.h"
#include "mesh/program.h"
#include "model/config.h"
#include "plan/planner.h"
#include "report/advice.h"

namespace wafer {

// One part of an inference: prefill, transition or decode. The program's phases of that part are taken together.
struct PartReport {
  std::string name;
  std::string phase;         // of the fullest core: "decode.layer"
  std::string region;        // of the fullest core
  mesh::PhaseBytes fullest;  // and the mean of the cores of its region
  int colours = 0;           // the most that a router uses in any phase of the part
};

struct PlacementReport {
  ModelConfig model;
  Device device;
  Plan plan;
  bool fits = false;
  bool fits_with_measured_code = false;
  std::string reason;               // why it does not fit; empty if it does
  int64_t excess_bytes = 0;         // of the fullest core over sram_limit; 0 if it fits
  std::optional<WholeBytes> whole;  // where no regions hold the model
  std::vector<PartReport> parts;    // in the order of an inference; empty where there is no placement to report
  bool routed = false;              // its steps and routes are known, so its colours; false: it is placed and no more
  Advice advice = {.faster = {}, .not_looked_for = "nothing is timed"};
  std::vector<std::string> faults;  // rules broken beside the bytes of a core, as verify() says them
};

// `program` is the plan's, lowered, or (of a mixture of experts) only placed; null where the plan has no regions, and so no program.
PlacementReport placement_report(const ModelConfig& model, const Device& device, const PlanResult& result, const mesh::Program* program);

// Adds what verify() found; any fault means that the plan does not fit.
void add_faults(PlacementReport& report, const std::vector<mesh::Diagnostic>& faults);

// The part with the fullest core; null if there are none.
const PartReport* fullest_part(const PlacementReport& report);
int colours_max(const PlacementReport& report);

// Lines for people: model, device, plan, regions, bytes, colours, whether it fits.
std::string placement_text(const PlacementReport& report);
std::string regions_text(const PlacementReport& report);  // one line for each region

// The keys that `plan` and `run` share. Cycles, seconds and tokens/s of the chip are null here: chip_print.h fills them in.
nlohmann::ordered_json prefill_json(const PlacementReport& report);
nlohmann::ordered_json transition_json(const PlacementReport& report);
nlohmann::ordered_json decode_json(const PlacementReport& report);
nlohmann::ordered_json memory_json(const PlacementReport& report);
nlohmann::ordered_json regions_json(const PlacementReport& report);

}  // namespace wafer
