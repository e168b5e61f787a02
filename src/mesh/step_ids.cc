#include "mesh/step_ids.h"

#include "mesh/visit.h"

namespace wafer::mesh {
namespace {

void number(const Steps& steps, size_t list, StepIds& ids) {
  for (const Step& step : steps) {
    const StepId id{static_cast<int32_t>(ids.places.size())};
    ids.places.push_back({.step = &step, .list = list, .end = {}});
    ids.of.emplace(&step, id);
    number(body_of(step), list, ids);
    ids.places[static_cast<size_t>(id.place)].end = {static_cast<int32_t>(ids.places.size())};
  }
}

}  // namespace

StepIds number_steps(const Entry& entry) {
  StepIds ids;
  for (size_t list = 0; list < entry.lists.size(); list++) number(entry.lists[list].steps, list, ids);
  return ids;
}

}  // namespace wafer::mesh
