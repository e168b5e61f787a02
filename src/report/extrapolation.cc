#include "report/extrapolation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "report/chip_print.h"
#include "report/text.h"

namespace wafer {

std::string turns_taken_alike() {
  return fmt::format("of loops taken as the turn before, at most {} off in tests", percent(kExtrapolationError));
}

std::string extrapolation_text(const time::PartTime& part) {
  std::string out;
  if (part.extrapolated_cycles > 0)
    out = fmt::format("{} of the cycles are turns {}", percent(part.extrapolated_cycles / part.cycles), turns_taken_alike());
  if (part.starts_timed < part.starts)
    out +=
        fmt::format("{}{} of {} starts timed, linear between", out.empty() ? "" : "; ", grouped(part.starts_timed), grouped(part.starts));
  return out;
}

nlohmann::ordered_json extrapolation_json(const time::PartTime& part) {
  return {{"turns_share", part.cycles > 0 ? part.extrapolated_cycles / part.cycles : 0},
          {"starts", part.starts},
          {"starts_timed", part.starts_timed}};
}

}  // namespace wafer
